"""A run that another one replaces: it is kept beside it until the new one has done a step."""

from __future__ import annotations

import shutil
from pathlib import Path


def place(out: Path) -> Path:
    """Where the run that the one in `out` replaces is until the new one has done a step.

    A new run that is killed before leaves it there: `--overwrite` then replaces the new run alone, and who
    wants the older one back renames its folder.
    """
    folder = out.resolve()
    return folder.with_name(f"{folder.name}.replaced")


def move_aside(out: Path) -> None:
    """Move the run in `out` away; a run that never did a step is deleted if it replaced one itself."""
    if place(out).exists():
        shutil.rmtree(out.resolve())
    else:
        out.resolve().rename(place(out))
    out.resolve().mkdir()


def drop(out: Path) -> None:
    """Delete what the run in `out` replaces, now that it has something of its own."""
    if place(out).is_dir():
        shutil.rmtree(place(out), ignore_errors=True)


def put_back(out: Path) -> bool:
    """Undo a replacement: whether there was a run to put back in place of the one in `out`."""
    if not place(out).is_dir():
        return False
    shutil.rmtree(out.resolve(), ignore_errors=True)
    place(out).rename(out.resolve())
    return True
