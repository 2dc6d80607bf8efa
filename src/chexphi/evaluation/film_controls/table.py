"""The figures under each control as a table for the terminal, and as sentences."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from chexphi.evaluation.film_controls.figures import ANSWERS_CHANGED, FINDINGS_CLAIMED, HEADLINES
from chexphi.evaluation.film_controls.names import CONTROLS
from chexphi.evaluation.metrics import METRIC
from chexphi.number_text import counted

NOT_THERE = "-"
SURVIVES = "In brackets: the share that survives."
ROWS = {
    **{name: METRIC[name].label for name in HEADLINES},
    ANSWERS_CHANGED: "answers that change",
    FINDINGS_CLAIMED: "reasonings that claim a finding",
}
"""Figure -> what people read of it."""


def control_rows(controls: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The columns and the rows of the figures under each control, as texts.

    Args:
        controls: What `control_figures` returns.
    """
    names = [name for name in CONTROLS if name in controls]
    rows = []
    for figure, label in ROWS.items():
        as_shown = controls["as_shown"].get(figure)
        whole = as_shown if figure in HEADLINES else None
        cells = [_cell(as_shown, None), *(_cell(controls[name].get(figure), whole) for name in names)]
        if any(cell != NOT_THERE for cell in cells):
            rows.append([label, *cells])
    return ["figure", "as shown", *names], rows


def control_table(controls: Mapping[str, Any]) -> Table:
    """Each figure with the films themselves and under each control, with the share that survives.

    Args:
        controls: What `control_figures` returns.
    """
    columns, rows = control_rows(controls)
    title = f"Does it look at the film? {counted(controls['n'], 'example')} with films"
    table = Table(*columns, title=title, box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:]:
        column.no_wrap = True
    for row in rows:
        table.add_row(*row)
    table.caption_justify = "left"
    table.caption = "\n".join([*sentences(controls), *meanings(controls), SURVIVES])
    return table


def meanings(controls: Container[str]) -> list[str]:
    """What each of these controls shows."""
    return [f"{name}: {meaning}." for name, meaning in CONTROLS.items() if name in controls]


def _cell(estimate: Mapping[str, Any] | None, as_shown: Mapping[str, Any] | None) -> str:
    if not estimate:
        return NOT_THERE
    survives = f" ({estimate['value'] / as_shown['value']:.0%})" if as_shown and as_shown["value"] else ""
    return f"{estimate['value']:.3f}{survives}"


def sentences(controls: Mapping[str, Any]) -> list[str]:
    """Image sensitivity and hallucinated reasoning, each in a sentence, where their controls were run."""
    text_of = {
        "image_sensitivity": "Image sensitivity {}: the share of answers that change with another film.",
        "hallucinated_reasoning": "Hallucinated reasoning {}: the share that claims findings on a grey film.",
    }
    return [
        text.format(_with_interval(estimate))
        for name, text in text_of.items()
        if (estimate := controls.get(name))
    ]


def _with_interval(estimate: Mapping[str, Any], key: str = "value") -> str:
    sign = "+" if key == "difference" else ""
    bounds = (
        "" if estimate["low"] is None else f" [{estimate['low']:{sign}.3f}, {estimate['high']:{sign}.3f}]"
    )
    return f"{estimate[key]:{sign}.3f}{bounds}"


def sensitivity_sentence(change: Mapping[str, Any], first_policy: str, second_policy: str) -> str:
    """What became of the image sensitivity from one policy to the other.

    Args:
        change: A paired difference, `{"a", "b", "difference", "low", "high", "n"}`.
        first_policy: Name of the first.
        second_policy: Name of the second.
    """
    fell = change["high"] is not None and change["high"] < 0
    rose = change["low"] is not None and change["low"] > 0
    verdict = {
        (True, False): f"{second_policy} looks at the film less than {first_policy}",
        (False, True): f"{second_policy} looks at the film more than {first_policy}",
    }.get((fell, rose), "no difference is shown")
    return (
        f"Image sensitivity {change['a']:.3f} and {change['b']:.3f}, difference "
        f"{_with_interval(change, 'difference')}: {verdict}."
    )
