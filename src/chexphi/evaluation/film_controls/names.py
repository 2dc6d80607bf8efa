"""The controls of an evaluation. Standard library only."""

from __future__ import annotations

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


def chosen_controls(setting: str) -> tuple[str, ...]:
    """The controls that a setting names, each once, in the order of `CONTROLS`; none for an empty one.

    >>> chosen_controls("noise,blank")
    ('blank', 'noise')

    Raises:
        InputError: If a name is none of a control.
    """
    names = [name.strip() for name in setting.split(",") if name.strip()]
    for name in names:
        if name not in (*CONTROLS, ALL):
            raise InputError(
                f"controls names {shown(name)}, which is no control: use {ALL}, or some of "
                f"{', '.join(CONTROLS)} with commas between them"
            )
    return tuple(name for name in CONTROLS if name in names or ALL in names)
