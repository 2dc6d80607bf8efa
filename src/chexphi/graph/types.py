"""A radiology knowledge graph as two sets, and the interface of the extractors."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from chexphi.graph.words import words
from chexphi.schema import shown

LABELS = (
    "size",
    "anatomy",
    "disorder_present",
    "disorder_notpresent",
    "concept",
    "procedures",
    "devices_present",
    "devices_notpresent",
)
LABEL_WORDS = {
    "anatomy": "anatomy",
    "disorder_present": "finding, present",
    "disorder_notpresent": "finding, absent",
    "devices_present": "device, present",
    "devices_notpresent": "device, absent",
    "concept": "descriptor",
    "size": "size",
    "procedures": "procedure",
}
"""Labels in plain words."""
RELATION_TYPES = ("located_at", "suggestive_of", "modify")

SIDES = ("left", "right")

Entity = tuple[str, str]
"""(normalised text, label)"""
Relation = tuple[Entity, str, Entity]
"""(head, type, tail). The labels of both ends are part of a relation, and so is their polarity."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Entities and relations of one text. The same words with two labels are two entities."""

    entities: frozenset[Entity] = frozenset()
    relations: frozenset[Relation] = frozenset()
    uncertain: frozenset[Entity] = field(default=frozenset(), compare=False)
    """Entities that every mention hedges ("possible", "may represent"); compared only `with_doubt`."""
    sides: frozenset[tuple[Entity, str]] = field(default=frozenset(), compare=False)
    """(entity, `left` or `right`) where a mention names a side. Entities of the same text are one, so the
    relations alone do not tell which of two lungs has the effusion and which the nodule."""

    @classmethod
    def of(cls, entities: Iterable[Entity], relations: Iterable[Relation] = ()) -> Graph:
        """Build a graph; both ends of every relation become entities, labels are checked."""
        triples = frozenset(relations)
        nodes = frozenset(entities) | {end for head, _, tail in triples for end in (head, tail)}
        for _, label in nodes:
            if label not in LABELS:
                raise ValueError(
                    f"an entity has the unknown label {shown(label)}: use one of {', '.join(LABELS)}"
                )
        for _, kind, _ in triples:
            if kind not in RELATION_TYPES:
                choices = ", ".join(RELATION_TYPES)
                raise ValueError(f"unknown relation type {shown(kind)}: use one of {choices}")
        return cls(nodes, triples)

    def __bool__(self) -> bool:
        return bool(self.entities or self.relations)

    def __or__(self, other: Graph) -> Graph:
        return Graph.union((self, other))

    @classmethod
    def union(cls, graphs: Sequence[Graph]) -> Graph:
        """The union of several graphs. What one of them says without doubt is not uncertain."""
        if len(graphs) == 1:
            return graphs[0]
        uncertain = frozenset[Entity]().union(*(graph.uncertain for graph in graphs))
        if uncertain:
            uncertain -= frozenset[Entity]().union(*(graph.entities - graph.uncertain for graph in graphs))
        return cls(
            frozenset[Entity]().union(*(graph.entities for graph in graphs)),
            frozenset[Relation]().union(*(graph.relations for graph in graphs)),
            uncertain,
            frozenset[tuple[Entity, str]]().union(*(graph.sides for graph in graphs)),
        )

    def with_doubt(self) -> Graph:
        """This graph with every uncertain entity under another name, so that doubt is compared too."""

        def renamed(entity: Entity) -> Entity:
            return (f"possible {entity[0]}", entity[1]) if entity in self.uncertain else entity

        return Graph(
            frozenset(map(renamed, self.entities)),
            frozenset((renamed(head), kind, renamed(tail)) for head, kind, tail in self.relations),
            frozenset(map(renamed, self.uncertain)),
            frozenset((renamed(entity), side) for entity, side in self.sides),
        )

    def to_dict(self) -> dict[str, Any]:
        """Sorted `{"entities": [[text, label]], "relations": [[head, label, type, tail, label]], …}`."""
        return {
            "entities": [list(entity) for entity in sorted(self.entities)],
            "relations": [[*head, kind, *tail] for head, kind, tail in sorted(self.relations)],
            "uncertain": [list(entity) for entity in sorted(self.uncertain)],
            "sides": [[*entity, side] for entity, side in sorted(self.sides)],
        }

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Graph:
        """The inverse of `to_dict`; `uncertain` and `sides` may be missing. `check_graph` is for files."""
        graph = cls.of(
            [(text, label) for text, label in row["entities"]],
            [((h, hl), kind, (t, tl)) for h, hl, kind, t, tl in row["relations"]],
        )
        hedged = frozenset((text, label) for text, label in row.get("uncertain") or ())
        sides = frozenset(((text, label), side) for text, label, side in row.get("sides") or ())
        return replace(graph, uncertain=hedged & graph.entities, sides=sides)


@dataclass(frozen=True, slots=True)
class Mention:
    """A span of a text that names an entity."""

    text: str
    """Normalised."""
    label: str
    start: int
    """First character."""
    end: int
    """One past the last character."""
    uncertain: bool = False
    denied: bool = False
    """The sentence denies it: an absent finding, or a quality as in `not enlarged`. An uncertain finding that
    is denied is rather absent than present: `pneumonia is unlikely`."""

    @property
    def entity(self) -> Entity:
        """(text, label). No label says that a quality is absent, so a denied one has another text."""
        denied = self.denied and self.label == "concept"
        return (f"not {self.text}" if denied else self.text), self.label


@dataclass(frozen=True)
class Parse:
    """What an extractor found in one text, with positions."""

    text: str
    mentions: tuple[Mention, ...] = ()
    """In the order of the text."""
    edges: frozenset[tuple[int, str, int]] = frozenset()
    """(head, type, tail): positions in `mentions`."""
    unclaimed: tuple[Mention, ...] = ()
    """What the text names but does not claim (a question, a plan, a condition). It is not in the graph."""

    @functools.cached_property
    def graph(self) -> Graph:
        """The parse as sets: no positions, each entity and relation once."""
        entity_of = [mention.entity for mention in self.mentions]
        certain = [entity_of[index] for index, mention in enumerate(self.mentions) if not mention.uncertain]
        entities = frozenset(entity_of)
        triples = frozenset((entity_of[head], kind, entity_of[tail]) for head, kind, tail in self.edges)
        return Graph(entities, triples, entities.difference(certain), self._sides())

    def _sides(self) -> frozenset[tuple[Entity, str]]:
        """Sides named by a mention itself, by what modifies it, or by the place where a finding lies."""
        own_sides = [_sides_in_words(mention.text) for mention in self.mentions]
        if not any(own_sides):
            return frozenset()
        sides_with_qualifiers = list(own_sides)
        for head, kind, tail in self.edges:
            if kind == "modify":
                sides_with_qualifiers[tail] |= own_sides[head]
        all_sides = list(sides_with_qualifiers)
        for head, kind, tail in self.edges:
            if kind == "located_at":
                all_sides[head] |= sides_with_qualifiers[tail]
        pairs = zip(self.mentions, all_sides, strict=True)
        return frozenset((m.entity, side) for m, sides in pairs if m.label != "concept" for side in sides)


def parse_with_unclaimed(
    text: str, mentions: Sequence[Mention], edges: Iterable[tuple[int, str, int]], unclaimed: Set[int]
) -> Parse:
    """A parse whose mentions at the positions `unclaimed` are kept apart, without their relations."""
    if not unclaimed:
        return Parse(text, tuple(mentions), frozenset(edges))
    claimed_positions = [index for index in range(len(mentions)) if index not in unclaimed]
    new_position = {index: number for number, index in enumerate(claimed_positions)}
    return Parse(
        text,
        tuple(mentions[index] for index in claimed_positions),
        frozenset(
            (new_position[head], kind, new_position[tail])
            for head, kind, tail in edges
            if head in new_position and tail in new_position
        ),
        tuple(mention for index, mention in enumerate(mentions) if index in unclaimed),
    )


_BILATERAL = words("bilateral bilaterally both bilat bibasilar bibasal bibasally biapical biapically bihilar")
_LOBES = {"lll": "left", "lul": "left", "lingula": "left", "lingular": "left"}
_LOBES |= {"rll": "right", "rml": "right", "rul": "right"}
"""Words that imply a side: a lobe by its letters, the lingula."""


@functools.lru_cache(maxsize=1 << 14)
def _sides_in_words(text: str) -> frozenset[str]:
    words_of_text = set(text.replace("-", " ").split())
    if words_of_text & _BILATERAL:
        return frozenset(SIDES)
    return frozenset(side for side in SIDES if side in words_of_text) | {
        _LOBES[word] for word in words_of_text & _LOBES.keys()
    }


class Extractor(Protocol):
    """Anything that finds mentions and relations in texts: one parse per text, in order."""

    def parse(self, texts: Sequence[str]) -> list[Parse]: ...

    def extract(self, texts: Sequence[str]) -> list[Graph]: ...
