"""Summaries and comparisons as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

FIGURES = {
    "accuracy": "strict accuracy",
    "accuracy_clinical": "clinical accuracy",
    "accuracy_no_format_gate": "strict accuracy, no format gate",
    "accuracy_substring": "substring accuracy",
    "graph_f1": "graph F1",
    "entity_f1": "entity F1",
    "relation_f1": "relation F1",
    "scene_f1": "scene F1",
    "right_for_wrong_reason": "right for the wrong reason",
    "malformed": "malformed",
    "reasoning_words": "reasoning, words",
}
"""The figures of a table, in its order, and their names for people."""
_SHARES = {f"{part}_f1": (f"{part}_precision", f"{part}_recall") for part in ("entity", "relation", "scene")}
PARTS = tuple(name for names in _SHARES.values() for name in names)
"""Figures that a table shows below their F1."""
LOWER_IS_BETTER = frozenset({"right_for_wrong_reason", "malformed"})
NEITHER_IS_BETTER = frozenset({"reasoning_words"})
NOT_THERE = "-"


def digits(name: str) -> int:
    """Decimals a figure is shown with."""
    return 1 if name == "reasoning_words" else 3


def number(value: float, name: str, *, sign: bool = False) -> str:
    """A figure's value as text."""
    return f"{value:{'+' if sign else ''}.{digits(name)}f}"


def interval(estimate: Mapping[str, Any], name: str, *, sign: bool = False) -> str:
    """`[low, high]`, or nothing where there is none: one patient alone, or no spread."""
    if estimate["low"] is None:
        return ""
    return f"[{number(estimate['low'], name, sign=sign)}, {number(estimate['high'], name, sign=sign)}]"


def value_text(estimate: Mapping[str, Any] | None, name: str) -> str:
    """`0.815 [0.791, 0.838]`."""
    return f"{number(estimate['value'], name)} {interval(estimate, name)}".strip() if estimate else NOT_THERE


def difference_text(change: Mapping[str, Any] | None, name: str) -> str:
    """`+0.118 [+0.087, +0.148]`."""
    if not change:
        return ""
    return f"{number(change['difference'], name, sign=True)} {interval(change, name, sign=True)}".strip()


def verdict(change: Mapping[str, Any] | None, name: str) -> str:
    """`better` or `worse` where the whole interval lies on one side of 0, else an empty text."""
    if not change or change["low"] is None or name in NEITHER_IS_BETTER:
        return ""
    side = (change["low"] > 0) - (change["high"] < 0)
    return {1: "better", -1: "worse", 0: ""}[-side if name in LOWER_IS_BETTER else side]


def _parts(name: str) -> tuple[str, ...]:
    return (name, *_SHARES[name]) if name in _SHARES else (name,)


def table(result: Mapping[str, Any]) -> Table:
    """The table of a `summarize` or of a `compare` result."""
    return _comparison_table(result) if "mcnemar_p" in result else _summary_table(result)


def _summary_table(summary: Mapping[str, Any]) -> Table:
    title = f"{summary['n']} examples, {summary['patients']} patients; 95 % intervals by patient"
    found = Table("figure", "value", "95 % interval", "n", title=title)

    def add(label: str, name: str, estimate: Mapping[str, Any] | None) -> None:
        if estimate:
            bounds = escape(interval(estimate, name)) or "none"
            found.add_row(escape(label), number(estimate["value"], name), bounds, str(estimate["n"]))

    for first in FIGURES:
        for name in _parts(first):
            add(FIGURES.get(name, name.replace("_", " ")), name, summary.get(name))
    for key in ("by_kind", "by_question_type"):
        found.add_section()
        for value, figures in summary[key].items():
            add(f"{FIGURES['accuracy']}, {value}", "accuracy", figures["accuracy"])
    return found


MAX_GROUPS = 5
"""Groups without a comparison that are named; all are counted."""


def left_out_text(comparison: Mapping[str, Any]) -> str:
    """Which groups `compare` leaves out; empty if there are none."""
    names = comparison["groups_left_out"]
    if not names:
        return ""
    more = f" and {len(names) - MAX_GROUPS} more" if len(names) > MAX_GROUPS else ""
    return (
        "Groups that do not hold the same examples in A and in B are left out:"
        f" {', '.join(names[:MAX_GROUPS])}{more}."
    )


def _comparison_table(comparison: Mapping[str, Any]) -> Table:
    title = (
        f"{comparison['n']} examples, {comparison['patients']} patients; answers gained "
        f"{comparison['wins']}, lost {comparison['losses']}, McNemar p = {comparison['mcnemar_p']:.2g}"
    )
    found = Table("figure", "A", "B", "B - A", "95 % interval", title=title)
    found.caption = escape(left_out_text(comparison)) or None

    def add(label: str, name: str, change: Mapping[str, Any] | None) -> None:
        if change:
            sides = (number(change["a"], name), number(change["b"], name))
            difference = number(change["difference"], name, sign=True)
            found.add_row(
                escape(label), *sides, difference, escape(interval(change, name, sign=True)) or "none"
            )

    for name, label in FIGURES.items():
        add(label, name, comparison.get(name))
    found.add_section()
    for kind, figures in comparison["by_kind"].items():
        for name in ("accuracy", "graph_f1"):
            add(f"{FIGURES[name]}, {kind}", name, figures[name])
    return found


def arms_table(
    summaries: Mapping[str, Mapping[str, Any]], comparisons: Mapping[str, Mapping[str, Any] | None]
) -> Table:
    """Arms side by side: a figure's value and interval, below it the difference to the start.

    Args:
        summaries: `summarize` of each arm.
        comparisons: `compare(start, arm)` of the arms that have one.
    """
    found = Table(
        "figure",
        *(escape(name) for name in summaries),
        title="value [95 % interval]; below: difference to the start",
    )
    for name, label in FIGURES.items():
        if not any(summary.get(name) for summary in summaries.values()):
            continue
        cells = []
        for arm, summary in summaries.items():
            change = difference_text((comparisons.get(arm) or {}).get(name), name)
            cells.append(escape("\n".join(filter(None, [value_text(summary.get(name), name), change]))))
        found.add_row(label, *cells)
    return found
