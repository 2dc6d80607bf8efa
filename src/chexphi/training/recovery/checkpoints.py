"""Checkpoints on disk: when one is complete, which is the newest, and which may go.

The Trainer writes a checkpoint file by file. `complete.json` is written after the last of them, once they are
on the disk, with the size of each. After a kill, a full disk or an interrupted copy the sizes do not agree.
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
from chexphi.model_card import pages
from chexphi.model_folder import COMPLETE, leads_outside
from chexphi.schema import MAX_SHOWN, InputError, shown
from chexphi.training.recovery import saved_state

MARKER = COMPLETE
CARD = pages.NAME
"""Its owner may edit it: it does not count."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint folder, and how far the run had come when it was taken."""

    path: Path
    step: int
    epochs: int = 0
    """Whole passes over the data before it."""
    ends_training: bool = False
    """Whether no step is left to train after it."""
    logs: Mapping[str, int] = field(default_factory=dict)
    """Bytes of each of the run's logs."""


def mark(folder: Path, step: int, *, logs: Sequence[Path] = (), weights_only: bool = False) -> None:
    """Mark a folder as complete, after all its files are on the disk."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in (MARKER, CARD)]
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
    """The content of `complete.json` if the folder agrees with it; otherwise why it does not."""
    if not (folder / MARKER).is_file():
        return f"it has no {MARKER}: it was not written to its end"
    try:
        content = read_object(folder / MARKER)
    except InputError:
        return f"its {MARKER} is damaged"
    if not _is_marker(content):
        return f"its {MARKER} is damaged"
    for name, size in content["files"].items():
        if leads_outside(name):
            return f"its {MARKER} names {shown(name)}, which is outside it"
        if name == CARD:
            continue
        path = folder / name
        if not os.path.isfile(path):  # also of a name that no disk takes
            return f"its {name[:MAX_SHOWN]} is missing"
        if (actual_size := path.stat().st_size) != size:
            return f"its {name} has {actual_size:,} bytes of {size:,}"
    return content


def _is_marker(content: dict[str, Any]) -> bool:
    """Whether it has all that `mark` writes."""
    step, size_tables = content.get("step"), (content.get("files"), content.get("logs"))
    if type(step) is not int or step < 0 or type(content.get("weights_only")) is not bool:
        return False
    return all(
        isinstance(sizes, dict) and all(type(size) is int and size >= 0 for size in sizes.values())
        for sizes in size_tables
    )


def read(folder: Path) -> Checkpoint | str:
    """A checkpoint to resume from, or why the folder is not one, by its marker and the Trainer's state."""
    content = marker(folder)
    if isinstance(content, str):
        return content
    if content["weights_only"]:
        return "it holds weights alone (save_only_model)"
    state = saved_state.trainer_state(folder)
    if isinstance(state, str):
        return state
    step, epochs = content["step"], math.floor(state.get("epoch") or 0)
    return Checkpoint(folder, step, epochs, step >= state["max_steps"], content["logs"])


def _folders(run: Path) -> list[tuple[int, Path]]:
    """The checkpoints of a run with their steps, newest first."""
    steps = [(path.name.removeprefix("checkpoint-"), path) for path in run.glob("checkpoint-*")]
    return sorted(((int(step), path) for step, path in steps if step.isdecimal()), reverse=True)


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run has come; by default, it has not begun."""

    checkpoint: Checkpoint | None = None
    """The one to resume from."""
    skipped: Sequence[str] = ()
    """A line for each newer one that is not complete."""
    finished: bool = False
    """Whether its policy is saved, and no training is left to do."""

    @property
    def step(self) -> int:
        """The optimiser step that it goes on from."""
        return self.checkpoint.step if self.checkpoint else 0


def progress_of(run: Path) -> RunProgress:
    """How far the run in a folder has come."""
    checkpoint, skipped = newest(run)
    is_saved = isinstance(marker(run / "model"), dict)
    return RunProgress(checkpoint, skipped, is_saved and (checkpoint is None or checkpoint.ends_training))


def newest(run: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest complete checkpoint, and a line for each newer one that is not."""
    skipped: list[str] = []
    for _, path in _folders(run):
        checkpoint = read(path)
        if isinstance(checkpoint, str):
            reason = checkpoint
        else:
            names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
            problem = saved_state.why_unreadable(path, names)
            if problem is None:
                return checkpoint, skipped
            reason = problem
        skipped.append(f"{path.name} is skipped: {reason}")
    return None, skipped


def superfluous(
    checkpoints: Iterable[tuple[int, bool]], limit: int | None, best_step: int | None = None
) -> list[int]:
    """Steps of the checkpoints that may go once a new one is complete.

    Args:
        checkpoints: Step of each, and whether it is complete.
        limit: How many complete ones stay; None or 0 is all.
        best_step: Step of the best one, which stays whatever its age.

    >>> superfluous([(2, True), (4, True), (6, False), (8, True)], 2)
    [2, 6]
    """
    if not limit:
        return []
    rows = sorted(checkpoints)
    complete_steps = [step for step, is_complete in rows if is_complete]
    staying_steps = {*complete_steps[-limit:], best_step}
    return [step for step, _ in rows if step not in staying_steps] if complete_steps else []


def rotate(run: Path, limit: int | None, best: str | None = None) -> None:
    """Remove the checkpoints that `superfluous` names, the marker of each first."""
    folders = dict(_folders(run))
    checkpoints = [(step, (path / MARKER).is_file()) for step, path in folders.items()]
    best_step = next((step for step, path in folders.items() if best and path == Path(best)), None)
    for step in superfluous(checkpoints, limit, best_step):
        remove(folders[step])


def remove(folder: Path) -> None:
    """Delete a checkpoint; half deleted, it does not count as one."""
    (folder / MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def written(folder: Path) -> Iterator[None]:
    """For a block that writes a folder: a full disk, or one that we may not write to, becomes one sentence.

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
            f"{folder} cannot be written ({reason}): make room, then resume with --resume auto from the "
            "checkpoint before it"
        ) from error
