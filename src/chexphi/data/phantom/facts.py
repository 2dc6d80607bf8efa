"""What a statement about a finding means: its phrase and its exact piece of graph, made from the scene.

The graphs follow the scheme of ReXKG (arXiv 2408.14397): an adjective of side or level qualifies the
anatomy of its noun phrase, a finding lies at its anatomy, a sign suggests the finding it stands for.
Nothing here reads text: the extractor is tested against these graphs, so they must not come from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_

from chexphi.data.phantom.scene import DEVICES, ZONED, Finding
from chexphi.graph.types import Entity, Graph

ZONE = "lung zone"
HEADS = {"pleural effusion": "effusion", "central line": "line"}
"""The entity that carries a finding, where it is not the finding's name."""
SIGNS = {"blunted": "effusion", "lucency": "pneumothorax"}
"""Disorders that are signs of another: sign -> the finding's head."""
_ARTICLE = {"cardiomegaly": "", "opacity": "an ", "endotracheal tube": "an "}
_PLACES = {"pacemaker": "in the left chest wall", "endotracheal tube": "in the trachea"}


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase and its piece of graph."""

    noun: str
    """Without article: `left pleural effusion`."""
    place: str
    """The place that follows it: `in the right upper lung zone`, or empty."""
    article: str
    """`a `, `an ` or empty."""
    graph: Graph

    @property
    def short(self) -> str:
        return self.article + self.noun

    @property
    def full(self) -> str:
        return f"{self.short} {self.place}".rstrip()


def union(graphs: Iterable[Graph]) -> Graph:
    return reduce(or_, graphs, Graph())


def head(name: str, *, present: bool) -> Entity:
    """The entity of a finding."""
    kind = "devices" if name in DEVICES else "disorder"
    return HEADS.get(name, name), f"{kind}_{'present' if present else 'notpresent'}"


def qualify(word: str, entity: Entity) -> Graph:
    """`word` qualifies `entity`; an empty word says nothing."""
    return Graph.of([entity], [((word, "concept"), "modify", entity)] if word else [])


def at(entity: Entity, place: str, word: str = "") -> Graph:
    """`entity` lies at `place`, which `word` qualifies."""
    anatomy = (place, "anatomy")
    return Graph.of([entity], [(entity, "located_at", anatomy)]) | qualify(word, anatomy)


def zone_name(side: str, zone: str) -> str:
    """The canonical name of a place: `right upper lung zone`."""
    return f"{side} {zone} {ZONE}"


def present(finding: Finding) -> Phrase:
    """The finding with its place, said directly."""
    name, side = finding.name, finding.side
    entity = head(name, present=True)
    noun, place, graph = name, _PLACES.get(name, ""), Graph.of([entity])
    if name in ZONED:
        place = f"in the {zone_name(side, finding.zone)}"
        graph = at(entity, ZONE, f"{side} {finding.zone}")
    elif name == "pleural effusion":
        noun, graph = f"{side} {name}", at(entity, "pleural", side)
    elif name == "pneumothorax":
        noun, graph = f"{side} apical {name}", at(entity, "apical", side)
    elif name == "central line":
        noun, graph = f"{side} {name}", qualify(f"{side} central", entity)
    elif name == "pacemaker":
        graph = at(entity, "chest wall", "left")
    elif name == "endotracheal tube":
        graph = at(entity, "trachea")
    article = "a " if noun != name else _ARTICLE.get(name, "a ")
    return Phrase(noun, place, article, graph)


def present_in_zone(name: str, side: str, zone: str) -> Phrase:
    """A finding of the lung or pleura, placed in the zone that a box marks."""
    entity = head(name, present=True)
    graph = at(entity, ZONE, f"{side} {zone}")
    if name == "pleural effusion":
        graph |= at(entity, "pleural")
    return Phrase(name, "", _ARTICLE.get(name, "a "), graph)


def absent(name: str, side: str = "", zone: str = "") -> Phrase:
    """The finding as it is denied: anywhere, on one side, or (lung and pleura) in one zone."""
    entity = head(name, present=False)
    noun, place, graph = name, "", Graph.of([entity])
    if zone:
        graph = at(entity, ZONE, f"{side} {zone}")
    elif side and name in ZONED:
        place, graph = f"in the {side} lung", at(entity, "lung", side)
    elif side and name == "pneumothorax":
        noun, graph = f"{side} {name}", qualify(side, entity)
    if name == "pleural effusion":
        in_front = "" if zone else side
        noun, graph = f"{in_front} {name}".strip(), graph | at(entity, "pleural", in_front)
    elif name == "central line":
        noun, graph = f"{side} {name}".strip(), qualify(f"{side} central".strip(), entity)
    article = "a " if noun != name else _ARTICLE.get(name, "a ")
    return Phrase(noun, place, article, graph)


@dataclass(frozen=True, slots=True)
class Inference:
    """A sign on the film, the finding it suggests, and both as a graph."""

    subject: str
    """`the left costophrenic angle`"""
    sign: str
    """`blunted`: what the subject is; for a pneumothorax the sign is a thing at the subject."""
    conclusion: str
    """`a pleural effusion`"""
    graph: Graph


def inferred(finding: Finding) -> Inference | None:
    """The sign that a careful reader names first, for the three findings that have one."""
    entity = head(finding.name, present=True)
    if finding.name == "pleural effusion":
        sign, place = ("blunted", "disorder_present"), "costophrenic angle"
        graph = at(sign, place, finding.side) | at(entity, "pleural")
        return Inference(
            f"the {finding.side} {place}", sign[0], "a pleural effusion", _suggest(graph, sign, entity)
        )
    if finding.name == "pneumothorax":
        sign = ("lucency", "disorder_present")
        graph = at(sign, "apex", finding.side)
        return Inference(
            f"the {finding.side} apex", "a lucency", "a pneumothorax", _suggest(graph, sign, entity)
        )
    if finding.name == "cardiomegaly":
        sign = ("enlarged", "concept")
        graph = qualify(sign[0], ("heart", "anatomy"))
        return Inference("the heart", sign[0], "cardiomegaly", _suggest(graph, sign, entity))
    return None


def _suggest(graph: Graph, sign: Entity, entity: Entity) -> Graph:
    return graph | Graph.of([], [(sign, "suggestive_of", entity)])


NORMAL_HEART = Graph.of(
    [],
    [
        (("normal", "concept"), "modify", ("size", "concept")),
        (("size", "concept"), "modify", ("heart", "anatomy")),
    ],
)
CLEAR_LUNGS = qualify("clear", ("lungs", "anatomy"))
PRIOR_FILM = qualify("prior", ("film", "procedures"))


def changed(finding: Finding, status: str) -> Phrase:
    """The finding and how it differs from the prior film: new, unchanged or resolved (then it is absent)."""
    there = present(finding)
    graph = there.graph
    if status == "resolved":
        denied, said = head(finding.name, present=False), head(finding.name, present=True)
        graph = Graph.of(
            [denied if e == said else e for e in graph.entities],
            [
                (denied if h == said else h, kind, denied if t == said else t)
                for h, kind, t in graph.relations
            ],
        )
    entity = head(finding.name, present=status != "resolved")
    return Phrase(there.noun, there.place, there.article, graph | qualify(status, entity) | PRIOR_FILM)


NOTHING = {
    status: PRIOR_FILM | Graph.of([(status, "concept")]) for status in ("new", "resolved", "unchanged")
}
"""`There is no new finding since the prior film.`"""
