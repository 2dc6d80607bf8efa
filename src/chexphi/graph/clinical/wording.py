"""Findings and their comparison in plain words."""

from __future__ import annotations

from chexphi.graph.clinical.compare import Judged
from chexphi.graph.findings.records import Finding
from chexphi.number_text import figure_text

DEGREES = (
    (1.0, "trace", "minimal"),
    (2.0, "small", "mild"),
    (2.5, "small to moderate", "mild to moderate"),
    (3.0, "moderate", "moderate"),
    (3.5, "moderate to large", "moderate to severe"),
    (4.0, "large", "severe"),
)
"""Degrees up to which words hold: that of what has a size, and that of another finding."""
SIZED = frozenset(
    {"effusion", "pneumothorax", "hemothorax", "hydropneumothorax", "pneumomediastinum", "pneumoperitoneum"}
    | {"hematoma", "hernia", "nodule", "mass", "opacity", "cyst", "bulla", "cavity", "abscess", "granuloma"}
    | {"calcification", "fluid", "collection", "air", "lesion"}
    | {"ascites", "chylothorax", "empyema", "goiter", "lucency", "node", "nodes", "plaque", "stone"}
    | {"pneumatocele", "pneumopericardium"}
)
"""Last words of concepts that have a size: an effusion is small, and cardiomegaly is mild."""
BOTH_SIDES = frozenset({"left", "right"})


def phrase(finding: Finding) -> str:
    """A finding as a phrase.

    >>> phrase(Finding("pleural_effusion", certain=False))
    'possible pleural effusion'
    >>> from chexphi.graph.findings.records import Qualities
    >>> phrase(Finding("cardiomegaly", qualities=Qualities(degree=2.0)))
    'mild cardiomegaly'
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
        _degree(qualities.degree, finding.concept),
        side,
        *sorted(qualities.zones),
        finding.concept.replace("_", " "),
        size,
        position,
    ]
    return " ".join(word for word in words if word)


def _degree(degree: float | None, concept: str) -> str | None:
    if degree is None:
        return None
    of_size, of_severity = next(words for limit, *words in DEGREES if degree <= limit or limit == 4)
    return of_size if concept.replace("_", " ").split()[-1] in SIZED else of_severity


def both_phrases(item: Judged) -> str:
    """The reference's finding and the candidate's as phrases; one where they read alike or one is missing."""
    texts = [phrase(finding) for finding in (item.reference, item.candidate) if finding is not None]
    return " / ".join(dict.fromkeys(texts))


def line(item: Judged) -> str:
    """One finding of a comparison, what became of it, why, and its weight."""
    why = f" ({', '.join(item.reasons)})" if item.reasons else ""
    return f"{item.kind}: {both_phrases(item)}{why}, weight {figure_text(item.weight)}"
