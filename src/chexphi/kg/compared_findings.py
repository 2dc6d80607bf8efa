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
DENIAL_WORDS = {
    "agreed": "both deny",
    "partly": "both deny, less specific",
    "not_made": "denied in the reference only",
    "added": "denied in the text only",
}
"""What becomes of a denial -> what the table calls it."""


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
    """The comparison as JSON: the scores, the sums by significance, each finding and each denial."""
    sums = sums_of(match)
    return {
        "score": match.score,
        "signed": match.signed,
        "reward": match.reward,
        "omission": sums.omission,
        "hallucination": sums.hallucination,
        "findings": [_item(item) for item in match.worst_first],
        "denials_share": match.affirmed,
        "denials": [
            {"kind": kind, "reference": _record(reference), "text": _record(denial)}
            for kind, denial, reference in denials(match)
        ],
    }


def denials(match: ClinicalMatch) -> list[tuple[str, Finding | None, Finding | None]]:
    """Kind (a key of `DENIAL_WORDS`), the text's and the reference's denial, of each that is contradicted by
    no claim."""
    by_text, by_reference, shares = match.denials
    contradicted = {finding for item in match.judged for finding in (item.reference, item.candidate)}
    rows: list[tuple[str, Finding | None, Finding | None]] = []
    for column, truth in enumerate(by_reference):
        best = max(range(len(by_text)), key=lambda row: shares[row][column], default=None)
        share = 0.0 if best is None else shares[best][column]
        if best is not None and share:
            rows.append(("agreed" if share == 1 else "partly", by_text[best], truth))
        elif truth not in contradicted:
            rows.append(("not_made", None, truth))
    for row, denial in enumerate(by_text):
        if denial not in contradicted and not any(shares[row] if shares else ()):
            rows.append(("added", denial, None))
    return rows


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
    """Each finding and what became of it, the worst first; then each denial."""
    sums = sums_of(match)
    table = Table("finding", "in the text", "in the reference", "weight", "earned", "cost")
    for item in match.worst_first:
        figures = (figure_text(value) for value in (item.weight, item.credit, item.cost))
        verdict = Text.assemble((item.kind, STYLES[item.kind]), *(f"\n{reason}" for reason in item.reasons))
        table.add_row(verdict, _words(item.candidate), _words(item.reference), *figures)
    for kind, denial, reference in denials(match):
        table.add_row(DENIAL_WORDS[kind], _words(denial), _words(reference), *[NOT_THERE] * 3)
    table.caption = (
        f"reward {figure_text(match.reward)} (0: no better than silence), signed "
        f"{figure_text(match.signed)}, score {figure_text(match.score)}; omission "
        f"{figure_text(sums.omission)}, hallucination {figure_text(sums.hallucination)}, by clinical "
        "significance"
    )
    if not match.possible and match.denials.by_reference:
        table.caption += (
            f"\nthe reference names no finding: reward = score * {figure_text(match.affirmed)}, the share of "
            "the denials that both make"
        )
    return table


def _words(finding: Finding | None) -> Text:
    return Text(NOT_THERE if finding is None else visible(phrase(finding)))
