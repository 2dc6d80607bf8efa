"""A run that another one replaces: it is kept beside the new one until that has done a step."""

from __future__ import annotations

import shutil
from pathlib import Path


def replaced_folder(out: Path) -> Path:
    """The folder of the run that the one in `out` replaces, until the new one has done a step.

    If the new run is killed before its first step, the folder stays. `--overwrite` then replaces only the new
    run; to get the older one back, rename its folder.
    """
    folder = out.resolve()
    return folder.with_name(f"{folder.name}.replaced")


def move_aside(out: Path) -> None:
    """Move the run in `out` beside it; delete it instead if it replaced a run and never did a step."""
    if replaced_folder(out).exists():
        shutil.rmtree(out.resolve())
    else:
        out.resolve().rename(replaced_folder(out))
    out.resolve().mkdir()


def drop(out: Path) -> None:
    """Delete the run that the one in `out` replaces, now that the new one has done a step."""
    if replaced_folder(out).is_dir():
        shutil.rmtree(replaced_folder(out), ignore_errors=True)


def put_back(out: Path) -> bool:
    """Undo a replacement; False if the run in `out` did not replace one."""
    if not replaced_folder(out).is_dir():
        return False
    shutil.rmtree(out.resolve(), ignore_errors=True)
    replaced_folder(out).rename(out.resolve())
    return True
