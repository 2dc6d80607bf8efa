"""A resumed run must have the settings, data and processes that its result depends on."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chexphi.compat import canonical
from chexphi.files import read_object
from chexphi.schema import InputError
from chexphi.yaml_files import read_yaml

MAY_DIFFER = (
    "out", "output_dir", "resume", "overwrite", "resume_from_checkpoint",
    "log_*", "logging_*", "report_to", "run_name", "project", "trackio_*", "disable_tqdm",
    "num_completions_to_print", "logp_*", "save_*", "enable_jit_checkpoint", "push_to_hub", "hub_*",
    "dataloader_*", "skip_memory_metrics", "ddp_timeout", "local_rank", "debug", "vllm_server_*",
    "vllm_group_port", "draft_*",
)  # fmt: skip
"""Settings that change only what is written, shown or waited for; `*` stands for any ending."""
EXCEPT = ("dataloader_drop_last",)
"""A setting that matches a pattern above and does change a run's result."""
FACTS = ("data_sha256", "pools_sha256", "sentences_sha256", "processes")
"""Keys of the manifest that have to stay the same too."""
MAX_CHARACTERS = 200
"""Of a value in a message."""


def differing(saved: Mapping[str, Any], current: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(name, value of the run, value now) of the settings that change a run's result, sorted by name.

    A setting that only one of them has comes from another version, and is ignored.

    >>> differing({"beta": 0.0, "out": "a", "old": 1}, {"beta": 0.1, "out": "b"})
    [('beta', 0.0, 0.1)]
    """
    return [
        (name, saved[name], current[name])
        for name in sorted(saved.keys() & current.keys())
        if saved[name] != current[name]
        and (name in EXCEPT or not any(fnmatch.fnmatchcase(name, pattern) for pattern in MAY_DIFFER))
    ]


def check(out: Path, config: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that had other settings, data or another number of processes.

    Args:
        out: The run's folder.
        config: The settings now, in the form of `config.yaml`.
        facts: The values that the manifest would have now.

    Raises:
        InputError: With each setting that differs and both values.
    """
    if not (out / "manifest.json").is_file() or not (out / "config.yaml").is_file():
        return
    try:
        saved, manifest = read_yaml(out / "config.yaml"), read_object(out / "manifest.json")
    except InputError as error:
        raise InputError(f"the run in {out} cannot go on ({error}): begin again with another --out") from None
    differences = differing(_flat(saved), _flat(config))
    differences += differing(
        {name: manifest[name] for name in FACTS if name in manifest},
        {name: facts[name] for name in FACTS if name in facts},
    )
    if differences:
        listed = "; ".join(
            f"{name} was {_text(saved_value)} and is {_text(value)}"
            for name, saved_value, value in differences
        )
        raise InputError(
            f"the run in {out} has other settings: {listed}: give it the values it had "
            "(its config.yaml has them), or choose another --out"
        )


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's settings and TRL's in one mapping: they never have a name in common.

    A run of an earlier version may have `compat: seed`, which is `original` now.
    """
    trainer = config.get("trainer")
    recipe = {name: value for name, value in config.items() if name != "trainer"}
    if "compat" in recipe:
        recipe["compat"] = canonical(recipe["compat"])
    return recipe | (trainer if isinstance(trainer, dict) else {})


def _text(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "…"
