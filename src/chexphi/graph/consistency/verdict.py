"""Whether a reasoning entails its answer. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

from chexphi.graph.clinical.compare import denies
from chexphi.graph.consistency.question import Claim, claim_of
from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.findings.records import Finding, Qualities
from chexphi.graph.types import Extractor

Verdict = Literal["entails", "silent", "contradicts"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
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
    reasoning_findings = findings(parse, ontology)
    return _judge(claim, reasoning_findings, reasoning, ontology)


def _judge(
    claim: Claim, reasoning_findings: Sequence[Finding], reasoning: str, ontology: Ontology
) -> Verdict:
    region = _marked_place(reasoning, ontology) if claim.in_region else None
    if claim.in_region and region is None:
        return "silent"
    if claim.count is not None:
        return _count(claim, reasoning_findings, ontology)
    listed = _listed(claim, reasoning_findings, region, ontology) if claim.lists else []
    if claim.lists and not claim.hypotheses:
        return "contradicts" if listed else _nothing(claim, reasoning_findings, reasoning, ontology)
    verdicts = [
        _status(_at(hypothesis, region), reasoning_findings, ontology) for hypothesis in claim.hypotheses
    ]
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


def _status(hypothesis: Finding, reasoning_findings: Sequence[Finding], ontology: Ontology) -> Verdict:
    """Whether findings entail one more, or contradict it."""
    if not hypothesis.present:
        return _absence(hypothesis, reasoning_findings, ontology)
    claims = _claims_of(hypothesis, reasoning_findings, ontology)
    fits = [_fit(f.qualities, hypothesis.qualities) for f in claims]
    if True in fits:
        return "entails"
    if any(not f.present and denies(f, hypothesis, ontology) for f in reasoning_findings):
        return "contradicts"
    return "contradicts" if fits and None not in fits else "silent"


def _claims_of(
    hypothesis: Finding, reasoning_findings: Sequence[Finding], ontology: Ontology
) -> list[Finding]:
    """Claims of a finding by its own name; without one, those of its kinds, unless the name is denied.

    A nodule is an opacity, but not for a text that says `no opacity` beside it.
    """
    exact_findings = [f for f in reasoning_findings if f.concept == hypothesis.concept]
    if exact_findings:
        return [f for f in exact_findings if f.present]
    return [
        f
        for f in reasoning_findings
        if f.present and hypothesis.concept in ontology.ancestors.get(f.concept, ())
    ]


def _absence(hypothesis: Finding, reasoning_findings: Sequence[Finding], ontology: Ontology) -> Verdict:
    """Whether findings entail that something is absent, or has resolved."""
    anywhere = replace(hypothesis, qualities=_place_of(hypothesis))
    claimed = any(denies(anywhere, f, ontology) for f in _claims_of(hypothesis, reasoning_findings, ontology))
    names = ontology.ancestors.get(hypothesis.concept, {hypothesis.concept: 0})
    denials = [f for f in reasoning_findings if not f.present and f.concept in names]
    if hypothesis.qualities.change == "resolved":
        denials = [f for f in denials if f.qualities.change == "resolved"]
    if claimed:
        return "silent" if denials else "contradicts"
    return "entails" if denials else "silent"


def _place_of(finding: Finding) -> Qualities:
    return Qualities(sides=finding.qualities.sides, zones=finding.qualities.zones)


def _fit(claim_qualities: Qualities, sought: Qualities) -> bool | None:
    """Whether a claim has the qualities that are sought; None where one of them is not said."""
    fits = [
        fit
        for is_sought, fit in (
            (bool(sought.sides), _overlap(claim_qualities.sides, sought.sides)),
            (bool(sought.zones), _overlap(claim_qualities.zones, sought.zones)),
            (sought.change is not None, _same(claim_qualities.change, sought.change)),
            (sought.degree is not None, _near_degrees(claim_qualities.degree, sought.degree)),
            (sought.size_mm is not None, _near_sizes(claim_qualities.size_mm, sought.size_mm)),
        )
        if is_sought
    ]
    return False if False in fits else None if None in fits else True


def _overlap(words: frozenset[str], sought: frozenset[str]) -> bool | None:
    """True: all that is sought is there; False: nothing of it; None: a part of it, or no word at all."""
    return None if not words or (words & sought and not sought <= words) else sought <= words


def _same(change: str | None, sought: str | None) -> bool | None:
    return None if change is None else change == sought


def _near_degrees(degree: float | None, sought: float | None) -> bool | None:
    return None if degree is None or sought is None else abs(degree - sought) < DEGREES_APART


def _near_sizes(size_mm: float | None, sought: float | None) -> bool | None:
    return None if not size_mm or not sought else min(size_mm, sought) / max(size_mm, sought) >= SIZES_APART


def _at(hypothesis: Finding, region: Qualities | None) -> Finding:
    """The hypothesis in the marked region."""
    if region is None:
        return hypothesis
    return replace(
        hypothesis, qualities=replace(hypothesis.qualities, sides=region.sides, zones=region.zones)
    )


def _marked_place(reasoning: str, ontology: Ontology) -> Qualities | None:
    """Side and zone of the marked region, where the reasoning names it."""
    region_texts = (match["before"] or match["after"] for match in _MARKED.finditer(reasoning))
    if (region_text := next(filter(None, region_texts), None)) is None:
        return None
    return ontology.vocabulary.qualities(frozenset(re.findall(r"[a-z]+", region_text.lower())))


def _listed(
    claim: Claim, reasoning_findings: Sequence[Finding], region: Qualities | None, ontology: Ontology
) -> list[Finding]:
    """What a reasoning says of the kind, in the place and with the change that a list is asked of."""
    of_kind = [f for f in reasoning_findings if _is_of_kind(f, claim, ontology)]
    if claim.change == "resolved":
        return [f for f in of_kind if not f.present and f.qualities.change == "resolved"]
    listed = [f for f in of_kind if f.present and claim.change in (None, f.qualities.change)]
    return listed if region is None else [f for f in listed if _fit(f.qualities, region)]


def _nothing(
    claim: Claim, reasoning_findings: Sequence[Finding], reasoning: str, ontology: Ontology
) -> Verdict:
    """Whether a reasoning that lists nothing says so."""
    if claim.change:
        words = _NOTHING_SAID + _CHANGE_WORDS[claim.change]
        return "entails" if re.search(words, reasoning, re.IGNORECASE) else "silent"
    is_said = any(not f.present and _is_of_kind(f, claim, ontology) for f in reasoning_findings)
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


def _count(claim: Claim, reasoning_findings: Sequence[Finding], ontology: Ontology) -> Verdict:
    """Whether a reasoning names as many findings of one kind as the answer says."""
    if not claim.hypotheses:
        return "silent"
    concept = claim.hypotheses[0].concept
    named = [f for f in reasoning_findings if concept in ontology.ancestors.get(f.concept, {f.concept: 0})]
    count = sum(f.qualities.count or 1 for f in named if f.present)
    if not named:
        return "silent"
    return "entails" if count == claim.count else "contradicts"
