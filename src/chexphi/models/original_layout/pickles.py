"""Weights in pickle files: read only if the user allows it, and only tensors."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chexphi import atomic
from chexphi.schema import InputError


def check(source: Path, *, allow: bool) -> list[Path]:
    """The pickles that hold a folder's weights; none if it has safetensors.

    Args:
        source: The folder of a checkpoint.
        allow: Whether pickles may be read at all.

    Raises:
        InputError: If there are only pickles and they may not be read.
    """
    files = sorted(source.glob("*.bin"))
    if any(source.glob("*.safetensors")):
        return []
    if files and not allow:
        raise InputError(
            f"{source} has its weights in {files[0].name}, a pickle, which can run code when it is read: get "
            "safetensors, or trust the file and give --allow-pickle"
        )
    return files


@contextmanager
def as_safetensors(source: Path, target: Path, *, allow: bool) -> Iterator[Path]:
    """A folder with the source's weights as safetensors: the source itself, or copies of its pickles.

    Args:
        source: The folder of a checkpoint.
        target: The copies are made beside this folder, as `NAME.pickles`, and deleted at the end.
        allow: Whether pickles may be read at all.

    Raises:
        InputError: If there are only pickles and they may not be read, or hold more than tensors; if the
            copies cannot be written.
    """
    files = check(source, allow=allow)
    if not files:
        yield source
        return
    atomic.check_room(target, 2 * sum(file.stat().st_size for file in files))
    folder = target.with_name(target.name + ".pickles")
    try:
        with atomic.writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for file in files:
                _convert(file, folder / f"{file.stem}.safetensors")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _convert(source: Path, target: Path) -> None:
    import torch
    from safetensors.torch import save_file

    try:
        tensors = torch.load(source, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{source} is damaged, or holds more than tensors ({reason}): it is not read"
        ) from None
    if not isinstance(tensors, dict) or not all(
        isinstance(value, torch.Tensor) for value in tensors.values()
    ):
        raise InputError(f"{source} holds more than tensors by name: it is not read")
    # safetensors refuses tensors that share memory: each gets its own
    save_file({name: value.clone().contiguous() for name, value in tensors.items()}, target)
