"""Checkpoints on disk: when one is complete, which is the newest, and which may go.

The Trainer writes a checkpoint file by file. `complete.json` is written behind the last of them, once they
are on the disk, with the size of each: what a kill, a full disk or a copy cut short does not agree with it.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chexphi import atomic
from chexphi.files import read_object
from chexphi.model_folder import leads_outside
from chexphi.schema import MAX_SHOWN, InputError, shown
from chexphi.training.recovery import saved_state

MARKER = "complete.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint folder and where the run stood when it was taken."""

    path: Path
    step: int
    epochs: int = 0
    """Whole passes over the data before it."""
    last: bool = False
    """Whether the training ends with it."""
    logs: Mapping[str, int] = field(default_factory=dict)
    """Bytes of each of the run's logs."""


def mark(folder: Path, step: int, *, logs: Sequence[Path] = (), weights_only: bool = False) -> None:
    """Say that a folder is complete, after all that it says is on the disk."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MARKER]
    present = [path for path in logs if path.is_file()]
    for path in (*files, *present, *{file.parent for file in files}):
        atomic.wait_for_disk(path)
    marker = {
        "step": step,
        "weights_only": weights_only,
        "files": {path.relative_to(folder).as_posix(): path.stat().st_size for path in files},
        "logs": {path.name: path.stat().st_size for path in present},
    }
    atomic.write_text(folder / MARKER, json.dumps(marker, indent=1) + "\n")
    atomic.wait_for_disk(folder)
    atomic.wait_for_disk(folder.parent)


def marker(folder: Path) -> dict[str, Any] | str:
    """What `complete.json` says, if the folder agrees with it; otherwise why it does not."""
    if not (folder / MARKER).is_file():
        return f"it has no {MARKER}: it was not written to its end"
    try:
        found = read_object(folder / MARKER)
    except InputError:
        return f"its {MARKER} is damaged"
    if not _is_marker(found):
        return f"its {MARKER} is damaged"
    for name, size in found["files"].items():
        if leads_outside(name):
            return f"its {MARKER} names {shown(name)}, which is outside it"
        path = folder / name
        if not os.path.isfile(path):  # also of a name that no disk takes
            return f"its {name[:MAX_SHOWN]} is missing"
        if (there := path.stat().st_size) != size:
            return f"its {name} has {there:,} bytes of {size:,}"
    return found


def _is_marker(found: dict[str, Any]) -> bool:
    """Whether it says all that `mark` writes."""
    step, parts = found.get("step"), (found.get("files"), found.get("logs"))
    if type(step) is not int or step < 0 or type(found.get("weights_only")) is not bool:
        return False
    return all(
        isinstance(part, dict) and all(type(size) is int and size >= 0 for size in part.values())
        for part in parts
    )


def read(folder: Path) -> Checkpoint | str:
    """A checkpoint to go on from, or why the folder is none, by its marker and the Trainer's state."""
    found = marker(folder)
    if isinstance(found, str):
        return found
    if found["weights_only"]:
        return "it holds weights alone (save_only_model)"
    state = saved_state.trainer_state(folder)
    if isinstance(state, str):
        return state
    epochs, last = math.floor(state.get("epoch") or 0), found["step"] >= state["max_steps"]
    return Checkpoint(folder, found["step"], epochs, last, found["logs"])


def _folders(run: Path) -> list[tuple[int, Path]]:
    """The checkpoints of a run with their steps, newest first."""
    found = [(path.name.removeprefix("checkpoint-"), path) for path in run.glob("checkpoint-*")]
    return sorted(((int(step), path) for step, path in found if step.isdecimal()), reverse=True)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run has come: as one that was not begun, unless `standing` says more."""

    checkpoint: Checkpoint | None = None
    """The one to go on from."""
    skipped: Sequence[str] = ()
    """A line for each newer one that is not complete."""
    finished: bool = False
    """Whether its policy is saved, and no training is left to do."""


def standing(run: Path) -> Standing:
    """How far the run in a folder has come."""
    checkpoint, skipped = newest(run)
    saved = isinstance(marker(run / "model"), dict)
    return Standing(checkpoint, skipped, saved and (checkpoint is None or checkpoint.last))


def newest(run: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest complete checkpoint, and a line for each newer one that is not."""
    skipped: list[str] = []
    for _, path in _folders(run):
        found = read(path)
        if isinstance(found, Checkpoint):
            names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
            if (why := saved_state.why_unreadable(path, names)) is None:
                return found, skipped
            found = why
        skipped.append(f"{path.name} is skipped: {found}")
    return None, skipped


def superfluous(found: Iterable[tuple[int, bool]], limit: int | None, keep: int | None = None) -> list[int]:
    """Steps of the checkpoints that may go once a new one is complete.

    Args:
        found: Step of each, and whether it is complete.
        limit: How many complete ones stay; None or 0 is all.
        keep: Step of one that stays whatever its age.

    >>> superfluous([(2, True), (4, True), (6, False), (8, True)], 2)
    [2, 6]
    """
    if not limit:
        return []
    rows = sorted(found)
    complete = [step for step, whole in rows if whole]
    stay = {*complete[-limit:], keep}
    return [step for step, _ in rows if step not in stay] if complete else []


def rotate(run: Path, limit: int | None, best: str | None = None) -> None:
    """Remove what `superfluous` names, each beginning with its marker."""
    found = dict(_folders(run))
    whole = [(step, (path / MARKER).is_file()) for step, path in found.items()]
    keep = next((step for step, path in found.items() if best and path == Path(best)), None)
    for step in superfluous(whole, limit, keep):
        remove(found[step])


def remove(folder: Path) -> None:
    """Delete a checkpoint; half deleted it does not pass for one."""
    (folder / MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def written(folder: Path) -> Iterator[None]:
    """Around what writes a folder: a disk that is full, or not ours to write, is one sentence.

    Raises:
        InputError: For that; what was written so far is removed.
    """
    try:
        yield
    except Exception as error:
        if not (reason := atomic.disk_trouble(error) or atomic.disk_trouble(error.__cause__)):
            raise
        remove(folder)
        raise InputError(
            f"{folder} cannot be written ({reason}): make room, then go on with --resume auto from the "
            "checkpoint before it"
        ) from error
