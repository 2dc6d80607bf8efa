"""Checks what RadGraph writes about a report, and reads it as our graph. Standard library only.

Both forms of its labels are read: the long ones (`Observation::definitely present`) and the short ones of its
first model (`OBS-DP`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chexphi.graph.normalize import normalize
from chexphi.graph.types import RELATION_TYPES, Mention, Parse
from chexphi.schema import InputError, shown

_KIND_OF_SHORT = {"anat": "anatomy", "obs": "observation"}
_CERTAINTY_OF_SHORT = {"dp": "definitely present", "da": "definitely absent", "u": "uncertain"}
_LABELS = {
    ("anatomy", "definitely present"): "anatomy",
    ("anatomy", "definitely absent"): "anatomy",
    ("anatomy", "uncertain"): "anatomy",
    ("observation", "definitely present"): "disorder_present",
    ("observation", "definitely absent"): "disorder_notpresent",
    ("observation", "uncertain"): "disorder_present",
}


def label_of(name: str) -> tuple[str, bool]:
    """Our label for a label of RadGraph, and whether it is uncertain.

    All three models have `Anatomy` and `Observation`, each `definitely present`, `definitely absent` or
    `uncertain`. The two XL models may write `measurement` between the two, which is our `size`.

    >>> label_of("OBS-U")
    ('disorder_present', True)
    >>> label_of("Observation::measurement::definitely present")
    ('size', False)

    Raises:
        InputError: If none of RadGraph's models has the label.
    """
    kind, size, certainty = _split_label(name)
    return ("size" if size else _LABELS[kind, certainty]), certainty == "uncertain"


def _split_label(name: str) -> tuple[str, bool, str]:
    """(kind, whether it is a measurement, certainty) of a label."""
    pieces = [piece.strip() for piece in re.split("::|-", str(name).lower())]
    size = len(pieces) == 3 and pieces[1] == "measurement"
    if size:
        del pieces[1]
    kind, certainty = (
        _KIND_OF_SHORT.get(pieces[0], pieces[0]),
        _CERTAINTY_OF_SHORT.get(pieces[-1], pieces[-1]),
    )
    if len(pieces) != 2 or (kind, certainty) not in _LABELS:
        raise InputError(
            f"{shown(name)} is not a label of RadGraph: it has Anatomy and Observation, each definitely "
            "present, definitely absent or uncertain, and measurements of both"
        )
    return kind, size, certainty


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity of an annotation, checked."""

    tokens: str
    label: str
    first_word: int
    last_word: int
    relations: tuple[tuple[str, str], ...]
    """(type, key of the entity it points to)"""


def entities_of(annotation: Mapping[str, Any]) -> dict[str, Entity]:
    """The entities of one report by their keys, in the order of the text.

    Raises:
        InputError: If a field is missing, or has a value that RadGraph does not write.
    """
    try:
        rows = {str(key): row for key, row in (annotation.get("entities") or {}).items()}
        count = len(annotation["text"].split())
        entities = {key: _entity(row) for key, row in rows.items()}
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"not an annotation of RadGraph ({type(error).__name__}): it has text and entities, each with "
            "tokens, label, start_ix, end_ix and relations"
        ) from None
    for key, entity in entities.items():
        if not 0 <= entity.first_word <= entity.last_word < count:
            raise InputError(
                f"entity {shown(key)} lies at words {entity.first_word} to {entity.last_word} of {count}: "
                "annotate the text again, or correct the entity"
            )
        _split_label(entity.label)
        for kind, tail_key in entity.relations:
            if kind not in RELATION_TYPES:
                raise InputError(
                    f"{shown(kind)} is not a relation of RadGraph: it has {', '.join(RELATION_TYPES)}"
                )
            if tail_key not in entities:
                raise InputError(
                    f"entity {shown(key)} is related to entity {shown(tail_key)}, which is missing: "
                    "annotate the text again, or remove the relation"
                )
    return dict(sorted(entities.items(), key=lambda item: (item[1].first_word, item[0])))


def _entity(row: Mapping[str, Any]) -> Entity:
    relations = tuple((str(kind), str(tail_key)) for kind, tail_key in row.get("relations") or ())
    first_word, last_word = row["start_ix"], row["end_ix"]
    if not isinstance(row["tokens"], str) or any(
        isinstance(position, bool) for position in (first_word, last_word)
    ):
        raise TypeError("tokens must be a text, positions must be numbers")
    return Entity(row["tokens"], str(row["label"]), int(first_word), int(last_word), relations)


def parse_annotation(annotation: Mapping[str, Any]) -> Parse:
    """The parse of one report: `{"text", "entities": {id: {tokens, label, start_ix, end_ix, relations}}}`.

    Positions count the words of `text`, which RadGraph separates by spaces.

    Raises:
        InputError: If it has another form, or a label, relation or position that RadGraph does not write.
    """
    entities = entities_of(annotation)
    words = word_spans(annotation["text"])
    position = {key: index for index, key in enumerate(entities)}
    mentions, edges = [], set()
    for key, entity in entities.items():
        label, uncertain = label_of(entity.label)
        denied = _split_label(entity.label)[2] == "definitely absent"
        start, end = words[entity.first_word][0], words[entity.last_word][1]
        mentions.append(Mention(normalize(entity.tokens), label, start, end, uncertain, denied))
        edges |= {(position[key], kind, position[tail_key]) for kind, tail_key in entity.relations}
    return Parse(annotation["text"], tuple(mentions), frozenset(edges))


def word_spans(text: str) -> list[tuple[int, int]]:
    """(first character, one past the last) of every word of a text."""
    return [word.span() for word in re.finditer(r"\S+", text)]
