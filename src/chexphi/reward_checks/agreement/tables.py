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


def tables(figures: Mapping[str, Any]) -> Group:
    """A table for each form of texts that are rated, and one for cases that are ranked."""
    rated_tables = [_rated_table(rated) for rated in figures.get("rated", ())]
    return Group(*rated_tables, *([_ranked_table(figures["ranked"])] if "ranked" in figures else []))


def _rated_table(rated: Mapping[str, Any]) -> Table:
    table = Table("", title=f"agreement on {rated['form']} [95 % by case]", box=box.SIMPLE)
    for heading in ("tau-b", "Pearson", "better of a pair", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in rated["scores"].items():
        table.add_row(escape(name), *_cells(row), figure_text(row["ms_per_sample"]))
    if rated["raters"]:
        table.add_section()
        for row in _rater_rows(rated["raters"]):
            table.add_row(*row)
    table.caption = (
        f"{counted(rated['n'], 'text')} of {counted(rated['cases'], 'case')}, against the mean rating\n"
        "ms: median time of a sample, nothing cached"
        + "\ntwo raters: mean (least, greatest); one rater: against the mean of the others"
        * bool(rated["raters"])
    )
    return table


def _rater_rows(raters: Mapping[str, Any]) -> Iterator[list[str]]:
    if between := raters["between"]:
        yield ["two raters", f"{figure_text(between['mean'])} ({_bounds(between)})"]
    for number, row in enumerate(raters["one_against_others"], 1):
        yield [f"rater {number}", *(_cells(row) if row else ["none"] * 3)]


def _cells(row: Mapping[str, Any]) -> list[str]:
    """Tau-b, Pearson without its interval (a line of 80 columns has no room), and the better of a pair."""
    correlation = figure_text(row["pearson"]["value"] if row["pearson"] else None)
    return [_with_bounds(row["tau_b"]), correlation, _with_bounds(row["better_of_pair"])]


def _with_bounds(estimate: Mapping[str, Any] | None) -> str:
    if estimate is None or estimate["low"] is None:
        return figure_text(estimate["value"] if estimate else None)
    return f"{figure_text(estimate['value'])} \\[{_bounds(estimate)}]"


def _bounds(estimate: Mapping[str, Any]) -> str:
    return f"{estimate['low']:.2f}, {estimate['high']:.2f}"


def _ranked_table(ranked: Mapping[str, Any]) -> Table:
    scores = ranked["scores"]
    table = Table("category", title="cases whose rankings all hold", box=box.SIMPLE)
    for heading in ("cases", *scores):
        table.add_column(escape(heading), justify="right")
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
