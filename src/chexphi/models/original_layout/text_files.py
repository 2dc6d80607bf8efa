"""The small files beside the weights of a checkpoint: found, checked and copied as they are."""

from __future__ import annotations

from pathlib import Path

from chexphi import model_folder
from chexphi.schema import InputError

ORIGINAL = "original"
"""Folder of an imported checkpoint's own JSON and text files, for `export`."""


def check_tokenizer(source: Path) -> None:
    """Refuse a checkpoint without a tokenizer, or whose small files are damaged or name files outside it.

    Raises:
        InputError: For the first fault.
    """
    if not (source / "tokenizer.json").is_file():
        raise InputError(f"{source} has no tokenizer.json: copy the source's tokenizer beside the weights")
    model_folder.check(source)


def texts(folder: Path) -> list[Path]:
    """JSON and text files of a checkpoint, without its weights, their index and code."""
    return [
        file
        for file in sorted(folder.iterdir())
        if file.suffix in (".json", ".txt", ".jinja") and not file.name.endswith(".index.json")
    ]
