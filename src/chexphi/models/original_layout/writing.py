"""The files of a conversion: written one after the other, so that the same command goes on after a stop.

A file gets its name when it is complete, and the folder gets its `config.json` last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from chexphi import atomic
from chexphi.files import read_object
from chexphi.models.original_layout import stream
from chexphi.models.original_layout.stream import Output
from chexphi.models.tensor_headers import INDEX
from chexphi.runs.run_folder import write_json
from chexphi.schema import InputError

JOURNAL = "conversion.json"
GO_ON = "make room and give the same command again, it goes on from here"


def check_target(target: Path) -> None:
    """Refuse a folder that no conversion may write into.

    Raises:
        InputError: If it is a file, or holds a model or something else than the beginning of a conversion.
    """
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file: choose another folder")
    if (target / "config.json").exists():
        raise InputError(f"{target} already holds a model: choose another folder")
    if target.exists() and not (target / JOURNAL).is_file() and any(target.iterdir()):
        raise InputError(f"{target} is not empty: choose another folder")


def begin(target: Path, outputs: Sequence[Output], **notes: Any) -> None:
    """Make the folder, or check that it holds the beginning of the same conversion.

    Args:
        target: The folder of the files.
        outputs: All files of the conversion.
        notes: Entries of the journal beside the digest of the sources.

    Raises:
        InputError: If it holds something else, or the disk is too small.
    """
    files = [(output.path.name, [(copy.name, copy.header) for copy in output.tensors]) for output in outputs]
    digest = hashlib.sha256(repr(files).encode()).hexdigest()
    journal = target / JOURNAL
    check_target(target)
    if journal.is_file() and read_object(journal).get("sources") != digest:
        raise InputError(
            f"{target} holds the beginning of another conversion: remove it or choose another folder"
        )
    atomic.check_room(target, sum(output.size for output in outputs if not output.path.exists()))
    if not journal.is_file():
        write_json(journal, {"sources": digest, **notes})


def write_all(outputs: Sequence[Output], progress: Callable[[int, int], None]) -> None:
    """Write the files that do not exist yet.

    Raises:
        InputError: If one cannot be written; those before it are complete, and stay.
    """
    total, completed = sum(output.size for output in outputs), 0

    def advance(count: int) -> None:
        nonlocal completed
        completed += count
        progress(completed, total)

    for output in outputs:
        if output.path.exists():  # it got its name when it was complete
            advance(output.size)
            continue
        stream.write(output, advance, remedy=GO_ON)


def shard_names(count: int) -> list[str]:
    """Names of the files of one model, as on the hub."""
    if count == 1:
        return ["model.safetensors"]
    return [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]


def write_index(folder: Path, outputs: Sequence[Output]) -> None:
    """Write the index that names the file of each tensor, if there are several files."""
    if len(outputs) > 1:
        files = {copy.name: output.path.name for output in outputs for copy in output.tensors}
        index = {"metadata": {"total_size": sum(output.size for output in outputs)}, "weight_map": files}
        write_json(folder / INDEX, index)
