"""What a statement about a finding means: its phrase and its exact graph, made from the scene.

The graphs follow the scheme of ReXKG (arXiv 2408.14397): an adjective of side or level qualifies the
anatomy of its noun phrase, a finding lies at its anatomy, a sign suggests the finding it stands for.
Nothing here reads text: the extractor is tested against these graphs, so they must not depend on it.
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
"""The entity of a finding, where it is not the finding's name."""
SIGNS = {"blunted": "effusion", "lucency": "pneumothorax"}
"""Disorders that are signs of another: by sign, the entity of the finding that it suggests."""
_ARTICLE = {"cardiomegaly": "", "opacity": "an ", "endotracheal tube": "an "}
_FIXED_LOCATIONS = {"pacemaker": "in the left chest wall", "endotracheal tube": "in the trachea"}


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase and its graph."""

    noun: str
    """Without article: `left pleural effusion`."""
    location: str
    """The location after it: `in the right upper lung zone`, or empty."""
    article: str
    """`a `, `an ` or empty."""
    graph: Graph

    @property
    def short(self) -> str:
        return self.article + self.noun

    @property
    def full(self) -> str:
        return f"{self.short} {self.location}".rstrip()


def union(graphs: Iterable[Graph]) -> Graph:
    return reduce(or_, graphs, Graph())


def head(name: str, *, present: bool) -> Entity:
    """The entity of a finding."""
    kind = "devices" if name in DEVICES else "disorder"
    return HEADS.get(name, name), f"{kind}_{'present' if present else 'notpresent'}"


def qualify(word: str, entity: Entity) -> Graph:
    """The graph of an entity that `word` qualifies; an empty word adds nothing."""
    return Graph.of([entity], [((word, "concept"), "modify", entity)] if word else [])


def at(entity: Entity, anatomy_name: str, word: str = "") -> Graph:
    """The graph of an entity located at an anatomy, which `word` qualifies."""
    anatomy = (anatomy_name, "anatomy")
    return Graph.of([entity], [(entity, "located_at", anatomy)]) | qualify(word, anatomy)


def zone_name(side: str, zone: str) -> str:
    """The canonical name of a zone: `right upper lung zone`."""
    return f"{side} {zone} {ZONE}"


def present(finding: Finding) -> Phrase:
    """The finding with its location, stated directly."""
    name, side = finding.name, finding.side
    entity = head(name, present=True)
    noun, location, graph = name, _FIXED_LOCATIONS.get(name, ""), Graph.of([entity])
    if name in ZONED:
        location = f"in the {zone_name(side, finding.zone)}"
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
    return Phrase(noun, location, article, graph)


def present_in_zone(name: str, side: str, zone: str) -> Phrase:
    """A finding of the lung or pleura, located in the zone that a box marks."""
    entity = head(name, present=True)
    graph = at(entity, ZONE, f"{side} {zone}")
    if name == "pleural effusion":
        graph |= at(entity, "pleural")
    return Phrase(name, "", _ARTICLE.get(name, "a "), graph)


def absent(name: str, side: str = "", zone: str = "") -> Phrase:
    """The denied finding: anywhere, on one side, or (lung and pleura) in one zone."""
    entity = head(name, present=False)
    noun, location, graph = name, "", Graph.of([entity])
    if zone:
        graph = at(entity, ZONE, f"{side} {zone}")
    elif side and name in ZONED:
        location, graph = f"in the {side} lung", at(entity, "lung", side)
    elif side and name == "pneumothorax":
        noun, graph = f"{side} {name}", qualify(side, entity)
    if name == "pleural effusion":
        side_word = "" if zone else side
        noun, graph = f"{side_word} {name}".strip(), graph | at(entity, "pleural", side_word)
    elif name == "central line":
        noun, graph = f"{side} {name}".strip(), qualify(f"{side} central".strip(), entity)
    article = "a " if noun != name else _ARTICLE.get(name, "a ")
    return Phrase(noun, location, article, graph)


@dataclass(frozen=True, slots=True)
class Inference:
    """A sign on the film, the finding it suggests, and both as a graph."""

    subject: str
    """`the left costophrenic angle`"""
    sign: str
    """`blunted`: a property of the subject; for a pneumothorax the sign is something at the subject."""
    conclusion: str
    """`a pleural effusion`"""
    graph: Graph


def inferred(finding: Finding) -> Inference | None:
    """The sign that a careful reader names first, for the three findings that have one."""
    entity = head(finding.name, present=True)
    if finding.name == "pleural effusion":
        sign, anatomy_name = ("blunted", "disorder_present"), "costophrenic angle"
        graph = at(sign, anatomy_name, finding.side) | at(entity, "pleural")
        return Inference(
            f"the {finding.side} {anatomy_name}", sign[0], "a pleural effusion", _suggest(graph, sign, entity)
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
    present_phrase = present(finding)
    graph = present_phrase.graph
    if status == "resolved":
        absent_head, present_head = head(finding.name, present=False), head(finding.name, present=True)
        graph = Graph.of(
            [absent_head if e == present_head else e for e in graph.entities],
            [
                (absent_head if h == present_head else h, kind, absent_head if t == present_head else t)
                for h, kind, t in graph.relations
            ],
        )
    entity = head(finding.name, present=status != "resolved")
    return Phrase(
        present_phrase.noun,
        present_phrase.location,
        present_phrase.article,
        graph | qualify(status, entity) | PRIOR_FILM,
    )


NOTHING_CHANGED = {
    status: PRIOR_FILM | Graph.of([(status, "concept")]) for status in ("new", "resolved", "unchanged")
}
"""`There is no new finding since the prior film.`"""
