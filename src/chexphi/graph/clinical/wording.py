"""Findings and their comparison in plain words."""

from __future__ import annotations

from chexphi.graph.clinical.compare import Judged
from chexphi.graph.findings.records import Finding
from chexphi.number_text import figure_text

DEGREES = (
    (1.0, "trace"),
    (2.0, "small"),
    (2.5, "small to moderate"),
    (3.0, "moderate"),
    (3.5, "moderate to large"),
)
"""Degrees up to which a word holds; above them it is large."""
BOTH = frozenset({"left", "right"})


def phrase(finding: Finding) -> str:
    """A finding as a phrase.

    >>> phrase(Finding("pleural_effusion", certain=False))
    'possible pleural effusion'
    """
    said = finding.qualities
    side = "bilateral" if said.sides == BOTH else next(iter(said.sides), None)
    size = None if said.size_mm is None else f"{figure_text(said.size_mm)} mm"
    position = {"good": "in good position", "bad": "malpositioned", None: None}[said.position]
    words = [
        None if finding.present else "no",
        None if finding.certain else "possible",
        said.change,
        said.time,
        _degree(said.degree),
        side,
        *sorted(said.zones),
        finding.concept.replace("_", " "),
        size,
        position,
    ]
    return " ".join(word for word in words if word)


def _degree(degree: float | None) -> str | None:
    if degree is None:
        return None
    return next((word for most, word in DEGREES if degree <= most), "large")


def line(item: Judged) -> str:
    """One finding of a comparison, what became of it, why, and its weight."""
    texts = [phrase(finding) for finding in (item.reference, item.candidate) if finding is not None]
    both = " / ".join(dict.fromkeys(texts))
    why = f" ({', '.join(item.reasons)})" if item.reasons else ""
    return f"{item.kind}: {both}{why}, weight {figure_text(item.weight)}"
