"""What a reasoning says: each finding with its change, the structures it lies in, and the film it is on."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace

from chexphi.graph.consistency import changes
from chexphi.graph.consistency.places import location_of, structures_in, without_names_like_zones
from chexphi.graph.findings.clauses import clauses, continues, is_on_prior_film
from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.findings.records import NO_QUALITIES, Finding, Qualities
from chexphi.graph.findings.vocabulary import Vocabulary, millimetres
from chexphi.graph.types import Parse

_DENIAL = re.compile(r"\b(?:no|not|without|never|neither|nor|none|free of)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
REGION = re.compile(
    r"\b(?:box|(?:marked|highlighted|indicated|outlined|boxed) (?:region|area|part)|region)\b", re.IGNORECASE
)
_FREE = re.compile(r"(?<!not )\b(?:normal|clear|unremarkable)\b", re.IGNORECASE)
_FILM = r"\b(?:film|study|radiograph|image|examination|x-?ray)\b"
_NORMAL_FILM = re.compile(
    rf"{_FILM} (?:(?:is|are|was|were|appears?|looks?) )?(?:normal|unremarkable)\b"
    rf"|(?<!not )(?<!not a )\b(?:normal|unremarkable) (?:chest )?{_FILM}",
    re.IGNORECASE,
)
_NOT_SPOKEN_OF = re.compile(r"\b(?:measured|mentioned|described|discussed|specified)\b", re.IGNORECASE)
"""`No nodule is measured` does not say that there is none."""
_DUE_TO = re.compile(
    r"\b(?:by|from|due to|representing|reflecting|consistent with|compatible with)\b", re.IGNORECASE
)
_ELSEWHERE = re.compile(r"\b(?:elsewhere|outside|other side|other lung)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """A finding that a reasoning claims or denies."""

    finding: Finding
    changes: frozenset[str] = frozenset()
    """The changes that the reasoning leaves possible: `new`, `increased`, … and `absent` (on no film)."""
    structures: frozenset[str] = frozenset()
    on_prior: bool = False
    """The reasoning speaks of the prior film alone."""
    in_region: bool = False
    """Said of the marked region."""
    is_elsewhere: bool = False
    """Said of another place than the marked region that is asked for."""


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A reasoning as statements."""

    text: str
    statements: tuple[Statement, ...]
    region: Qualities | None = None
    """Side and zone of the marked region, where they are named."""


@dataclass(frozen=True, slots=True)
class _Clause:
    text: str
    start: int
    end: int
    is_about_region: bool
    follows: str | None
    """The word by which its sentence goes on with the one before."""


def read_reasoning(parse: Parse, ontology: Ontology) -> Reasoning:
    """The statements of a text in their order, each once."""
    found_findings = sorted(findings(parse, ontology, with_former=True), key=lambda finding: finding.start)
    starts = [finding.start for finding in found_findings]
    statements: list[Statement] = []
    region_text = ""
    for clause in _clauses(parse.text):
        if REGION.search(clause.text):
            region_text = region_text or clause.text
        clause_findings = found_findings[bisect_left(starts, clause.start) : bisect_left(starts, clause.end)]
        if clause_findings:
            statements += _statements(clause, clause_findings, ontology)
        elif _NORMAL_FILM.search(clause.text) or (clause.is_about_region and _FREE.search(clause.text)):
            denial = Finding("abnormality", present=False)
            statements.append(Statement(denial, changes.NEVER_THERE, in_region=clause.is_about_region))
        elif clause.follows and statements:
            statements += _continued(clause, statements[-1], ontology.vocabulary)
    return Reasoning(
        parse.text, tuple(dict.fromkeys(statements)), _location(region_text, ontology.vocabulary)
    )


def _clauses(text: str) -> Iterator[_Clause]:
    sentence_number, is_about_region, follows = -1, False, None
    for number, start, end in clauses(text):
        clause_text = text[start:end]
        if number != sentence_number:
            sentence_number, follows = number, continues(clause_text)
            is_about_region &= follows in ("it", "this")
        is_about_region = (is_about_region or bool(REGION.search(clause_text))) and not _ELSEWHERE.search(
            clause_text
        )
        yield _Clause(clause_text, start, end, is_about_region, follows)


def _statements(
    clause: _Clause, clause_findings: Sequence[Finding], ontology: Ontology
) -> Iterator[Statement]:
    """The findings of a clause with the change and the structures that the clause gives them."""
    is_prior, structures = is_on_prior_film(clause.text), structures_in(clause.text)
    own_changes = {finding.qualities.change for finding in clause_findings} - {None}
    for finding in _placed(clause, clause_findings, ontology.vocabulary):
        if not finding.present and _NOT_SPOKEN_OF.search(clause.text):
            continue
        qualities, change = finding.qualities, _change(clause, finding.qualities.change, own_changes)
        if "device" in ontology.ancestors.get(finding.concept, ()):
            qualities = replace(qualities, zones=frozenset())
        text_before = clause.text[: finding.start - clause.start]
        persists = bool(change) and change <= changes.ON_BOTH_FILMS and not _DENIAL.search(text_before)
        present = (finding.present or persists) and change != {"resolved"}
        on_prior = is_prior and not change
        yield Statement(
            Finding(finding.concept, present, finding.certain, qualities),
            _possible(change, present=present, on_prior=on_prior),
            structures,
            on_prior=on_prior,
            in_region=clause.is_about_region,
        )


def _change(clause: _Clause, own_change: str | None, own_changes: Set[str | None]) -> frozenset[str]:
    """The changes that a clause leaves a finding: its own, or those of the clause where no other has them."""
    if len(own_changes) > 1:
        return frozenset({own_change}) if own_change else frozenset()
    return changes.changes_in(clause.text, own_change) if own_change or not own_changes else frozenset()


def _placed(clause: _Clause, clause_findings: Sequence[Finding], vocabulary: Vocabulary) -> Iterator[Finding]:
    """Claims without a place, in the one place that their clause names: `the left base, filled by effusion`.

    Of several findings only one that another is due to lies where that one lies.
    """
    location = location_of(vocabulary.qualities(_words(without_names_like_zones(clause.text), vocabulary)))
    is_one_location = len(location.sides) == 1 and len(location.zones) <= 1
    end = clause.start
    for finding in clause_findings:
        own = finding.qualities
        is_alone = len(clause_findings) == 1 or bool(
            _DUE_TO.search(clause.text[end - clause.start : finding.start - clause.start])
        )
        if is_one_location and is_alone and finding.present and not (own.sides or own.zones):
            yield replace(finding, qualities=replace(own, sides=location.sides, zones=location.zones))
        else:
            yield finding
        end = finding.end


def _possible(change: frozenset[str], *, present: bool, on_prior: bool) -> frozenset[str]:
    """The changes that a statement leaves possible."""
    if on_prior:
        return changes.ON_PRIOR_FILM if present else frozenset({"new", "absent"})
    if present:
        return change & changes.PRESENT_NOW or changes.PRESENT_NOW
    if change == {"new"}:  # `no new effusion`
        return changes.ON_BOTH_FILMS | changes.ABSENT_NOW
    return change & changes.ABSENT_NOW or frozenset({"absent"})


def _continued(clause: _Clause, statement: Statement, vocabulary: Vocabulary) -> Iterator[Statement]:
    """A clause without a finding of its own, which goes on with the last one: `None on the right.`"""
    change = changes.changes_in(clause.text)
    qualities = vocabulary.qualities(_words(clause.text, vocabulary))
    size_mm = millimetres(clause.text.lower())
    qualities = replace(qualities, size_mm=size_mm, change=None, time=None, count=None)
    if not change and qualities == NO_QUALITIES and clause.follows not in ("one", "none"):
        return
    finding = replace(statement.finding, qualities=qualities)
    if clause.follows in ("one", "none"):
        finding = replace(finding, present=clause.follows == "one", certain=True)
    on_prior = is_on_prior_film(clause.text) and not change
    finding = replace(finding, present=finding.present and change != {"resolved"})
    yield Statement(
        finding,
        _possible(change, present=finding.present, on_prior=on_prior),
        structures_in(clause.text),
        on_prior=on_prior,
        in_region=clause.is_about_region,
    )


def _location(region_text: str, vocabulary: Vocabulary) -> Qualities | None:
    """Side and zone of the region that a clause names."""
    if not region_text:
        return None
    qualities = vocabulary.qualities(_words(region_text, vocabulary))
    return location_of(qualities)


def _words(text: str, vocabulary: Vocabulary) -> frozenset[str]:
    return vocabulary.words(" ".join(_WORD.findall(text.lower())))
