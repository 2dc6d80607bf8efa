"""The findings of two texts, compared: `chexphi kg compare`, and what `chexphi ask --reference` shows."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from chexphi.graph.clinical.compare import ClinicalMatch, Judged, compare
from chexphi.graph.clinical.sums import sums_of
from chexphi.graph.clinical.wording import phrase
from chexphi.graph.findings.ontology import open_ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.findings.records import Finding
from chexphi.graph.types import Extractor
from chexphi.number_text import figure_text
from chexphi.schema import InputError, visible

STYLES = {
    "contradicted": "bold red",
    "invented": "red",
    "missed": "blue",
    "partly": "yellow",
    "matched": "green",
}
NOT_THERE = "-"


def compare_texts(
    text: str, reference: str, extractor: Extractor, *, ontology: str = "", indication: str = ""
) -> ClinicalMatch:
    """What a text says of the findings of a reference.

    Args:
        text: The text that is judged.
        reference: The text that is right.
        extractor: What reads both.
        ontology: A file of concepts; see `ontology.load`.
        indication: Why the film was taken.

    Raises:
        InputError: If a text is empty, the reference has no findings, or the file has a mistake.
    """
    for name, words in (("text", text), ("reference", reference)):
        if not words.strip():
            raise InputError(
                f"kg compare: the {name} is empty: give a text in quotes, or - for standard input"
            )
    concepts = open_ontology(ontology)
    claimed, expected = (findings(parse, concepts) for parse in extractor.parse([text, reference]))
    if not expected:
        raise InputError(
            "kg compare: no finding can be read from the reference, so nothing can be compared: "
            "`chexphi kg show` tells what is read of a text"
        )
    return compare(claimed, expected, concepts, indication)


def to_dict(match: ClinicalMatch) -> dict[str, Any]:
    """The comparison as JSON: the scores, the sums by significance, and each finding."""
    sums = sums_of(match)
    return {
        "score": match.score,
        "signed": match.signed,
        "reward": match.reward,
        "omission": sums.omission,
        "hallucination": sums.hallucination,
        "findings": [_item(item) for item in match.worst_first],
    }


def _item(item: Judged) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "reference": _record(item.reference),
        "text": _record(item.candidate),
        "weight": item.weight,
        "credit": item.credit,
        "cost": item.cost,
        "reasons": list(item.reasons),
    }


def _record(finding: Finding | None) -> dict[str, Any] | None:
    return None if finding is None else finding.to_dict()


def findings_table(match: ClinicalMatch) -> Table:
    """Each finding and what became of it, the worst first."""
    sums = sums_of(match)
    table = Table("finding", "in the text", "in the reference", "weight", "earned", "cost")
    for item in match.worst_first:
        figures = (figure_text(value) for value in (item.weight, item.credit, item.cost))
        verdict = Text.assemble((item.kind, STYLES[item.kind]), *(f"\n{reason}" for reason in item.reasons))
        table.add_row(verdict, _words(item.candidate), _words(item.reference), *figures)
    table.caption = (
        f"score {figure_text(match.score)}, reward {figure_text(match.reward)} (signed "
        f"{figure_text(match.signed)}); omission {figure_text(sums.omission)}, hallucination "
        f"{figure_text(sums.hallucination)}, by clinical significance"
    )
    return table


def _words(finding: Finding | None) -> Text:
    return Text(NOT_THERE if finding is None else visible(phrase(finding)))
