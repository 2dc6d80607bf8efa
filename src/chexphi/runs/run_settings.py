"""What a resumed run may change: nothing that its result depends on."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chexphi.files import read_object
from chexphi.schema import InputError
from chexphi.yaml_files import read_yaml

MAY_DIFFER = (
    "out", "output_dir", "resume", "overwrite", "resume_from_checkpoint",
    "log_*", "logging_*", "report_to", "run_name", "project", "trackio_*", "disable_tqdm",
    "num_completions_to_print", "logp_*", "save_*", "enable_jit_checkpoint", "push_to_hub", "hub_*",
    "dataloader_*", "skip_memory_metrics", "ddp_timeout", "local_rank", "debug", "vllm_server_*",
    "vllm_group_port",
)  # fmt: skip
"""Settings, with `*` for any ending, that say what is written, watched or waited for."""
EXCEPT = ("dataloader_drop_last",)
FACTS = ("data_sha256", "pools_sha256", "processes")
"""Of the manifest."""
MOST = 200
"""Characters of a value in a message."""


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(name, value of the run, value now) of the settings that change a run's result, by name.

    A setting that one of them does not have is one of another version, and is passed over.

    >>> differing({"beta": 0.0, "out": "a", "old": 1}, {"beta": 0.1, "out": "b"})
    [('beta', 0.0, 0.1)]
    """
    return [
        (name, old[name], new[name])
        for name in sorted(old.keys() & new.keys())
        if old[name] != new[name]
        and (name in EXCEPT or not any(fnmatch.fnmatchcase(name, pattern) for pattern in MAY_DIFFER))
    ]


def check(out: Path, config: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Refuse to go on with a run of other settings, data or number of processes.

    Args:
        out: The run's folder.
        config: The settings now, as `config.yaml` has them.
        facts: What the manifest would say now.

    Raises:
        InputError: With each setting that differs and both values.
    """
    if not (out / "manifest.json").is_file() or not (out / "config.yaml").is_file():
        return
    try:
        before, manifest = read_yaml(out / "config.yaml"), read_object(out / "manifest.json")
    except InputError as error:
        raise InputError(f"the run in {out} cannot go on ({error}): begin again with another --out") from None
    found = differing(_flat(before), _flat(config))
    found += differing(
        {name: manifest[name] for name in FACTS if name in manifest},
        {name: facts[name] for name in FACTS if name in facts},
    )
    if found:
        listed = "; ".join(f"{name} was {_text(was)} and is {_text(now)}" for name, was, now in found)
        raise InputError(
            f"the run in {out} has other settings: {listed}: resume it with its own (its config.yaml), "
            "or choose another --out"
        )


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's settings and TRL's, whose names never meet."""
    trainer = config.get("trainer")
    rest = {name: value for name, value in config.items() if name != "trainer"}
    return rest | (trainer if isinstance(trainer, dict) else {})


def _text(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= MOST else text[:MOST] + "…"
