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
"""Bytes of disk beside weights: tokenizer, configuration, index."""
REMEDY = "make room there, or choose another path"
_NOT_OF_A_DISK = (ConnectionError, TimeoutError, ChildProcessError, ProcessLookupError, InterruptedError)
_RUST = re.compile(r"\(os error (\d+)\)")
"""How safetensors and tokenizers, which have no exception for it, say what the system said."""
_TORCH = ("PytorchStreamWriter", "unexpected pos")


def disk_trouble(error: BaseException | None) -> str | None:
    """What the disk said, if it is the disk's error and no other."""
    if isinstance(error, OSError):
        if isinstance(error, _NOT_OF_A_DISK):
            return None
        return os.strerror(error.errno) if error.errno else None  # transformers has its own without
    text = str(error)
    if found := _RUST.search(text):
        return os.strerror(int(found[1]))
    return "the disk took less than was written" if any(words in text for words in _TORCH) else None


@contextmanager
def writing(path: Path | str, *, remedy: str = REMEDY) -> Iterator[None]:
    """Around what writes `path`, a file or a folder.

    Args:
        path: What the sentence names, a path or standard output.
        remedy: What the user can do about it.

    Raises:
        InputError: If the disk is full, or not the user's to write.
    """
    try:
        yield
    except Exception as error:
        reason = None if _is_about_another_file(error, path) else disk_trouble(error)
        if reason is None:
            raise
        raise InputError(f"{path} cannot be written ({reason}): {remedy}") from error


def _is_about_another_file(error: Exception, path: Path | str) -> bool:
    """Whether an error names a file that was read, and not the one that is written or a folder above it."""
    names = [getattr(error, name, None) for name in ("filename", "filename2")]
    absolute = [os.path.abspath(os.fsdecode(name)) for name in names if isinstance(name, str | bytes)]
    wanted = os.path.abspath(path)
    return bool(absolute) and not any(
        name.startswith(wanted) or wanted.startswith(name + os.sep) for name in absolute
    )


@contextmanager
def whole_file(path: Path, *, shared: bool = False, remedy: str = REMEDY) -> Iterator[Path]:
    """The name to write a file under; it gets its own in the end, or goes away after an error.

    Its folder is made as needed. An earlier file of that name stays until then.

    Args:
        path: The file.
        shared: Whether several processes may write it at once; then it is also not waited for until it is on
            the disk.
        remedy: What the user can do where it cannot be written.

    Raises:
        InputError: If it cannot be written, or is there and not an ordinary file.
    """
    part = _beside(path, f".{uuid.uuid4().hex}.part" if shared else ".part")
    with writing(path, remedy=remedy), _made(part.parent):
        _refuse_odd(path)
        try:
            yield part
            if not shared:
                wait_for_disk(part)
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill; what is in it gets its place in the end, or goes away after an error.

    If `path` is there, only what has a new version in it is replaced.

    Raises:
        InputError: If it cannot be written.
    """
    part = _beside(path, ".part")
    with writing(path), _made(part.parent):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            yield part
            _move(part, path)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8.

    Raises:
        InputError: As `whole_file`.
    """
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def check_file(path: Path, *, overwrite: bool) -> None:
    """Refuse, before the work, a file that could not be written after it; nothing is touched.

    Raises:
        InputError: If it exists and may not be replaced, is not an ordinary file, or its folder cannot be
            written.
    """
    with writing(path):  # its name may be too long to ask about
        if path.is_dir():
            raise InputError(f"output {path} is a folder: name a file for --out")
        _refuse_odd(path)
        if path.exists() and not overwrite:
            raise InputError(f"output {path} exists: replace it with --overwrite or choose another --out")
        check_place(path.parent)


def check_place(folder: Path) -> None:
    """Refuse a folder that cannot be written, or made; nothing is touched.

    Raises:
        InputError: If so.
    """
    above = nearest(folder.absolute())
    if not above.is_dir():
        raise InputError(f"output folder {folder} cannot be made ({above} is a file): choose another --out")
    if not os.access(above, os.W_OK | os.X_OK, effective_ids=True):
        raise InputError(
            f"output folder {folder} cannot be written ({above} is read-only): choose another --out"
        )


def check_room(path: Path, size: int) -> None:
    """Refuse weights that the disk has no room for.

    Args:
        path: Where they go, there or not.
        size: Their bytes.

    Raises:
        InputError: If there is less room than that and `SPARE`.
    """
    needed, free = size + SPARE, shutil.disk_usage(nearest(path.absolute())).free
    if needed > free:
        raise InputError(
            f"{path} needs {needed / 1e9:.1f} GB and its disk has {free / 1e9:.1f} GB: make room"
        )


def nearest(path: Path) -> Path:
    """The path itself, or the first above it that exists."""
    return next((folder for folder in (path, *path.parents) if os.path.lexists(folder)), path)


def _beside(path: Path, ending: str) -> Path:
    """`path` with another ending, also of `.` and `..`."""
    whole = Path(os.path.abspath(path))
    if not whole.name:
        raise InputError(f"{path} cannot be replaced: name a file or folder in it")
    return whole.with_name(whole.name + ending)


def _refuse_odd(path: Path) -> None:
    if path.exists() and not path.is_file() and not path.is_dir():  # a device, replaced, would be lost
        raise InputError(f"{path} is not an ordinary file: choose another path")


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """A folder, made as needed; after an error those that were made go away again."""
    missing = [above for above in (folder, *folder.parents) if not above.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for above in missing:
            with suppress(OSError):  # it holds something else by now
                above.rmdir()
        raise


def wait_for_disk(path: Path) -> None:
    """Return once the disk has what was written to a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move(part: Path, path: Path) -> None:
    with suppress(OSError):  # not there, not empty, or where a disk is mounted
        path.rmdir()
    if not path.exists():
        part.replace(path)
        return
    for item in sorted(part.iterdir()):
        target = path / item.name
        if target.is_dir():
            shutil.rmtree(target)
        item.replace(target)
