"""The figures of `chexphi rewards agree` on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from chexphi.number_text import counted, figure_text
from chexphi.reward_checks.agreement.rankings import EQUAL_WITHIN
from chexphi.schema import visible

_SCORES_BESIDE = 4
"""Columns of scores that fit beside the categories in 80 columns; more come in a table below."""


def tables(figures: Mapping[str, Any]) -> Group:
    """A table for each form of texts that are rated, and one for cases that are ranked."""
    rated_tables = [_rated_table(rated) for rated in figures.get("rated", ())]
    return Group(*rated_tables, *(_ranked_tables(figures["ranked"]) if "ranked" in figures else ()))


def _rated_table(rated: Mapping[str, Any]) -> Table:
    table = Table(title=f"agreement on {rated['form']} [95 % by case]", box=box.SIMPLE, pad_edge=False)
    table.add_column("", overflow="fold")
    for heading in ("tau-b", "Pearson", "better of a pair", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in rated["scores"].items():
        table.add_row(escape(name), *_cells(row), figure_text(row["ms_per_sample"]))
    table.add_section()
    for name, row in rated["differences"].items():
        table.add_row(escape(f"{name}, gain"), *_cells(row, signed=True))
    if rated["raters"]:
        table.add_section()
        for row in _rater_rows(rated["raters"]):
            table.add_row(*row)
    notes = [
        f"{counted(rated['n'], 'text')} of {counted(rated['cases'], 'case')}, against the mean rating",
        "ms: median time of a sample, nothing cached",
    ]
    if rated["differences"]:
        notes.append(f"gain: over {escape(rated['baseline'])}")
    if rated["raters"]:
        notes.append("two raters: mean (least, greatest); one rater: against the mean of the others")
    table.caption = "\n".join(notes)
    return table


def _rater_rows(raters: Mapping[str, Any]) -> Iterator[list[str]]:
    if between := raters["between"]:
        yield ["two raters", f"{figure_text(between['mean'])} ({_bounds(between)})"]
    for number, row in enumerate(raters["one_against_others"], 1):
        yield [f"rater {number}", *(_cells(row) if row else ["none"] * 3)]


def _cells(row: Mapping[str, Any], *, signed: bool = False) -> list[str]:
    """Tau-b, Pearson without its interval (a line of 80 columns has no room), and the better of a pair."""
    tau_b, pair = (_with_bounds(row[name], signed=signed) for name in ("tau_b", "better_of_pair"))
    return [tau_b, _value(row["pearson"], signed=signed), pair]


def _value(estimate: Mapping[str, Any] | None, *, signed: bool) -> str:
    if estimate is None:
        return figure_text(None)
    return "+" * (signed and estimate["value"] >= 0) + figure_text(estimate["value"])


def _with_bounds(estimate: Mapping[str, Any] | None, *, signed: bool) -> str:
    if estimate is None or estimate["low"] is None:
        return _value(estimate, signed=signed)
    return f"{_value(estimate, signed=signed)} \\[{_bounds(estimate)}]"


def _bounds(estimate: Mapping[str, Any]) -> str:
    return f"{estimate['low']:.2f}, {estimate['high']:.2f}"


def _ranked_tables(ranked: Mapping[str, Any]) -> Iterator[Table]:
    scores = list(ranked["scores"].items())
    for start in range(0, len(scores), _SCORES_BESIDE):
        yield _ranked_table(ranked, dict(scores[start : start + _SCORES_BESIDE]))


def _ranked_table(ranked: Mapping[str, Any], scores: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(title="cases whose rankings all hold", box=box.SIMPLE, pad_edge=False)
    table.add_column("category", overflow="fold")
    for heading in ("cases", *scores):
        table.add_column(escape(heading), justify="right", overflow="fold")
    for category, count in ranked["categories"].items():
        contexts = ranked["contexts"].get(category, 0)
        note = f" ({contexts} needs context)" if contexts else ""
        passes = [str(row["categories"][category]) for row in scores.values()]
        table.add_row(escape(visible(category)) + note, str(count), *passes)
    table.add_section()
    table.add_row("all", str(ranked["cases"]), *(str(row["passed"]) for row in scores.values()))
    table.add_row(
        "all that need no context",
        str(ranked["cases"] - ranked["needs_context"]),
        *(str(row["passed_without_context"]) for row in scores.values()),
    )
    table.add_row("ms, median", "", *(figure_text(row["ms_per_sample"]) for row in scores.values()))
    table.caption = f"equal: a difference of at most {EQUAL_WITHIN:.2f} of the score's range"
    return table
