"""Summaries and comparisons as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, starmap
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from chexphi.evaluation.film_controls.table import sensitivity_sentence
from chexphi.evaluation.metrics import METRIC, METRICS
from chexphi.number_text import count_text, counted
from chexphi.runs.names import distinct_names

ROWS = tuple(metric for metric in METRICS if not metric.below)
"""The metrics of a table, in its order."""
NOT_THERE = "-"


def number(value: float, name: str, *, sign: bool = False) -> str:
    """A metric's value as text."""
    return METRIC[name].number(value, sign=sign)


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
    better = METRIC[name].better
    if not change or change["low"] is None or better == "neither":
        return ""
    side = (change["low"] > 0) - (change["high"] < 0)
    return {1: "better", -1: "worse", 0: ""}[-side if better == "lower" else side]


def table(result: Mapping[str, Any]) -> Table:
    """The table of a `summarize` or of a `compare` result."""
    return _comparison_table(result) if "mcnemar_p" in result else _summary_table(result)


def _sizes(result: Mapping[str, Any]) -> str:
    return f"{counted(result['n'], 'example')}, {counted(result['patients'], 'patient')}"


def _summary_table(summary: Mapping[str, Any]) -> Table:
    title = f"{_sizes(summary)}; 95 % intervals by patient"
    table = Table("figure", "value", "95 % interval", "n", title=title)

    def add(label: str, name: str, estimate: Mapping[str, Any] | None) -> None:
        if estimate:
            bounds = escape(interval(estimate, name)) or "none"
            table.add_row(escape(label), number(estimate["value"], name), bounds, count_text(estimate["n"]))

    for row in ROWS:
        for metric in (row, *(metric for metric in METRICS if metric.below == row.name)):
            add(metric.label, metric.name, summary.get(metric.name))
    for key, name in (("by_kind", "kind"), ("by_question_type", "type")):
        table.add_section()
        for value, estimates in summary[key].items():
            add(f"{METRIC['accuracy'].label}, {name} {value}", "accuracy", estimates["accuracy"])
    table.caption, table.caption_justify = escape(_legend(summary)), "left"
    return table


def _legend(summary: Mapping[str, Any]) -> str:
    """What the rows of an evaluation's table are, one line each."""
    lines = [f"{metric.label}: {metric.meaning}." for metric in ROWS if summary.get(metric.name)]
    lines.append("n: how many examples a figure is of; kind and type are those of the question.")
    lines.append("No interval: the examples are of one patient, or do not differ.")
    return "\n".join(lines)


OTHER_ONTOLOGY = (
    "{} and {} were evaluated with different files of concepts (--ontology): their graph figures and their "
    "clinical figures are not on one scale."
)
SAME_WEIGHTS = "Both are the same model: the hashes of their weights are equal."
NO_DIFFERENCE = "No difference shown: nothing is better or worse."
MAX_GROUPS = 5
"""Groups without a comparison that are named; all are counted."""


def left_out_text(comparison: Mapping[str, Any]) -> str:
    """Which groups `compare` leaves out; empty if there are none."""
    names = comparison["groups_left_out"]
    if not names:
        return ""
    not_named = f" and {len(names) - MAX_GROUPS} more" if len(names) > MAX_GROUPS else ""
    return (
        "Groups that do not hold the same examples in both are left out:"
        f" {', '.join(names[:MAX_GROUPS])}{not_named}."
    )


def _comparison_table(comparison: Mapping[str, Any]) -> Table:
    first, second = map(escape, _sides(comparison))
    title = (
        f"{_sizes(comparison)}; right answers that {second} gained {count_text(comparison['wins'])}, lost "
        f"{count_text(comparison['losses'])}, McNemar p = {comparison['mcnemar_p']:.2g}"
    )
    columns = ("figure", first, second, "difference [95 %]", "verdict")
    whole: list[tuple[str, str, Mapping[str, Any] | None]] = [
        (metric.label, metric.name, comparison.get(metric.name)) for metric in ROWS
    ]
    of_kinds: list[tuple[str, str, Mapping[str, Any] | None]] = [
        (f"{METRIC[name].label}, kind {kind}", name, changes[name])
        for kind, changes in comparison["by_kind"].items()
        for name in ("accuracy", "graph_f1")
    ]
    blocks = [list(filter(None, starmap(_change_cells, rows))) for rows in (whole, of_kinds)]
    has_verdict = any(cells[-1] for cells in chain(*blocks))
    shown = len(columns) if has_verdict else len(columns) - 1
    table = Table(*columns[:shown], title=title, box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:3]:  # long names of runs go on in the next line
        column.overflow, column.min_width = "fold", 6
    for column in table.columns[3:]:
        column.no_wrap = True
    for block in blocks:
        for cells in block:
            table.add_row(*cells[:shown])
        table.add_section()
    table.caption_justify = "left"
    table.caption = "\n".join(_notes(comparison, first, second, has_verdict=has_verdict))
    return table


def _change_cells(label: str, name: str, change: Mapping[str, Any] | None) -> list[str]:
    """A row of a comparison; its last cell is the verdict. No cells if nothing can be compared."""
    if not change:
        return []
    sides = (number(change["a"], name), number(change["b"], name))
    difference = number(change["difference"], name, sign=True)
    bounds = escape(interval(change, name, sign=True)) or "none"
    return [escape(label), *sides, f"{difference} {bounds}", verdict(change, name)]


def _notes(comparison: Mapping[str, Any], first: str, second: str, *, has_verdict: bool) -> Iterator[str]:
    """The lines below the table of a comparison."""
    if comparison.get("same_weights"):
        yield SAME_WEIGHTS
    if comparison.get("same_ontology") is False:
        yield OTHER_ONTOLOGY.format(first, second)
    if not has_verdict:
        yield NO_DIFFERENCE
    if change := comparison.get("image_sensitivity"):
        yield sensitivity_sentence(change, first, second)
    yield (
        f"The difference is {second} minus {first}: above 0, {second} has more. It is called better or worse "
        "where the whole interval lies on one side of 0. McNemar p: the chance of so uneven a gain and loss "
        "between two equal policies, with examples taken as independent."
    )
    if left_out := left_out_text(comparison):
        yield escape(left_out)


def _sides(comparison: Mapping[str, Any]) -> Sequence[str]:
    """What the two sides of a comparison are called."""
    paths = [comparison.get("a"), comparison.get("b")]
    return distinct_names(paths) if all(isinstance(path, str) for path in paths) else ("first", "second")  # type: ignore[arg-type]


def arms_table(
    summaries: Mapping[str, Mapping[str, Any]], comparisons: Mapping[str, Mapping[str, Any] | None]
) -> Table:
    """Each figure of each arm, and its difference to the start; no line is wider than a terminal.

    Args:
        summaries: `summarize` of each arm.
        comparisons: `compare(start, arm)` of the arms that have one.
    """
    table = Table(
        *("figure", "arm", "value [95 % interval]", "difference to the start"),
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for metric in ROWS:
        estimates = {arm: summary.get(metric.name) for arm, summary in summaries.items()}
        if not any(estimates.values()):
            continue
        values = [value_text(estimate, metric.name) for estimate in estimates.values()]
        changes = [
            difference_text((comparisons.get(arm) or {}).get(metric.name), metric.name) for arm in estimates
        ]
        table.add_row(metric.label, *(escape("\n".join(lines)) for lines in (estimates, values, changes)))
    for column in table.columns[1:]:
        column.no_wrap = True
    return table
