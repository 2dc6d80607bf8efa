"""Files and folders that are written whole or not at all. Standard library only."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chexphi.schema import InputError

SPARE = 64 << 20
"""Bytes of disk for files beside the weights: tokenizer, configuration, index."""
REMEDY = "make room there, or choose another path"
_NOT_OF_A_DISK = (ConnectionError, TimeoutError, ChildProcessError, ProcessLookupError, InterruptedError)
_RUST_ERROR = re.compile(r"\(os error (\d+)\)")
"""How messages of safetensors and tokenizers, which have no exception for it, give the system's error."""
_TORCH_WORDS = ("PytorchStreamWriter", "unexpected pos")


def disk_trouble(error: BaseException | None) -> str | None:
    """The system's message, if the error comes from a disk; None for any other error."""
    if isinstance(error, OSError):
        if isinstance(error, _NOT_OF_A_DISK):
            return None
        return os.strerror(error.errno) if error.errno else None  # transformers raises some without a number
    text = str(error)
    if rust_error := _RUST_ERROR.search(text):
        return os.strerror(int(rust_error[1]))
    return "the disk took less than was written" if any(words in text for words in _TORCH_WORDS) else None


@contextmanager
def writing(path: Path | str, *, remedy: str = REMEDY) -> Iterator[None]:
    """A context around code that writes `path`, a file or a folder.

    Args:
        path: The name for the message: a path or standard output.
        remedy: What the user can do about it.

    Raises:
        InputError: If the disk is full, or the user may not write there.
    """
    try:
        yield
    except Exception as error:
        reason = None if _is_about_another_file(error, path) else disk_trouble(error)
        if reason is None:
            raise
        raise InputError(f"{path} cannot be written ({reason}): {remedy}") from error


def _is_about_another_file(error: Exception, path: Path | str) -> bool:
    """Whether an error names a file that was read, and not the written one or a folder above it."""
    names = [getattr(error, name, None) for name in ("filename", "filename2")]
    error_paths = [os.path.abspath(os.fsdecode(name)) for name in names if isinstance(name, str | bytes)]
    written_path = os.path.abspath(path)
    return bool(error_paths) and not any(
        name.startswith(written_path) or written_path.startswith(name + os.sep) for name in error_paths
    )


@contextmanager
def whole_file(path: Path, *, shared: bool = False, remedy: str = REMEDY) -> Iterator[Path]:
    """A temporary path to write a file under; at the end it is renamed to `path`, after an error deleted.

    The folder is made if needed. An earlier file at `path` stays until the rename.

    Args:
        path: The file.
        shared: Whether several processes may write it at the same time. Then the rename does not wait until
            the content is on the disk.
        remedy: What the user can do if it cannot be written.

    Raises:
        InputError: If it cannot be written, or exists and is not an ordinary file.
    """
    part_path = _beside(path, f".{uuid.uuid4().hex}.part" if shared else ".part")
    with writing(path, remedy=remedy), _new_folder(part_path.parent):
        _refuse_device(path)
        try:
            yield part_path
            if not shared:
                wait_for_disk(part_path)
            part_path.replace(path)
        finally:
            with suppress(OSError):
                part_path.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty temporary folder to fill; at the end its content moves to `path`, after an error it goes.

    If `path` exists, only those of its files that have a new version are replaced.

    Raises:
        InputError: If it cannot be written.
    """
    part_path = _beside(path, ".part")
    with writing(path), _new_folder(part_path.parent):
        shutil.rmtree(part_path, ignore_errors=True)
        part_path.mkdir()
        try:
            yield part_path
            _move(part_path, path)
        finally:
            shutil.rmtree(part_path, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, all of it or nothing.

    Raises:
        InputError: If it cannot be written, or exists and is not an ordinary file.
    """
    with whole_file(path) as part_path:
        part_path.write_text(text, encoding="utf-8")


def check_file(path: Path, *, overwrite: bool) -> None:
    """Refuse, before the work, a file that could not be written after it; nothing is changed.

    Raises:
        InputError: If it exists and may not be replaced, is not an ordinary file, or its folder cannot be
            written.
    """
    with writing(path):  # the system refuses to look at a name that is too long
        if path.is_dir():
            raise InputError(f"output {path} is a folder: name a file for --out")
        _refuse_device(path)
        if path.exists() and not overwrite:
            raise InputError(f"output {path} exists: replace it with --overwrite or choose another --out")
        check_place(path.parent)


def check_place(folder: Path) -> None:
    """Refuse a folder that cannot be made or written; nothing is changed.

    Raises:
        InputError: If so.
    """
    existing = nearest(folder.absolute())
    if not existing.is_dir():
        raise InputError(
            f"output folder {folder} cannot be made ({existing} is a file): choose another --out"
        )
    if not os.access(existing, os.W_OK | os.X_OK, effective_ids=True):
        raise InputError(
            f"output folder {folder} cannot be written ({existing} is read-only): choose another --out"
        )


def check_room(path: Path, size: int) -> None:
    """Refuse weights that the disk has no room for.

    Args:
        path: Where they go; it need not exist.
        size: Their bytes.

    Raises:
        InputError: If the disk has less room than `size` and `SPARE` together.
    """
    total, free = size + SPARE, shutil.disk_usage(nearest(path.absolute())).free
    if total > free:
        raise InputError(f"{path} needs {total / 1e9:.1f} GB and its disk has {free / 1e9:.1f} GB: make room")


def nearest(path: Path) -> Path:
    """The path itself if it exists, else the nearest folder above it that does."""
    return next((folder for folder in (path, *path.parents) if os.path.lexists(folder)), path)


def _beside(path: Path, ending: str) -> Path:
    """`path` with an ending added, also for `.` and `..`."""
    absolute = Path(os.path.abspath(path))
    if not absolute.name:
        raise InputError(f"{path} cannot be replaced: name a file or folder in it")
    return absolute.with_name(absolute.name + ending)


def _refuse_device(path: Path) -> None:
    if path.exists() and not path.is_file() and not path.is_dir():  # replacing a device would delete it
        raise InputError(f"{path} is not an ordinary file: choose another path")


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """Make a folder and those above it if needed; after an error delete the new ones again."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for parent in missing:
            with suppress(OSError):  # it holds something else by now
                parent.rmdir()
        raise


def wait_for_disk(path: Path) -> None:
    """Return when the content of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move(part_path: Path, path: Path) -> None:
    with suppress(OSError):  # it does not exist, is not empty, or a disk is mounted there
        path.rmdir()
    if not path.exists():
        part_path.replace(path)
        return
    for entry in sorted(part_path.iterdir()):
        target = path / entry.name
        if target.is_dir():
            shutil.rmtree(target)
        entry.replace(target)
