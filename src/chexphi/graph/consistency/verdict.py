"""Whether a reasoning entails its answer. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chexphi.graph.consistency import changes
from chexphi.graph.consistency.claim import claim_of
from chexphi.graph.consistency.counting import count_in
from chexphi.graph.consistency.denied_place import denies_asked_place
from chexphi.graph.consistency.hypotheses import Claim, Hypothesis
from chexphi.graph.consistency.lists import of_list, says_nothing
from chexphi.graph.consistency.presence import OPPOSITE, VERDICTS, Verdict, joint_status, status
from chexphi.graph.consistency.regions import claim_in_region, in_region, of_region_location
from chexphi.graph.consistency.statements import Reasoning, Statement, read_reasoning
from chexphi.graph.consistency.wording import of_distance, of_larger_side, of_location, of_words
from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.types import Extractor

MAX_CHARACTERS = 2_000
"""What a longer question or answer claims is not read."""
__all__ = ["VERDICTS", "Verdict", "consistency"]


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
    if not answer or not reasoning.strip() or max(len(answer), len(question)) > MAX_CHARACTERS:
        return "silent"
    claim = claim_of(question, answer, extractor, ontology)
    (parse,) = extractor.parse([reasoning])
    reasoning_statements = read_reasoning(parse, ontology)
    verdict = _judged(claim, reasoning_statements, ontology)
    if verdict == "silent" and _claims_a_rival(claim, reasoning_statements, ontology):
        return "contradicts"
    return verdict


def _claims_a_rival(claim: Claim, reasoning: Reasoning, ontology: Ontology) -> bool:
    """Whether a reasoning entails another option, which leaves no room for the answer."""
    return any(
        _judged(replace(claim, hypotheses=rival), reasoning, ontology) == "entails"
        for rival in claim.rivals
        if all(_excludes(mine, other, ontology) for mine in rival for other in claim.hypotheses)
    )


def _excludes(rival: Hypothesis, hypothesis: Hypothesis, ontology: Ontology) -> bool:
    """Whether one option of a question is another than a second one: no kin of it, or on the other side."""
    rival_sides, sides = rival.qualities.sides, hypothesis.qualities.sides
    if rival_sides and sides and not rival_sides & sides:
        return True
    kin = frozenset[str]().union(*(ontology.ancestors.get(name, ()) for name in rival.concepts))
    kin_of_answer = frozenset[str]().union(
        *(ontology.ancestors.get(name, ()) for name in hypothesis.concepts)
    )
    return not (rival.concepts & (kin_of_answer | hypothesis.concepts) or hypothesis.concepts & kin)


def _judged(claim: Claim, reasoning: Reasoning, ontology: Ontology) -> Verdict:
    """The verdict on a claim by what a reasoning says."""
    query, text = claim.query, reasoning.text
    if claim.size_mm:
        return of_distance(claim.size_mm, text)
    if claim.count:
        return _of_count(claim, claim.count, reasoning, ontology)
    statements = _with_prior(reasoning)
    if query.doubtful:
        statements = [replace(s, finding=replace(s.finding, certain=True)) for s in statements]
    if query.region:
        if not claim.nothing and not any(hypothesis.concepts for hypothesis in claim.hypotheses):
            return of_region_location(claim, reasoning.region)
        statements, claim = in_region(statements, reasoning.region), claim_in_region(claim)
    if claim.nothing or (query.lists and claim.hypotheses):
        return of_list(claim, statements, text, ontology)
    if query.compares:
        return of_larger_side(claim, text, statements)
    if not claim.hypotheses:
        return _without_findings(claim, statements, text)
    return _of_findings(claim, statements, text, ontology)


def _of_findings(claim: Claim, statements: Sequence[Statement], text: str, ontology: Ontology) -> Verdict:
    """An answer that claims or denies findings, or says where they are."""
    if denies_asked_place(claim, text):
        return "entails" if claim.denied else "contradicts"
    verdict = joint_status(claim, statements, ontology)
    if verdict != "silent":
        return verdict
    if _chooses_another(claim, statements, ontology):
        return "contradicts"
    if says_nothing(claim, text) and not any(hypothesis.concepts for hypothesis in claim.hypotheses):
        return "contradicts" if claim.hypotheses[0].present else "entails"
    return of_location(claim, text, ontology.vocabulary) if claim.query.location else "silent"


def _with_prior(reasoning: Reasoning) -> list[Statement]:
    """Statements on the current film, with what those on the prior film say of their change."""
    prior_changes = {s.finding.concept: s.changes for s in reasoning.statements if s.on_prior}
    return [
        replace(s, changes=(s.changes & prior_changes.get(s.finding.concept, s.changes)) or s.changes)
        for s in reasoning.statements
        if not s.on_prior
    ]


def _chooses_another(claim: Claim, statements: Sequence[Statement], ontology: Ontology) -> bool:
    """Whether a reasoning claims another of the findings among which a question lets choose."""
    claimed_concepts = frozenset[str]().union(*(hypothesis.concepts for hypothesis in claim.hypotheses))
    is_choice = len(claim.alternatives) > 1 and claimed_concepts <= claim.alternatives
    if not is_choice or claim.any_is_enough or claim.denied:
        return False
    return any(
        status(Hypothesis(frozenset({concept})), statements, ontology) == "entails"
        for concept in claim.alternatives - claimed_concepts
    )


def _of_count(claim: Claim, count: tuple[float, float], reasoning: Reasoning, ontology: Ontology) -> Verdict:
    """Whether a reasoning names as many as the answer says."""
    found_count = count_in(reasoning.text, claim.query.counted_noun)
    if found_count is None:
        absences = [replace(hypothesis, present=False) for hypothesis in claim.hypotheses]
        if not any(status(h, _with_prior(reasoning), ontology) == "entails" for h in absences):
            return "silent"
        found_count = (0, 0)
    if found_count[1] < count[0] or found_count[0] > count[1]:
        verdict: Verdict = "contradicts"
    else:
        verdict = "entails" if count[0] <= found_count[0] and found_count[1] <= count[1] else "silent"
    return OPPOSITE[verdict] if claim.denied else verdict


def _without_findings(claim: Claim, statements: Sequence[Statement], text: str) -> Verdict:
    """An answer that names no finding: a change of the whole film, or words that no concept has."""
    if claim.query.change and (accepted := changes.asked_changes(claim.words)):
        changed_statements = [s for s in statements if s.changes < changes.PRESENT_NOW]
        fits = {changes.agree(s.changes, accepted) for s in changed_statements} - {None}
        return "silent" if len(fits) != 1 else "entails" if fits.pop() else "contradicts"
    verdict = of_words(claim, text)
    return OPPOSITE[verdict] if claim.denied else verdict
