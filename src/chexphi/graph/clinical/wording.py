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
BOTH_SIDES = frozenset({"left", "right"})


def phrase(finding: Finding) -> str:
    """A finding as a phrase.

    >>> phrase(Finding("pleural_effusion", certain=False))
    'possible pleural effusion'
    """
    qualities = finding.qualities
    side = "bilateral" if qualities.sides == BOTH_SIDES else next(iter(qualities.sides), None)
    size = None if qualities.size_mm is None else f"{figure_text(qualities.size_mm)} mm"
    position = {"good": "in good position", "bad": "malpositioned", None: None}[qualities.position]
    words = [
        None if finding.present else "no",
        None if finding.certain else "possible",
        qualities.change,
        qualities.time,
        _degree(qualities.degree),
        side,
        *sorted(qualities.zones),
        finding.concept.replace("_", " "),
        size,
        position,
    ]
    return " ".join(word for word in words if word)


def _degree(degree: float | None) -> str | None:
    if degree is None:
        return None
    return next((word for limit, word in DEGREES if degree <= limit), "large")


def both_phrases(item: Judged) -> str:
    """The reference's finding and the candidate's as phrases; one where they read alike or one is missing."""
    texts = [phrase(finding) for finding in (item.reference, item.candidate) if finding is not None]
    return " / ".join(dict.fromkeys(texts))


def line(item: Judged) -> str:
    """One finding of a comparison, what became of it, why, and its weight."""
    why = f" ({', '.join(item.reasons)})" if item.reasons else ""
    return f"{item.kind}: {both_phrases(item)}{why}, weight {figure_text(item.weight)}"
