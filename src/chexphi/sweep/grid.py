"""The grid of a sweep: its keys and values checked, its runs named, the words of each one's command."""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chexphi import field_values
from chexphi.config import as_text
from chexphi.schema import InputError, shown

OWN = ("out", "output_dir", "resume", "overwrite")
"""Settings of a run that the sweep gives itself."""
MOST_RUNS = 10_000
"""Of a grid: all are checked before the first begins."""
PLACE = re.compile(r"\{(\w+)\}")
LONGEST = 200
"""Characters of a run's name: file systems take 255 bytes, with `.log` behind."""

Grid = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of the grid."""

    name: str
    """Of its folder."""
    values: Mapping[str, Any]
    """Of each key of the grid."""
    words: tuple[str, ...]
    """Behind `chexphi grpo`, but for `--out` and how it begins."""


def read_grid(grid: Mapping[str, Any], data: str, taken: Sequence[str], kinds: Sequence[type]) -> Grid:
    """The grid with each value in its field's type.

    Args:
        grid: Values by key, as YAML gives them.
        data: Path of the data; its `{names}` are keys of the grid, too.
        taken: Settings that are the same in every run.
        kinds: The dataclasses of a run's settings.

    Raises:
        InputError: For an unknown key, a list that is none, is empty or names a value twice, or too many
            runs.
    """
    if not grid:
        raise InputError("sweep: the grid is empty: name at least one key with its values")
    places, known = PLACE.findall(data), field_values.fields_of(kinds)
    if missing := [name for name in places if name not in grid]:
        raise InputError(
            f"sweep: data is {data} and the grid has no key {shown(missing[0])}: add it with its values"
        )
    read: Grid = {}
    for key, values in grid.items():
        if key not in known and key not in places:
            where = f"and data ({data or 'not given'}) has no {{{key}}}"
            near = _nearest(key, [*known, *places])
            raise InputError(f"sweep: grid key {shown(key)} is no setting of grpo, {where}: {near}")
        if key in OWN or key in taken:
            where = "what the sweep itself gives each run" if key in OWN else "set for every run as well"
            raise InputError(f"sweep: grid key {shown(key)} is {where}: name it once")
        read[key] = _values(key, values, kinds=kinds if key in known else ())
    if (count := math.prod(map(len, read.values()))) > MOST_RUNS:
        raise InputError(f"sweep: the grid has {count:,} runs: cut its lists to at most {MOST_RUNS:,}")
    return read


def _values(key: str, values: Any, *, kinds: Sequence[type]) -> list[Any]:
    """The values of a key, each in its field's type; text or numbers where there are no `kinds`."""
    if not isinstance(values, list) or not values:
        raise InputError(
            f"sweep: grid key {shown(key)} is {shown(values)}: give a list of at least one value"
        )
    for value in values:
        if value is None or not (kinds or isinstance(value, str | int | float)):
            raise InputError(
                f"sweep: grid key {shown(key)} has the value {shown(value)}: give a text or a number"
            )
    if kinds:
        values = [field_values.check_values({key: value}, kinds, "sweep: grid")[key] for value in values]
    seen: dict[str, Any] = {}
    for value in values:
        if (text := as_text(value)) in seen:
            raise InputError(
                f"sweep: grid key {shown(key)} has {shown(seen[text])} twice: name each value once"
            )
        seen[text] = value
    return values


def _nearest(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(key)[:100], known, n=3)
    return (
        f"did you mean {', '.join(near)}?" if near else "`chexphi grpo --help` and TRL's GRPOConfig name them"
    )


def expand(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination; the last key changes fastest.

    >>> expand({"beta": [0.5, 0.4], "seed": [0, 1]})[1:3]
    [{'beta': 0.5, 'seed': 1}, {'beta': 0.4, 'seed': 0}]
    """
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def name_of(values: Mapping[str, Any]) -> str:
    """The name of a run's folder: all keys of the grid, so that it stays when the grid gets more values.

    >>> name_of({"learning_rate": 4e-6, "policy": "hard_uniform", "trainable": "a/b"})
    'learning_rate-4e-06_policy-hard_uniform_trainable-a-b'
    """
    parts = [f"{key}-{as_text(value)}" for key, value in values.items()]
    return re.sub(r"[^\w.+-]+", "-", "_".join(parts)).strip("-")


def label_of(values: Mapping[str, Any]) -> str:
    """The values alone, for a progress line or a chart's legend."""
    return " ".join(map(as_text, values.values()))


def fill(path: str, values: Mapping[str, Any]) -> str:
    """A path with the values of the keys that it names.

    >>> fill("data/{policy}/{size}.json", {"policy": "uniform", "size": 1000})
    'data/uniform/1000.json'
    """
    for key in PLACE.findall(path):
        path = path.replace(f"{{{key}}}", as_text(values[key]))
    return path


def flags(settings: Mapping[str, Any]) -> list[str]:
    """Settings as words of a command line.

    >>> flags({"beta": 0.5, "rewards": ["a", "b"], "dynamic_sample": True})
    ['--beta', '0.5', '--rewards', 'a', 'b', '--dynamic_sample', 'true']
    """
    words: list[str] = []
    for key, value in settings.items():
        words += [
            f"--{key}",
            *(map(as_text, value) if isinstance(value, list) else [as_text(value)]),
        ]
    return words


def trials(
    configs: Sequence[str],
    grid: Mapping[str, Sequence[Any]],
    data: str,
    fixed: Mapping[str, Any],
    known: Sequence[str],
) -> list[Trial]:
    """The runs of a grid that was read.

    Args:
        configs: YAML files of `grpo`, a later one over an earlier one.
        grid: From `read_grid`.
        data: Path of the data, with `{names}`.
        fixed: Settings that are the same in every run.
        known: Names of the settings of a run; other keys only stand in `data`.

    Raises:
        InputError: If two runs would have one folder, or a name is too long for one.
    """
    found: dict[str, Trial] = {}
    for values in expand(grid):
        name = name_of(values)
        if name in found or len(name.encode()) > LONGEST:
            why = "two runs would have this name" if name in found else f"of more than {LONGEST} bytes"
            raise InputError(f"sweep: the folder of a run would be {name}, {why}: sweep over other values")
        path = {"data": fill(data, values)} if data else {}
        own = {key: value for key, value in values.items() if key in known}
        words = [word for file in configs for word in ("--config", file)]
        found[name] = Trial(name, values, (*words, *flags({**fixed, **path, **own})))
    return list(found.values())
