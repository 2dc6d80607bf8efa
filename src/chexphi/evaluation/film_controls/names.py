"""The controls of an evaluation. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path

from chexphi.schema import InputError, shown

BLANK, SHUFFLE, FLIP, NOISE = "blank", "shuffle", "flip", "noise"
CONTROLS = {
    BLANK: "a grey film of the same size",
    SHUFFLE: "the film of another patient",
    FLIP: "the film mirrored, so that left and right change places",
    NOISE: "grey noise of the same size",
}
"""Each control, and what it shows in place of the film."""
ALL = "all"
CONTROLS_FOLDER = "controls"
"""Of a run; each control has a folder in it, which `compare` takes as a run."""
CONTROLS_HELP = (
    f"also ask with other films: {ALL}, or some of {', '.join(CONTROLS)} with commas between them; says what "
    "survives without the film"
)


def folder_of(path: str | os.PathLike[str]) -> Path:
    """The folder of predictions, given by itself or by the file in it."""
    return Path(path) if Path(path).is_dir() else Path(path).parent


def run_of(path: str | os.PathLike[str]) -> Path:
    """The run folder of predictions, which may be those of a control in it."""
    folder = folder_of(path)
    above = folder.absolute().parent
    is_control = folder.absolute().name in CONTROLS and above.name == CONTROLS_FOLDER
    return above.parent if is_control and not (folder / "manifest.json").exists() else folder


def answer_files(run: Path, name: str) -> list[Path]:
    """The files in which each process writes its rows, those of controls last.

    Args:
        run: The run's folder.
        name: The name of the files, without suffix.
    """
    patterns = (f"{name}*.jsonl", f"{CONTROLS_FOLDER}/*/{name}*.jsonl")
    return [path for pattern in patterns for path in sorted(run.glob(pattern))]


def chosen_controls(setting: str) -> tuple[str, ...]:
    """The controls that a setting names, each once, in the order of `CONTROLS`; none for an empty one.

    >>> chosen_controls("noise,blank")
    ('blank', 'noise')

    Raises:
        InputError: If a name is none of a control.
    """
    names = [name.strip() for name in setting.split(",")] if setting else []
    for name in names:
        if name not in (*CONTROLS, ALL):
            raise InputError(
                f"controls names {shown(name)}, which is no control: use {ALL}, or some of "
                f"{', '.join(CONTROLS)} with commas between them"
            )
    return tuple(name for name in CONTROLS if name in names or ALL in names)
