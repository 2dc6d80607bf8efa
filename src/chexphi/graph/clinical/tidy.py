"""The findings of a text, each once: what is said again, a sign of what is named, both sides one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.records import EMPTY, Finding, Qualities


def tidy(findings: Sequence[Finding], ontology: Ontology) -> list[Finding]:
    """Each finding once, as specific as the text makes it anywhere.

    A sign is left out if the text names what it is a sign of, in the same place.
    """
    claims: list[Finding] = []
    denials = list(dict.fromkeys(replace(f, start=0, end=0) for f in findings if not f.present))
    for finding in (f for f in findings if f.present):
        at = next((i for i, claim in enumerate(claims) if _same_place_and_name(claim, finding)), None)
        if at is None:
            claims.append(finding)
        else:
            claims[at] = _joined(claims[at], finding)
    claims = _both_sides_as_one(claims)
    return [claim for claim in claims if not _is_covered(claim, claims, ontology)] + denials


def _both_sides_as_one(claims: Sequence[Finding]) -> list[Finding]:
    """`Left effusion, right effusion` is `bilateral effusions`, if nothing else tells the two apart."""
    claim_by_key: dict[tuple[str, bool, Qualities], Finding] = {}
    for number, claim in enumerate(claims):
        is_one_sided = len(claim.qualities.sides) == 1 and not claim.qualities.count
        without_side = replace(claim.qualities, sides=EMPTY if is_one_sided else claim.qualities.sides)
        key = (claim.concept if is_one_sided else f"{claim.concept} {number}", claim.certain, without_side)
        claim_by_key[key] = _joined(claim_by_key[key], claim) if key in claim_by_key else claim
    return list(claim_by_key.values())


def _same_place_and_name(claim: Finding, finding: Finding) -> bool:
    if claim.concept != finding.concept:
        return False
    mine, theirs = claim.qualities, finding.qualities
    return meet(mine.sides, theirs.sides) and meet(mine.zones, theirs.zones)


def meet(words: frozenset[str], other_words: frozenset[str]) -> bool:
    """Whether two places have something in common; one that is not said could be any."""
    return not words or not other_words or bool(words & other_words)


def _joined(claim: Finding, mention: Finding) -> Finding:
    """A claim and a further mention of it as one."""
    mine, theirs = claim.qualities, mention.qualities
    qualities = replace(
        mine,
        sides=mine.sides | theirs.sides,
        zones=mine.zones | theirs.zones,
        degree=mine.degree if mine.degree is not None else theirs.degree,
        size_mm=mine.size_mm or theirs.size_mm,
        change=mine.change or theirs.change,
        position=mine.position or theirs.position,
    )
    return replace(claim, certain=claim.certain or mention.certain, qualities=qualities)


def _is_covered(claim: Finding, claims: Sequence[Finding], ontology: Ontology) -> bool:
    """Whether another claim names more precisely what this one names, or what this one is a sign of."""
    return any(
        other is not claim
        and _says_more(other.concept, claim.concept, ontology)
        and claim.qualities.sides <= other.qualities.sides
        and claim.qualities.zones <= other.qualities.zones
        for other in claims
    )


def _says_more(concept: str, name: str, ontology: Ontology) -> bool:
    """Whether the first concept is a kind of the second, or the second a mere sign of the first."""
    if concept == name:
        return False
    if ontology.is_sign(name) and concept in ontology.ancestors[name]:
        return not ontology.is_family(concept)
    return name in ontology.ancestors.get(concept, {}) and not ontology.is_sign(concept)
