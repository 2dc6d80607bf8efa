"""The fields `scene` and `graph` of a row, checked when the row is read: `evaluate` relies on them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from chexphi.data.phantom.scene import Build, Finding
from chexphi.files import parse_json
from chexphi.graph.check import KEYS, check_graph
from chexphi.schema import InputError, is_text, key_shown, type_shown

_BUILD = {field.name: type(field.default) for field in dataclasses.fields(Build)}
_FINDING = {field.name: field.type for field in dataclasses.fields(Finding)}
_SCENE = ("findings", "build", "seed")


def read_graph(value: Any) -> dict[str, Any] | None:
    """The graph of a row, from an object or its JSON text.

    Raises:
        ValueError: If it is not a valid graph; the words follow the row's location.
    """
    graph = _from_json("graph", value)
    if graph is None:
        return None
    try:
        check_graph(graph)
    except ValueError as error:
        raise ValueError(f"field graph {error}, or remove the field") from None
    return _without_extra_nulls("field graph", graph, KEYS)


def read_scenes(value: Any) -> tuple[dict[str, Any], ...] | None:
    """What is on each film of a row, from a list of objects or its JSON text.

    Raises:
        ValueError: If it is not a list of valid scenes; the words follow the row's location.
    """
    scenes = _from_json("scene", value)
    if scenes is None:
        return None
    if not isinstance(scenes, list):
        raise ValueError(f"field scene is {type_shown(scenes)}: write a list with one object a film")
    return tuple(_scene(scene, number) for number, scene in enumerate(scenes, 1))


def _from_json(field: str, value: Any) -> Any:
    """The value, parsed if it is JSON text: Parquet stores objects without fixed columns so."""
    return parse_json(value, f"field {field}") if isinstance(value, str) else value


def _without_extra_nulls(description: str, record: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """The record without unknown keys that are null, as Parquet writes them; others are errors."""
    for number, key in enumerate(record, 1):
        if key not in keys and record[key] is not None:
            raise ValueError(
                f"{description} has {key_shown(key, number)}, and its keys are {', '.join(keys)}: correct it,"
                " or remove it"
            )
    return record if record.keys() <= set(keys) else {key: record[key] for key in keys if key in record}


def _scene(scene: Any, number: int) -> dict[str, Any]:
    description = f"field scene, film {number}"
    advice = "write it as `chexphi data phantom` does, or remove the field"
    if not isinstance(scene, dict) or not isinstance(scene.get("findings"), list):
        raise ValueError(f"{description} has no list of findings: {advice}")
    if not _is_integer(scene.get("seed")):
        raise ValueError(f"{description} has no seed that is a whole number: {advice}")
    build = scene.get("build")
    if not isinstance(build, dict) or not all(
        key in _BUILD and _has_type(field_value, _BUILD[key]) for key, field_value in build.items()
    ):
        raise ValueError(f"{description} has no build of numbers: {advice}")
    keys_seen = set()
    for finding_number, row in enumerate(scene["findings"], 1):
        try:
            keys_seen.add(_finding(row).key)
        except InputError as error:
            raise ValueError(f"{description}, finding {finding_number}: {error}") from None
    if len(keys_seen) < len(scene["findings"]):
        raise ValueError(f"{description} has a finding twice: keep one of them")
    return _without_extra_nulls(description, scene, _SCENE)


def _finding(row: Any) -> Finding:
    texts = ("name", "side", "zone")
    if not isinstance(row, dict) or "name" not in row or not row.keys() <= _FINDING.keys():
        raise InputError(f"it is not an object of {', '.join(_FINDING)}: correct it")
    if not all(isinstance(row.get(key, ""), str) for key in texts) or not _has_type(
        row.get("severity", 0.5), float
    ):
        raise InputError("name, side and zone are texts and severity is a number: correct it")
    return Finding(**row)


def _has_type(value: Any, kind: type) -> bool:
    if kind is str:
        return is_text(value)
    return _is_integer(value) or (isinstance(value, float) and kind is float and math.isfinite(value))


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
