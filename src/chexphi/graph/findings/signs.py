"""A sign, and what the text concludes from it: `an opacity suggests pneumonia`. Standard library only."""

from __future__ import annotations

from dataclasses import replace

from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.records import NO_QUALITIES, Finding


def says_no_more(sign: Finding, finding: Finding, ontology: Ontology) -> bool:
    """Whether a mere sign says no more than what the text concludes from it."""
    is_known = ontology.is_sign(sign.concept) and sign.present and finding.present and finding.certain
    return is_known and finding.concept in ontology.ancestors[sign.concept]


def as_its_sign(finding: Finding, sign: Finding) -> Finding:
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
