"""What a model's card says, from the folder of the run that trained it. No path of the machine is kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chexphi import model_folder
from chexphi.files import read_object
from chexphi.schema import InputError
from chexphi.yaml_files import read_yaml

STAGES = ("sft", "grpo")
"""Stages whose `model/` has a card."""
ADAPTER = "adapter_config.json"
RECIPE = (
    *("trainable", "lora_rank", "lora_alpha", "strip_tags", "limit"),
    *("rewards", "combine", "extractor", "match", "compat", "dynamic_sample", "max_resample_times"),
)
"""Our settings that shape a result most, in the order of the card."""
TRAINER = (
    *("max_steps", "num_train_epochs", "learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay"),
    *("per_device_train_batch_size", "gradient_accumulation_steps", "reward_weights", "num_generations"),
    *("temperature", "max_completion_length", "beta", "loss_type", "scale_rewards", "bf16", "seed"),
)
"""The same of TRL's."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of examples: its name without folders, and the hash of its content where it is known."""

    name: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the card of a model says; what is empty is not said."""

    stage: str = ""
    """What trained it: `sft` or `grpo`."""
    conversion: str = ""
    """How the folder was made from another: `merge`, `import` or `export`."""
    kind: str = ""
    """The model's `model_type`."""
    base_name: str = ""
    """Of the base on a hub, where it is known."""
    license: str = ""
    """Of the base, as an identifier of the hub."""
    is_adapter: bool = False
    weights_sha256: Mapping[str, str] = field(default_factory=dict)
    """File -> hash, of the folder itself."""
    start_sha256: Mapping[str, str] = field(default_factory=dict)
    """File -> hash, of the weights that the training started from."""
    base_sha256: Mapping[str, str] = field(default_factory=dict)
    """File -> hash, of the base of an adapter."""
    learned: Mapping[str, Any] = field(default_factory=dict)
    """`tensors`, `parameters` and `share` of what was trained."""
    data: tuple[DataFile, ...] = ()
    examples: int = 0
    left_out: int = 0
    """Examples that no reward could score."""
    is_drawn: bool = False
    """Whether the data were drawn by `chexphi data phantom`."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Setting -> value."""
    steps: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    git_revision: str = ""
    started: str = ""
    starts: int = 1


def of_run(run: Path) -> CardFacts:
    """The facts of the policy that a training run wrote into its `model/`.

    Args:
        run: The folder of a run of `sft` or `grpo`.

    Raises:
        InputError: If a file of the run is damaged.
    """
    folder = run / "model"
    is_adapter = (folder / ADAPTER).is_file()
    manifest, config = read_object(run / "manifest.json"), read_yaml(run / "config.yaml")
    policy = _mapping(manifest.get("policy"))
    marker = read_object(folder / "complete.json") if (folder / "complete.json").is_file() else {}
    starts = manifest.get("starts")
    return CardFacts(
        stage=str(manifest.get("stage")),
        kind=str(policy.get("kind") or _kind_of(folder)),
        base_name=str(policy.get("base_name") or ""),
        license=str(policy.get("license") or ""),
        is_adapter=is_adapter,
        weights_sha256=model_folder.weights_sha256(folder),
        start_sha256=_mapping(policy.get("weights_sha256")),
        base_sha256=_mapping(policy.get("base_sha256")),
        learned=_mapping(manifest.get("trainable")),
        data=data_files(manifest),
        examples=int(manifest.get("examples") or 0),
        left_out=len(manifest.get("unscorable") or ()),
        is_drawn=is_drawn(manifest.get("data")),
        recipe=recipe_of(config, is_adapter=is_adapter),
        steps=marker.get("step"),
        versions=_mapping(manifest.get("versions")),
        git_revision=str(manifest.get("git_revision") or ""),
        started=str(manifest.get("started") or ""),
        starts=len(starts) if isinstance(starts, list) else 1,
    )


def _kind_of(folder: Path) -> str:
    """The `model_type` in a whole model's own settings: earlier versions noted none in the manifest."""
    config = folder / "config.json"
    return str(read_object(config).get("model_type") or "") if config.is_file() else ""


def stage_of(manifest: Path) -> str:
    """The stage that a manifest names; empty if it cannot be read."""
    try:
        return str(read_object(manifest).get("stage"))
    except InputError:
        return ""


def data_files(manifest: Mapping[str, Any]) -> tuple[DataFile, ...]:
    """The names and hashes of a run's data."""
    files = {str(manifest.get("data") or ""): manifest.get("data_sha256")}
    files |= _mapping(manifest.get("pools_sha256"))
    return tuple(DataFile(Path(path).name, str(sha256 or "")) for path, sha256 in files.items() if path)


def is_drawn(data: Any) -> bool:
    """Whether a file or folder is below one that `chexphi data phantom` wrote."""
    if not isinstance(data, str) or not data:
        return False
    path = Path(data).absolute()
    return any((folder / "phantom.json").is_file() for folder in (path, *list(path.parents)[:3]))


def recipe_of(config: Mapping[str, Any], *, is_adapter: bool) -> dict[str, Any]:
    """The settings of a run that shape its result most; paths in them lose their folders."""
    trainer = _mapping(config.get("trainer"))
    values = {name: config.get(name) for name in RECIPE} | {name: trainer.get(name) for name in TRAINER}
    unused = set() if is_adapter else {"lora_rank", "lora_alpha"}
    unused |= set() if config.get("dynamic_sample") else {"dynamic_sample", "max_resample_times"}
    if isinstance(values["max_steps"], int) and values["max_steps"] > 0:
        unused.add("num_train_epochs")
    else:
        unused.add("max_steps")
    return {
        name: without_folders(value)
        for name, value in values.items()
        if name not in unused and value is not None and value != []
    }


def without_folders(value: Any) -> Any:
    """A setting's value in which paths are reduced to their last name.

    >>> without_folders(["rexkg:/home/ann/kg", "external_kg_jac"])
    ['rexkg:kg', 'external_kg_jac']
    """
    if isinstance(value, list):
        return [without_folders(entry) for entry in value]
    return re.sub(r"[^\s:=,]*/", "", value) if isinstance(value, str) else value


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
