"""Findings of a former film, which a text names and does not claim of this one. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from chexphi.graph.findings.clauses import clauses, continues, names_prior_film, prior_film
from chexphi.graph.findings.records import Finding
from chexphi.graph.findings.vocabulary import Vocabulary

_FORMER = r"(?:prior|previous|former|earlier)"
_FILM_BEFORE = re.compile(rf"\b{_FORMER}\b", re.IGNORECASE)
_PAST_VERB = re.compile(r"\b(?:was|were|had)\b", re.IGNORECASE)
_NAMED_FORMER = re.compile(rf"\b{_FORMER}(?: [\w-]+){{0,4}} $", re.IGNORECASE)
_COMPARED_WITH = re.compile(
    rf"\b(?:compared (?:with|to)|since|than|unlike|versus) (?:the |a )?{_FORMER}(?: [\w-]+){{0,4}} $",
    re.IGNORECASE,
)
_LOOK_BACK = 80
"""Characters before a finding that may say that it is a former one."""
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def without_former(findings: Sequence[Finding], text: str, vocabulary: Vocabulary) -> list[Finding]:
    """The findings of this film, and what a text says became of those of a former one.

    Args:
        findings: Of the text, in its order.
        text: All of it.
        vocabulary: Reads the words of change.
    """
    former = {f for f in findings if f.present and _is_named_former(f, findings, text)}
    current_findings: list[Finding] = []
    for on_former_film, change in _of_former_films(findings, text, vocabulary):
        former.add(on_former_film)
        if change:
            qualities = replace(on_former_film.qualities, change=change)
            current_findings.append(
                replace(on_former_film, present=change != "resolved", qualities=qualities)
            )
    if not former:
        return list(findings)
    return sorted([*(f for f in findings if f not in former), *current_findings], key=lambda f: f.start)


def _is_named_former(finding: Finding, findings: Sequence[Finding], text: str) -> bool:
    """Whether a finding is only compared with, or is a former one that this film has no more."""
    preceding_text = text[max(0, finding.start - _LOOK_BACK) : finding.start]
    if _COMPARED_WITH.search(preceding_text):
        return True
    return bool(_NAMED_FORMER.search(preceding_text)) and any(
        not other.present
        and other.concept == finding.concept
        and other.start > finding.start
        and (not other.qualities.sides or finding.qualities.sides <= other.qualities.sides)
        for other in findings
    )


def _of_former_films(
    findings: Sequence[Finding], text: str, vocabulary: Vocabulary
) -> Iterator[tuple[Finding, str | None]]:
    """Each finding of a clause on a former film, and how the next sentence says that it changed."""
    places = list(clauses(text)) if names_prior_film(text) else []
    for at, (number, start, end) in enumerate(places):
        clause = text[start:end]
        film = prior_film(clause) if _FILM_BEFORE.search(clause) else None
        if film is None or not (film["verb"] or _PAST_VERB.search(clause)):
            continue
        next_clause = next((text[a:b] for n, a, b in places[at + 1 :] if n == number + 1), "")
        change = None
        if continues(next_clause) in ("it", "they", "this", "these"):
            change = vocabulary.qualities(
                vocabulary.words(" ".join(_WORD.findall(next_clause.lower())))
            ).change
        for finding in findings:
            if start <= finding.start < end and finding.qualities.change is None:
                yield finding, change
