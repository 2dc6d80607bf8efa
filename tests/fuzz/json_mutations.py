"""Seeded mutations of JSON values and of their text, shared by the generators of files."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 7, 10**25, 10**400, -0.0, 1.5, 1e300, float("nan"), float("inf"), "", " ",
    "nan", "None", "True", "a\0b", "\ud800", "é" * 300, "x" * 5000, "{", [], [[]], [None], [True], ["a", 3],
    {}, {"a": 1}, {"entities": 3}, [[["deep"]]],
)  # fmt: skip
"""Values of types and sizes that a field seldom has."""


def mutated_value(rng: random.Random, value: Any) -> Any:
    """A copy of a value in which one part, at any depth, is replaced, removed, doubled or renamed."""
    value = copy.deepcopy(value)
    holders = [part for part in _parts(value) if isinstance(part, dict | list) and part]
    if not holders:
        return rng.choice(ODD)
    holder = rng.choice(holders)
    place = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    kind = rng.randrange(5)
    if kind == 0 and isinstance(holder, dict):
        holder[rng.choice(("messages", "solution", "kind", "extra", "x" * 200))] = holder.pop(place)
    elif kind == 1:
        del holder[place]
    elif kind == 2 and isinstance(holder, list):
        holder.append(holder[place])
    elif kind == 3:
        holder[place] = [holder[place]]
    else:
        holder[place] = copy.deepcopy(rng.choice(ODD))
    return value


def _parts(value: Any) -> list[Any]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(part for child in inside for part in _parts(child))]


def mutated_text(rng: random.Random, content: bytes) -> bytes:
    """JSON text with a fault that a JSON value has not: cut, flipped, nested, doubled keys, long numbers."""
    kind = rng.randrange(8)
    place = rng.randrange(len(content)) if content else 0
    if kind == 0:
        return content[:place]
    if kind == 1:
        return content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :]
    if kind == 2:  # every object gets its first key twice
        return content.replace(b'{"', b'{"id": "again", "id": 1, "', rng.choice((1, -1)))
    if kind == 3:
        depth = rng.choice((10, 5000))
        return content.replace(b": ", b': %b"deep"%b, "more": ' % (b"[" * depth, b"]" * depth), 1)
    if kind == 4:
        return content.replace(b": ", b': %b, "more": ' % (b"9" * rng.choice((20, 5000))), 1)
    if kind == 5:
        return content[:place] + content[place // 2 :]
    if kind == 6:
        return content.replace(b"\n", rng.choice((b"\r\n", b"", b"\n\n", b"\0\n")))
    return rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"[", b"null\n")) + content


def dumped(value: Any) -> str:
    """JSON as Python writes it: NaN and halves of characters too."""
    return json.dumps(value)
