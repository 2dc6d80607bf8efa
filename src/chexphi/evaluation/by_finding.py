"""Recall and precision of each finding that is present."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from chexphi.evaluation.summary import clusters
from chexphi.evaluation.tables import value_text
from chexphi.number_text import count_text
from chexphi.schema import Prediction
from chexphi.statistics.intervals import ratios
from chexphi.statistics.ratio import Ratio

MOST_ROWS = 20
"""Findings that the table shows; `summary.json` has all."""


def by_finding(predictions: Sequence[Prediction], *, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Each finding that is present by a reference or a reasoning, those that most references have first.

    Args:
        predictions: Those whose `present_findings` are known count.
        seed: Of the intervals.

    Returns:
        For each finding `in_references` and `claimed`, how many examples these are, and estimates of `recall`
        and `precision`; None for the recall of a finding that no reference has, or the precision of one that
        is never claimed.
    """
    rows = [(p, p.present_findings) for p in predictions if p.present_findings is not None]
    pairs = [(set(findings["reference"]), set(findings["predicted"])) for _, findings in rows]
    in_references = Counter(name for reference, _ in pairs for name in reference)
    claimed = Counter(name for _, predicted in pairs for name in predicted)
    names = sorted(in_references | claimed, key=lambda name: (-in_references[name], -claimed[name], name))
    figures = {
        (name, figure): Ratio.mean([_hit(name, pair[::order]) for pair in pairs])
        for name in names
        for figure, order in (("recall", 1), ("precision", -1))
    }
    estimates = ratios(figures, clusters([prediction for prediction, _ in rows])[0], seed=seed)
    return {
        name: {
            "in_references": in_references[name],
            "claimed": claimed[name],
            "recall": estimates[name, "recall"],
            "precision": estimates[name, "precision"],
        }
        for name in names
    }


def _hit(name: str, pair: Sequence[set[str]]) -> float | None:
    """Whether a finding of the first set is in the second; None if it is not in the first."""
    own_names, other_names = pair
    return float(name in other_names) if name in own_names else None


def finding_table(findings: Mapping[str, Mapping[str, Any]]) -> Table:
    """The commonest findings as a table for the terminal."""
    table = Table(
        *("finding", "stated", "recall", "claimed", "precision"),
        title="Findings that are present; 95 % intervals by patient",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in table.columns[1:]:
        column.no_wrap = True
    for name, figures in list(findings.items())[:MOST_ROWS]:
        recall, precision = (
            escape(value_text(figures[figure], f"present_{figure}")) for figure in ("recall", "precision")
        )
        counts = (count_text(figures[key]) for key in ("in_references", "claimed"))
        table.add_row(escape(name.replace("_", " ")), next(counts), recall, next(counts), precision)
    table.caption_justify = "left"
    table.caption = "stated: in how many references; claimed: in how many reasonings of the policy."
    if len(findings) > MOST_ROWS:
        table.caption += f"\n{len(findings) - MOST_ROWS} more findings are in summary.json."
    return table
