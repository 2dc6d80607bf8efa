"""Ontologies that are nearly right: a seeded mutator of TOML files of concepts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from fuzz.json_mutations import mutated_text, mutated_value

GOOD: dict[str, dict[str, Any]] = {
    "made_up_plug": {
        "terms": ["made-up plug", "imagined cast"],
        "under": ["opacity"],
        "significance": "actionable",
        "by_degree": {"1": "minor", "4": "urgent"},
        "source": "our choice",
    },
    "pacing_patch": {
        "terms": ["pacing patch"],
        "normal": ["patch removed"],
        "under": ["device"],
        "significance": "benign",
        "malpositioned": "actionable",
        "good_sites": ["ventricle"],
        "good_distance_mm": [20, 70],
        "unzoned": True,
    },
    "wandering_shadow": {
        "terms": ["wandering shadow"],
        "under": ["made_up_plug"],
        "sign": True,
        "alike": ["opacity"],
        "alike_for": ["cough"],
        "chronic": False,
        "family": False,
    },
    "words": {"same": {"effusion": ["ausguss"]}, "degree": {"2": ["wee"]}, "doubt": {"words": ["dunno"]}},
}
"""Concepts that the package does not have, and words of them."""


def mutated_ontologies(rng: random.Random, count: int) -> Iterator[bytes]:
    """Contents of `count` files; about one in six is whole."""
    for _ in range(count):
        names = rng.sample(list(GOOD), rng.randint(1, len(GOOD)))
        tables: Any = {name: GOOD[name] for name in names}
        for _ in range(rng.choice((0, 1, 1, 1, 2))):
            tables = mutated_value(rng, tables)
        content = toml(tables).encode("utf-8", "surrogatepass")
        yield mutated_text(rng, content) if rng.random() < 0.2 else content


def toml(tables: Any) -> str:
    """Tables as TOML; what is no table of tables is written as if it were."""
    if not isinstance(tables, dict):
        return f"a = {_value(tables)}\n"
    plain = [f"{_value(str(key))} = {_value(value)}" for key, value in tables.items() if not _is_table(value)]
    parts = [
        "\n".join(
            [
                f"[{_value(str(key))}]",
                *(f"{_value(name)} = {_value(inside)}" for name, inside in value.items()),
            ]
        )
        for key, value in tables.items()
        if _is_table(value)
    ]
    return "\n".join([*plain, *parts]) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{_value(str(key))} = {_value(inside)}" for key, inside in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float):
        return repr(value)  # `nan` and `inf` are TOML's own words, too
    return json.dumps(value, ensure_ascii=False)  # null is no value of TOML
