"""Whether a reasoning entails its answer. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from chexphi.graph.clinical.compare import denies
from chexphi.graph.consistency.question import Claim, claim_of
from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.findings.records import Finding, Qualities
from chexphi.graph.types import Extractor

Verdict = Literal["entails", "contradicts", "silent"]
_OPPOSITE: dict[Verdict, Verdict] = {"entails": "contradicts", "contradicts": "entails", "silent": "silent"}
_REGION = r"\b(?:box|marked (?:region|area)|region)\b"
_SIDE = r"\b(?:left|right)\b[^,.;]*"
_MARKED = re.compile(
    rf"(?P<before>{_SIDE}?)\bin the {_REGION}|{_REGION}[^.;]{{0,40}}?(?P<after>{_SIDE})", re.IGNORECASE
)
"""`the left upper zone in the box`, `the box marks the left upper zone`"""
_NOTHING_SAID = r"\b(?:no|nothing|none|without)\b[^.;]*\b"
_CHANGE_WORDS = {"new": r"(?:new|newly|appeared)", "resolved": r"(?:resolved|disappeared|cleared)"}
DEGREES_APART = 1.5
SIZES_APART = 0.75
"""Ratio of two sizes below which they contradict each other."""


def consistency(
    question: str, answer: str | None, reasoning: str, extractor: Extractor, ontology: Ontology
) -> Verdict:
    """Whether a reasoning entails the answer, contradicts it, or says nothing of it.

    It compares the reasoning with the answer that was given, and not with the right one.

    Args:
        question: The question, with its options where it has some.
        answer: The answer as text; without one nothing is entailed.
        reasoning: The text before the answer.
        extractor: What reads the texts.
        ontology: Concepts and words.
    """
    if not answer or not reasoning.strip():
        return "silent"
    claim = claim_of(question, answer, extractor, ontology)
    if claim is None:
        return "silent"
    (parse,) = extractor.parse([reasoning])
    said = findings(parse, ontology)
    return _judge(claim, said, reasoning, ontology)


def _judge(claim: Claim, said: Sequence[Finding], reasoning: str, ontology: Ontology) -> Verdict:
    place = _marked_place(reasoning, ontology) if claim.in_region else None
    if claim.in_region and place is None:
        return "silent"
    if claim.count is not None:
        return _count(claim, said, ontology)
    listed = _listed(claim, said, place, ontology) if claim.lists else []
    if claim.lists and not claim.hypotheses:
        return "contradicts" if listed else _nothing(claim, said, reasoning, ontology)
    verdicts = [_status(_at(hypothesis, place), said, ontology) for hypothesis in claim.hypotheses]
    verdict = _joined(verdicts, any_is_enough=claim.any_is_enough)
    if verdict == "entails" and not all(_is_named(finding, claim, ontology) for finding in listed):
        return "silent"  # the answer leaves out what the reasoning has
    return _OPPOSITE[verdict] if claim.denied else verdict


def _joined(verdicts: Sequence[Verdict], *, any_is_enough: bool) -> Verdict:
    """The verdict on several findings together."""
    strongest: tuple[Verdict, Verdict] = (
        ("entails", "contradicts") if any_is_enough else ("contradicts", "entails")
    )
    if strongest[0] in verdicts:
        return strongest[0]
    return strongest[1] if all(verdict == strongest[1] for verdict in verdicts) else "silent"


def _status(hypothesis: Finding, said: Sequence[Finding], ontology: Ontology) -> Verdict:
    """Whether findings entail one more, or contradict it."""
    if not hypothesis.present:
        return _absence(hypothesis, said, ontology)
    claims = _claims_of(hypothesis, said, ontology)
    fits = [_fit(f.qualities, hypothesis.qualities) for f in claims]
    if True in fits:
        return "entails"
    if any(not f.present and denies(f, hypothesis, ontology) for f in said):
        return "contradicts"
    return "contradicts" if fits and None not in fits else "silent"


def _claims_of(hypothesis: Finding, said: Sequence[Finding], ontology: Ontology) -> list[Finding]:
    """Claims of a finding by its own name; without one, those of its kinds, unless the name is denied.

    A nodule is an opacity, but not for a text that says `no opacity` beside it.
    """
    named = [f for f in said if f.concept == hypothesis.concept]
    if named:
        return [f for f in named if f.present]
    return [f for f in said if f.present and hypothesis.concept in ontology.ancestors.get(f.concept, ())]


def _absence(hypothesis: Finding, said: Sequence[Finding], ontology: Ontology) -> Verdict:
    """Whether findings entail that something is absent, or has resolved."""
    anywhere = replace(hypothesis, qualities=_place_of(hypothesis))
    claimed = any(denies(anywhere, f, ontology) for f in _claims_of(hypothesis, said, ontology))
    names = ontology.ancestors.get(hypothesis.concept, {hypothesis.concept: 0})
    denials = [f for f in said if not f.present and f.concept in names]
    if hypothesis.qualities.change == "resolved":
        denials = [f for f in denials if f.qualities.change == "resolved"]
    if claimed:
        return "silent" if denials else "contradicts"
    return "entails" if denials else "silent"


def _place_of(finding: Finding) -> Qualities:
    return Qualities(sides=finding.qualities.sides, zones=finding.qualities.zones)


def _fit(said: Qualities, asked: Qualities) -> bool | None:
    """Whether what is said of a finding is what is asked of it; None where something asked is not said."""
    fits = [
        fit
        for is_asked, fit in (
            (bool(asked.sides), _overlap(said.sides, asked.sides)),
            (bool(asked.zones), _overlap(said.zones, asked.zones)),
            (asked.change is not None, said.change == asked.change if said.change else None),
            (asked.degree is not None, _near_degrees(said.degree, asked.degree)),
            (asked.size_mm is not None, _near_sizes(said.size_mm, asked.size_mm)),
        )
        if is_asked
    ]
    return False if False in fits else None if None in fits else True


def _overlap(said: frozenset[str], asked: frozenset[str]) -> bool | None:
    """All that is asked is said: True; nothing of it: False; a part of it, or no word: None."""
    return None if not said or (said & asked and not asked <= said) else asked <= said


def _near_degrees(said: float | None, asked: float | None) -> bool | None:
    return None if said is None or asked is None else abs(said - asked) < DEGREES_APART


def _near_sizes(said: float | None, asked: float | None) -> bool | None:
    return None if not said or not asked else min(said, asked) / max(said, asked) >= SIZES_APART


def _at(hypothesis: Finding, place: Qualities | None) -> Finding:
    """The hypothesis in the marked region."""
    if place is None:
        return hypothesis
    return replace(hypothesis, qualities=replace(hypothesis.qualities, sides=place.sides, zones=place.zones))


def _marked_place(reasoning: str, ontology: Ontology) -> Qualities | None:
    """Side and zone of the marked region, where the reasoning names it."""
    places = (match["before"] or match["after"] for match in _MARKED.finditer(reasoning))
    if (place := next(filter(None, places), None)) is None:
        return None
    return ontology.vocabulary.qualities(frozenset(re.findall(r"[a-z]+", place.lower())))


def _listed(
    claim: Claim, said: Sequence[Finding], place: Qualities | None, ontology: Ontology
) -> list[Finding]:
    """What a reasoning says of the kind, in the place and with the change that a list is asked of."""
    of_kind = [f for f in said if _is_of_kind(f, claim, ontology)]
    if claim.change == "resolved":
        return [f for f in of_kind if not f.present and f.qualities.change == "resolved"]
    listed = [f for f in of_kind if f.present and claim.change in (None, f.qualities.change)]
    return listed if place is None else [f for f in listed if _fit(f.qualities, place)]


def _nothing(claim: Claim, said: Sequence[Finding], reasoning: str, ontology: Ontology) -> Verdict:
    """Whether a reasoning that lists nothing says so."""
    if claim.change:
        words = _NOTHING_SAID + _CHANGE_WORDS[claim.change]
        return "entails" if re.search(words, reasoning, re.IGNORECASE) else "silent"
    is_said = any(not f.present and _is_of_kind(f, claim, ontology) for f in said)
    return "entails" if is_said else "silent"


def _is_named(finding: Finding, claim: Claim, ontology: Ontology) -> bool:
    """Whether an answer names a finding, or what it is a kind or a sign of."""
    kin = ontology.ancestors.get(finding.concept, {finding.concept: 0})
    return any(
        hypothesis.concept in kin or finding.concept in ontology.ancestors.get(hypothesis.concept, ())
        for hypothesis in claim.hypotheses
    )


def _is_of_kind(finding: Finding, claim: Claim, ontology: Ontology) -> bool:
    """Whether a finding is a device where devices are asked for, and none where findings are."""
    is_device = "device" in ontology.ancestors.get(finding.concept, ())
    return is_device == (claim.lists == "device")


def _count(claim: Claim, said: Sequence[Finding], ontology: Ontology) -> Verdict:
    """Whether a reasoning names as many findings of one kind as the answer says."""
    if not claim.hypotheses:
        return "silent"
    concept = claim.hypotheses[0].concept
    named = [f for f in said if concept in ontology.ancestors.get(f.concept, {f.concept: 0})]
    count = sum(f.qualities.count or 1 for f in named if f.present)
    if not named:
        return "silent"
    return "entails" if count == claim.count else "contradicts"
