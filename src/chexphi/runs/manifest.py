"""What a run was made with: `config.yaml`, `manifest.json` with all its starts, and the folder's README."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chexphi import __version__, installation
from chexphi.files import read_object
from chexphi.runs import processes, readme, run_folder
from chexphi.runs.commands import own_command
from chexphi.schema import InputError
from chexphi.yaml_files import dump_yaml

NAME = "manifest.json"
LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "numpy", "pillow")
OF_A_START = ("started", "command", "git_revision", "versions", "processes")
"""Entries that each start of a run has; the manifest itself has those of the newest start."""


def write(
    out: Path,
    *,
    config: Mapping[str, Any],
    data: Path | None,
    seed: int,
    stage: str,
    from_step: int | None = None,
    **extra: Any,
) -> None:
    """Write `config.yaml`, `manifest.json` and `README.md` of a run that begins or goes on.

    Args:
        out: The run's folder. If it holds a manifest, the run goes on: this start is added to its starts.
        config: The settings.
        data: The dataset, for its path and hash.
        seed: Seed of the stage.
        stage: Name of the stage.
        from_step: Optimiser step that the run goes on from; 0 at its beginning, None in stages without steps.
        extra: More entries.

    Raises:
        InputError: If one cannot be written; a folder in which no run has begun yet is deleted.
    """
    path = out / NAME
    start = {
        "started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": own_command(),
        "git_revision": installation.revision(),
        "versions": _versions(),
        "processes": processes.count(),
    }
    starts = [*earlier_starts(path), {**start, "from_step": from_step}]
    values = start | {
        "stage": stage,
        "data": str(data) if data else None,
        "data_sha256": run_folder.sha256_of(data),
        "seed": seed,
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        **extra,
        "starts": starts,
    }
    new_files: list[str] = []
    try:
        run_folder.atomic_write(out / "config.yaml", dump_yaml(dict(config)))
        new_files.append("config.yaml")
        if not (out / readme.NAME).exists():  # one that is there may have notes of the user
            run_folder.atomic_write(out / readme.NAME, readme.text(stage, starts[0], config, out))
            new_files.append(readme.NAME)
        run_folder.write_json(path, values)
    except InputError:
        run_folder.remove_unbegun(out, *new_files)
        raise


def earlier_starts(path: Path) -> list[dict[str, Any]]:
    """The starts in a manifest; none if there is no manifest.

    A manifest of an earlier version has no list: its own entries are the one start that is known. Its step
    is not.

    Raises:
        InputError: If the manifest is damaged.
    """
    if not path.is_file():
        return []
    try:
        values = read_object(path)
    except InputError as error:
        raise InputError(
            f"the run in {path.parent} cannot go on ({error}): begin again with another --out"
        ) from None
    starts = values.get("starts")
    if isinstance(starts, list) and all(isinstance(start, dict) for start in starts):
        return starts
    return [{name: values.get(name) for name in OF_A_START} | {"from_step": None}]


def _versions() -> dict[str, str]:
    versions = {"chexphi": __version__, "python": platform.python_version()}
    for library in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[library] = importlib.metadata.version(library)
    return versions
