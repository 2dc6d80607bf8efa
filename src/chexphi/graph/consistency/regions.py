"""What a reasoning says of the marked region. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chexphi.graph.consistency.fit import fit, joined
from chexphi.graph.consistency.hypotheses import Claim, Hypothesis
from chexphi.graph.consistency.places import overlap
from chexphi.graph.consistency.presence import Verdict
from chexphi.graph.consistency.statements import Statement
from chexphi.graph.findings.records import Qualities


def in_region(statements: Sequence[Statement], region: Qualities | None) -> list[Statement]:
    """Statements with what is said elsewhere marked.

    On the region is what its own sentence says, what lies in its place, and a denial for the whole film. Side
    and zone are left out: they are those of the region.
    """
    return [
        replace(
            s,
            finding=replace(s.finding, qualities=_without_location(s.finding.qualities)),
            is_elsewhere=not (s.in_region or _is_in_place(s, region) or _is_denied_everywhere(s)),
        )
        for s in statements
    ]


def claim_in_region(claim: Claim) -> Claim:
    """A claim whose findings are those of the region, wherever it is."""
    hypotheses = (replace(h, qualities=_without_location(h.qualities)) for h in claim.hypotheses)
    return replace(claim, hypotheses=tuple(hypotheses))


def of_region_location(claim: Claim, region: Qualities | None) -> Verdict:
    """Whether the marked region is where an answer says."""
    if region is None or not claim.hypotheses:
        return "silent"
    target = claim.hypotheses[0].qualities
    pairs = ((region.sides, target.sides), (region.zones, target.zones))
    is_fit = joined(
        overlap(region_places, target_places) for region_places, target_places in pairs if target_places
    )
    return "silent" if is_fit is None else "entails" if is_fit else "contradicts"


def _is_in_place(statement: Statement, region: Qualities | None) -> bool:
    if region is None or not (region.sides or region.zones):
        return False
    return fit(statement, Hypothesis(frozenset(), qualities=region, location_is_asked=True)) is True


def _is_denied_everywhere(statement: Statement) -> bool:
    qualities = statement.finding.qualities
    return not (statement.finding.present or qualities.sides or qualities.zones)


def _without_location(qualities: Qualities) -> Qualities:
    return replace(qualities, sides=frozenset(), zones=frozenset())
