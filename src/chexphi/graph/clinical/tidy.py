"""The findings of a text, each once: what is said again, a sign of what is named, both sides one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import replace

from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.records import EMPTY, Finding, Qualities
from chexphi.graph.types import SIDES


def tidy(findings: Sequence[Finding], ontology: Ontology) -> list[Finding]:
    """Each finding once, as specific as the text makes it anywhere.

    A sign is left out if the text names what it is a sign of, in the same place.
    """
    denial_by_key: dict[tuple[str, bool, Qualities], Finding] = {}
    for finding in findings:
        if not finding.present:
            denial_by_key.setdefault((finding.concept, finding.certain, finding.qualities), finding)
    claims = _each_once([f for f in findings if f.present])
    return [claim for claim in claims if not _is_covered(claim, claims, ontology)] + [*denial_by_key.values()]


def _each_once(claims: Sequence[Finding]) -> list[Finding]:
    if any(map(_is_of_both_sides, claims)):
        one_sided_claims = _joined_claims([claim for claim in claims if len(claim.qualities.sides) == 1])
        claims = _halved_last(claims, _told_apart(_both_sides_as_one(one_sided_claims)))
    return _both_sides_as_one(_joined_claims(claims))


def _joined_claims(claims: Sequence[Finding]) -> list[Finding]:
    """Claims of the same name and place as one."""
    joined_claims: list[Finding] = []
    for claim in claims:
        at = next((i for i, other in enumerate(joined_claims) if _same_place_and_name(other, claim)), None)
        if at is None:
            joined_claims.append(claim)
        else:
            joined_claims[at] = _joined(joined_claims[at], claim)
    return joined_claims


def _told_apart(findings: Sequence[Finding]) -> set[str]:
    """Names of what is said of the left and of the right side in different words.

    It may be claimed of one side and denied of the other.
    """
    sides_of_name: defaultdict[str, set[str]] = defaultdict(set)
    for finding in findings:
        if len(finding.qualities.sides) == 1:
            sides_of_name[finding.concept] |= finding.qualities.sides
    return {name for name, sides in sides_of_name.items() if len(sides) == len(SIDES)}


def halved_like(claims: list[Finding], other_findings: Sequence[Finding]) -> list[Finding]:
    """The claims, those of both sides in halves where the other text tells the two sides apart."""
    return (
        _halved_last(claims, _told_apart(other_findings)) if any(map(_is_of_both_sides, claims)) else claims
    )


def _halved_last(claims: Sequence[Finding], names: Set[str]) -> list[Finding]:
    """Claims of these names that are of both sides come last, as one of each side.

    So `bilateral effusions` beside `a large right and a small left effusion` adds nothing.
    """
    halved_claims = [claim for claim in claims if claim.concept in names and _is_of_both_sides(claim)]
    halves = [
        replace(claim, qualities=replace(claim.qualities, sides=frozenset({side})))
        for claim in halved_claims
        for side in SIDES
    ]
    return [claim for claim in claims if claim not in halved_claims] + halves


def _is_of_both_sides(claim: Finding) -> bool:
    return claim.present and len(claim.qualities.sides) == len(SIDES) and not claim.qualities.count


def _both_sides_as_one(claims: Sequence[Finding]) -> list[Finding]:
    """`Left effusion, right effusion` is `bilateral effusions`, if nothing else tells the two apart."""
    claim_by_key: dict[tuple[str, bool, Qualities], Finding] = {}
    for number, claim in enumerate(claims):
        key = (f"{claim.concept} {number}", claim.certain, claim.qualities)
        if len(claim.qualities.sides) == 1 and not claim.qualities.count:
            key = (claim.concept, claim.certain, replace(claim.qualities, sides=EMPTY))
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
