"""What is really on a drawn film: as a graph, and to measure a predicted graph."""

from __future__ import annotations

from collections.abc import Sequence

from chexphi.data.phantom import facts
from chexphi.data.phantom.scene import FINDINGS, SIDES, ZONES, Finding, Scene
from chexphi.graph.match import Counts
from chexphi.graph.types import Entity, Graph

_BILATERAL_WORDS = frozenset({"bilateral", "both"})
_IMPLIED_ZONE = {"pleural effusion": "lower"}
Location = tuple[str, str]
"""(side, zone); an empty text leaves it open."""


def scene_graph(scene: Scene) -> Graph:
    """The complete graph of one film: every finding with its location, every other finding as not present."""
    present_graphs = [facts.present(finding).graph for finding in scene.findings]
    absent_graphs = [facts.absent(name).graph for name in FINDINGS if not scene.has(name)]
    return facts.union(present_graphs + absent_graphs)


def scene_match(predicted: Graph, scenes: Sequence[Scene]) -> Counts:
    """Compare what a graph claims with what is drawn on the current film (the last scene).

    Only claims about the eight findings are judged. A claim is an entity `disorder_*`/`devices_*` with
    the locations in its graph: sides and zones that qualify it, or the anatomy it is `located_at`.
    A sign (`blunted`, `lucency`) claims the finding it suggests. Texts share entities, so where several
    findings are at one anatomy, each may be at any of the locations named there.

    * tp: drawn findings that are claimed present, with a right location or with none;
    * fn: drawn findings that are not (left out, denied, or claimed elsewhere);
    * fp: names claimed present that are not drawn at all, names claimed present with no drawn finding at
      any of the named locations, and denials of a drawn finding (at the denied location, if one is named).

    A finding claimed at a wrong location is one fp and one fn. A denial that names a location is not judged
    if there is a right claim of the same finding ("no left pleural effusion, but a right one": the graph
    joins both polarities to one anatomy). Right denials do not count, nor do entities of other kinds.
    With nothing drawn and nothing claimed the counts are empty.
    """
    current = scenes[-1]
    tp = fp = fn = 0
    for name in FINDINGS:
        drawn_findings = [finding for finding in current.findings if finding.name == name]
        claimed, denied = _claim(predicted, name, present=True), _claim(predicted, name, present=False)
        right = 0 if claimed is None else sum(_is_at(finding, claimed) for finding in drawn_findings)
        tp, fn = tp + right, fn + len(drawn_findings) - right
        if claimed is not None and not right:
            fp += 1
        wrongly = denied is not None and any(_is_at(finding, denied) for finding in drawn_findings)
        if wrongly and not (right and denied):
            fp += 1
    return Counts(tp, fp, fn)


def _claim(graph: Graph, name: str, *, present: bool) -> frozenset[Location] | None:
    """Locations at which the finding is claimed present (or absent): None if it is not claimed at all."""
    head = facts.head(name, present=present)
    carriers = {head} & graph.entities
    if present:
        signs = {(sign, "disorder_present") for sign, of in facts.SIGNS.items() if of == head[0]}
        carriers |= signs & graph.entities
    if not carriers:
        return None
    spots: set[Entity] = {tail for h, kind, tail in graph.relations if h in carriers and kind == "located_at"}
    words = {h[0] for h, kind, tail in graph.relations if kind == "modify" and tail in spots | carriers}
    return frozenset(location for word in words for location in _locations(word))


def _locations(concept: str) -> list[Location]:
    words = set(concept.split())
    zones = [zone for zone in ZONES if zone in words] or [""]
    sides = list(SIDES) if words & _BILATERAL_WORDS else [side for side in SIDES if side in words] or [""]
    return [(side, zone) for side in sides for zone in zones if side or zone]


def _is_at(finding: Finding, locations: frozenset[Location]) -> bool:
    """Whether the finding is at one of the locations; without any named location it is."""
    zone = finding.zone or _IMPLIED_ZONE.get(finding.name, "")
    sides, zones = ("", finding.side), ("", zone)
    return not locations or not finding.side or any(s in sides and z in zones for s, z in locations)
