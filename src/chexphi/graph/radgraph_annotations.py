"""What RadGraph writes of a report, checked and read as our graph. Standard library only.

Both written forms are read: the labels of `radgraph` (`Observation::definitely present`) and the short ones
of its first model (`OBS-DP`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chexphi.graph.normalize import normalize
from chexphi.graph.types import RELATION_TYPES, Mention, Parse
from chexphi.schema import InputError, shown

_KINDS = {"anat": "anatomy", "obs": "observation"}
_CERTAINTIES = {"dp": "definitely present", "da": "definitely absent", "u": "uncertain"}
_LABELS = {
    ("anatomy", "definitely present"): "anatomy",
    ("anatomy", "definitely absent"): "anatomy",
    ("anatomy", "uncertain"): "anatomy",
    ("observation", "definitely present"): "disorder_present",
    ("observation", "definitely absent"): "disorder_notpresent",
    ("observation", "uncertain"): "disorder_present",
}


def label_of(name: str) -> tuple[str, bool]:
    """Our label, and whether it is uncertain.

    `Anatomy` and `Observation`, each `definitely present`, `definitely absent` or `uncertain`, are the labels
    of all three models; the two XL models have `measurement` between the parts, which is our `size`.

    >>> label_of("OBS-U")
    ('disorder_present', True)
    >>> label_of("Observation::measurement::definitely present")
    ('size', False)

    Raises:
        InputError: For a label that no model of RadGraph has.
    """
    kind, size, certainty = _parts(name)
    return ("size" if size else _LABELS[kind, certainty]), certainty == "uncertain"


def _parts(name: str) -> tuple[str, bool, str]:
    """Kind, whether it is a measurement, certainty."""
    parts = [part.strip() for part in re.split("::|-", str(name).lower())]
    size = len(parts) == 3 and parts[1] == "measurement"
    if size:
        del parts[1]
    kind, certainty = _KINDS.get(parts[0], parts[0]), _CERTAINTIES.get(parts[-1], parts[-1])
    if len(parts) != 2 or (kind, certainty) not in _LABELS:
        raise InputError(
            f"{shown(name)} is no label of RadGraph: it has Anatomy and Observation, each definitely "
            "present, definitely absent or uncertain, and measurements of both"
        )
    return kind, size, certainty


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity of an annotation, checked."""

    tokens: str
    label: str
    first: int
    last: int
    relations: tuple[tuple[str, str], ...]
    """(type, key of the entity it points to)"""


def entities_of(annotation: Mapping[str, Any]) -> dict[str, Entity]:
    """The entities of one report by their keys, in the order of the text.

    Raises:
        InputError: If something of RadGraph's form is missing or is none of RadGraph's.
    """
    try:
        rows = {str(key): row for key, row in (annotation.get("entities") or {}).items()}
        count = len(annotation["text"].split())
        found = {key: _entity(row) for key, row in rows.items()}
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"not an annotation of RadGraph ({type(error).__name__}): it has text and entities, each with "
            "tokens, label, start_ix, end_ix and relations"
        ) from None
    for key, entity in found.items():
        if not 0 <= entity.first <= entity.last < count:
            raise InputError(f"entity {shown(key)} lies at words {entity.first} to {entity.last} of {count}")
        _parts(entity.label)
        for kind, other in entity.relations:
            if kind not in RELATION_TYPES:
                raise InputError(
                    f"{shown(kind)} is no relation of RadGraph: it has {', '.join(RELATION_TYPES)}"
                )
            if other not in found:
                raise InputError(
                    f"entity {shown(key)} is related to entity {shown(other)}, and there is none"
                )
    return dict(sorted(found.items(), key=lambda item: (item[1].first, item[0])))


def _entity(row: Mapping[str, Any]) -> Entity:
    relations = tuple((str(kind), str(other)) for kind, other in row.get("relations") or ())
    first, last = row["start_ix"], row["end_ix"]
    if not isinstance(row["tokens"], str) or any(isinstance(place, bool) for place in (first, last)):
        raise TypeError("tokens are a text, places are numbers")
    return Entity(row["tokens"], str(row["label"]), int(first), int(last), relations)


def read(annotation: Mapping[str, Any]) -> Parse:
    """The parse of one report: `{"text", "entities": {id: {tokens, label, start_ix, end_ix, relations}}}`.

    Places are those of the words of `text`, which RadGraph separates by spaces.

    Raises:
        InputError: If it has another form, or a label, a relation or a place that is none of RadGraph's.
    """
    entities = entities_of(annotation)
    words = places(annotation["text"])
    position = {key: index for index, key in enumerate(entities)}
    mentions, edges = [], set()
    for key, entity in entities.items():
        label, uncertain = label_of(entity.label)
        denied = _parts(entity.label)[2] == "definitely absent"
        start, end = words[entity.first][0], words[entity.last][1]
        mentions.append(Mention(normalize(entity.tokens), label, start, end, uncertain, denied))
        edges |= {(position[key], kind, position[other]) for kind, other in entity.relations}
    return Parse(annotation["text"], tuple(mentions), frozenset(edges))


def places(text: str) -> list[tuple[int, int]]:
    return [word.span() for word in re.finditer(r"\S+", text)]
