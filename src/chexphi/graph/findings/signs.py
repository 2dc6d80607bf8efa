"""A sign, and what the text concludes from it: `an opacity suggests pneumonia`. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.records import NO_QUALITIES, Finding
from chexphi.graph.types import Parse

_WITH_SIGN = re.compile(r"^[\s,]*with\b[^.;:]*$", re.IGNORECASE)


def says_no_more(sign: Finding, finding: Finding, ontology: Ontology) -> bool:
    """Whether a mere sign says no more than what the text concludes from it."""
    is_known = ontology.is_sign(sign.concept) and sign.present and finding.present and finding.certain
    return is_known and finding.concept in ontology.ancestors[sign.concept]


def as_their_sign(findings: Sequence[Finding], signs: Sequence[Finding]) -> list[Finding]:
    """The findings that signs stand for; where the signs of both sides differ, one of each side."""
    return list(dict.fromkeys(_as_its_sign(finding, sign) for finding in findings for sign in signs))


def where_signs_lie(by_mention: dict[int, list[Finding]], parse: Parse, ontology: Ontology) -> None:
    """Place a finding without a place where its sign lies: `consolidation with air bronchograms on the left`.

    Args:
        by_mention: The findings of each mention, in the order of the text; changed in place.
        parse: The text.
        ontology: Knows the signs.
    """
    for index, sign_index in pairwise(by_mention):
        finding, sign = by_mention[index][0], by_mention[sign_index][0]
        if not ontology.is_sign(sign.concept) or finding.concept not in ontology.concepts:
            continue
        causes = ontology.concepts[sign.concept].under
        is_kin = not ontology.ancestors[finding.concept].keys().isdisjoint(causes)
        is_placed = finding.qualities.sides or finding.qualities.zones
        if is_kin and not is_placed and _WITH_SIGN.match(parse.text[finding.end : sign.start]):
            qualities = replace(finding.qualities, sides=sign.qualities.sides, zones=sign.qualities.zones)
            by_mention[index] = [replace(finding, qualities=qualities), *by_mention[index][1:]]


def _as_its_sign(finding: Finding, sign: Finding) -> Finding:
    """What a sign stands for lies where the sign lies and changes with it, unless the text says otherwise."""
    qualities, of_sign = finding.qualities, sign.qualities
    if of_sign == NO_QUALITIES:
        return finding
    source = qualities if qualities.sides or qualities.zones else of_sign
    qualities = replace(
        qualities,
        sides=source.sides,
        zones=source.zones,
        size_mm=qualities.size_mm or of_sign.size_mm,
        change=qualities.change or of_sign.change,
    )
    return replace(finding, qualities=qualities)
