"""Answers that list findings, or say that there are none. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chexphi.graph.consistency import changes
from chexphi.graph.consistency.fit import fit
from chexphi.graph.consistency.hypotheses import Claim, Hypothesis
from chexphi.graph.consistency.presence import Verdict, is_kind_of, joint_status
from chexphi.graph.consistency.statements import Statement
from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.records import Qualities

_NOTHING = r"\b(?:no|nothing|none|without)\b[^.;]{0,80}\b"
_CHANGE_WORDS = tuple(
    (change, re.compile(_NOTHING + words, re.IGNORECASE))
    for change, words in (
        (frozenset({"new"}), r"(?:new|newly|appeared)\b"),
        (frozenset({"resolved"}), r"(?:resolved|disappeared|cleared)\b"),
        (changes.PRESENT_NOW, r"(?:change|changed|changes|difference)\b"),
    )
)


def of_list(claim: Claim, statements: Sequence[Statement], text: str, ontology: Ontology) -> Verdict:
    """Whether a reasoning has what an answer lists, and nothing else where all is asked for."""
    listed_statements = [s for s in statements if _is_listed(s, claim, ontology)]
    is_nothing = says_nothing(claim, text)
    if claim.nothing:
        if listed_statements:
            return "contradicts"
        return "entails" if is_nothing or _denies_kind(claim, statements, ontology) else "silent"
    if is_nothing and not listed_statements:
        return "contradicts"
    verdict = joint_status(claim, statements, ontology)
    if claim.query.asks_all and any(_is_on_other_side(h, listed_statements) for h in claim.hypotheses):
        return "contradicts"
    if verdict == "entails" and claim.query.asks_all:
        is_complete = all(_is_named(s, claim, listed_statements, ontology) for s in listed_statements)
        return "entails" if is_complete else "silent"
    return verdict


def _is_on_other_side(hypothesis: Hypothesis, listed_statements: Sequence[Statement]) -> bool:
    """Whether an item is on a side where a reasoning that lists all findings has none of its name."""
    named_statements = [s for s in listed_statements if s.finding.concept in hypothesis.concepts]
    sides = hypothesis.qualities.sides
    return bool(hypothesis.present and sides and named_statements) and all(
        s.finding.qualities.sides and sides.isdisjoint(s.finding.qualities.sides) for s in named_statements
    )


def says_nothing(claim: Claim, text: str) -> bool:
    """Whether a reasoning says in so many words that nothing changed as the question asks."""
    return any(
        not claim.query.changes.isdisjoint(change) and words.search(text) for change, words in _CHANGE_WORDS
    )


def _denies_kind(claim: Claim, statements: Sequence[Statement], ontology: Ontology) -> bool:
    """Whether a reasoning denies what is asked for; what did not change is not denied."""
    return not claim.query.changes and any(
        not (s.finding.present or s.is_elsewhere) and _is_of_kind(s, claim, ontology) for s in statements
    )


def _is_listed(statement: Statement, claim: Claim, ontology: Ontology) -> bool:
    """Whether a statement claims what a list is asked of: its kind, in its place, with its change."""
    is_certain = statement.finding.certain and not statement.is_elsewhere
    if not is_certain or not _is_of_kind(statement, claim, ontology):
        return False
    if fit(statement, Hypothesis(frozenset(), qualities=claim.location, location_is_asked=True)) is False:
        return False
    return statement.changes <= claim.query.changes if claim.query.changes else statement.finding.present


def _is_of_kind(statement: Statement, claim: Claim, ontology: Ontology) -> bool:
    """Whether a finding is a device where devices are asked for, and none where findings are.

    What changed may be either.
    """
    is_device = "device" in ontology.ancestors.get(statement.finding.concept, ())
    return is_device == (claim.query.lists == "device") or (is_device and bool(claim.query.changes))


def _is_named(
    statement: Statement, claim: Claim, listed_statements: Sequence[Statement], ontology: Ontology
) -> bool:
    """Whether an answer names a finding, or what it is a kind or a sign of, or one of its kinds.

    A text that names both in different places, an opacity and a nodule elsewhere, means two findings.
    """
    concept, qualities = statement.finding.concept, statement.finding.qualities
    for hypothesis in claim.hypotheses:
        if concept in hypothesis.concepts:
            return True
        is_above = any(concept in ontology.ancestors.get(name, ()) for name in hypothesis.concepts)
        if is_above or is_kind_of(concept, hypothesis, ontology):
            named = [
                s.finding.qualities for s in listed_statements if s.finding.concept in hypothesis.concepts
            ]
            if not named or any(_may_be_one(qualities, others) for others in named):
                return True
    return False


def _may_be_one(mine: Qualities, theirs: Qualities) -> bool:
    """Whether two findings may lie in one place."""
    pairs = ((mine.sides, theirs.sides), (mine.zones, theirs.zones))
    return all(
        not my_places or not their_places or my_places & their_places for my_places, their_places in pairs
    )
