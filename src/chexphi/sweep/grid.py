"""The grid of a sweep: checks keys and values, names the runs, and gives the command of each."""

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

RESERVED_SETTINGS = ("out", "output_dir", "resume", "overwrite")
"""Settings of a run that the sweep itself sets."""
MAX_RUNS = 10_000
"""Most runs of a grid: all are checked before the first one starts."""
PLACEHOLDER = re.compile(r"\{(\w+)\}")
MAX_NAME_BYTES = 200
"""Longest name of a run: file systems allow 255 bytes, with a time before it and `.log` after it."""

Grid = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of the grid."""

    name: str
    """Name of its folder, after the time."""
    values: Mapping[str, Any]
    """Value of each key of the grid."""
    words: tuple[str, ...]
    """Arguments of `chexphi grpo`, except for `--out` and `--resume`."""


def read_grid(grid: Mapping[str, Any], data: str, common_names: Sequence[str], kinds: Sequence[type]) -> Grid:
    """The grid with each value in the type of its setting.

    Args:
        grid: Values by key, as YAML gives them.
        data: Path of the data; its `{names}` are keys of the grid, too.
        common_names: Names of settings that are the same in every run.
        kinds: The dataclasses of a run's settings.

    Raises:
        InputError: For an unknown key, values that are not a list, an empty list, a value named twice, or too
            many runs.
    """
    if not grid:
        raise InputError("sweep: the grid is empty: name at least one key with its values")
    placeholders, setting_names = PLACEHOLDER.findall(data), field_values.fields_of(kinds)
    if missing := [name for name in placeholders if name not in grid]:
        raise InputError(
            f"sweep: data is {data} and the grid has no key {shown(missing[0])}: add it with its values"
        )
    values_by_key: Grid = {}
    for key, values in grid.items():
        if key not in setting_names and key not in placeholders:
            reason = f"and data ({data or 'not given'}) has no {{{key}}}"
            suggestion = _suggestion(key, [*setting_names, *placeholders])
            raise InputError(f"sweep: grid key {shown(key)} is not a setting of grpo, {reason}: {suggestion}")
        if key in RESERVED_SETTINGS or key in common_names:
            set_by = (
                "what the sweep itself sets for each run"
                if key in RESERVED_SETTINGS
                else "also set for every run"
            )
            raise InputError(f"sweep: grid key {shown(key)} is {set_by}: name it once")
        values_by_key[key] = _values(key, values, kinds=kinds if key in setting_names else ())
    if (count := math.prod(map(len, values_by_key.values()))) > MAX_RUNS:
        raise InputError(f"sweep: the grid has {count:,} runs: cut its lists to at most {MAX_RUNS:,}")
    return values_by_key


def _values(key: str, values: Any, *, kinds: Sequence[type]) -> list[Any]:
    """The values of a key, each in the type of its setting; texts or numbers if `kinds` is empty."""
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
    values_by_text: dict[str, Any] = {}
    for value in values:
        if (text := as_text(value)) in values_by_text:
            raise InputError(
                f"sweep: grid key {shown(key)} has {shown(values_by_text[text])} twice: name each value once"
            )
        values_by_text[text] = value
    return values


def _suggestion(key: str, setting_names: Sequence[str]) -> str:
    matches = difflib.get_close_matches(str(key)[:100], setting_names, n=3)
    return (
        f"did you mean {', '.join(matches)}?"
        if matches
        else "`chexphi grpo --help` and TRL's GRPOConfig list them"
    )


def expand(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination; the last key changes fastest.

    >>> expand({"beta": [0.5, 0.4], "seed": [0, 1]})[1:3]
    [{'beta': 0.5, 'seed': 1}, {'beta': 0.4, 'seed': 0}]
    """
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def name_of(values: Mapping[str, Any]) -> str:
    """The name of a run's folder. It has all keys of the grid, so it stays the same when values are added.

    >>> name_of({"learning_rate": 4e-6, "policy": "hard_uniform", "trainable": "a/b"})
    'learning_rate-4e-06_policy-hard_uniform_trainable-a-b'
    """
    key_values = [f"{key}-{as_text(value)}" for key, value in values.items()]
    return re.sub(r"[^\w.+-]+", "-", "_".join(key_values)).strip("-")


def label_of(values: Mapping[str, Any]) -> str:
    """The values without keys, for a progress bar or a chart's legend."""
    return " ".join(map(as_text, values.values()))


def fill_placeholders(path: str, values: Mapping[str, Any]) -> str:
    """A path with its `{names}` replaced by values.

    >>> fill_placeholders("data/{policy}/{size}.json", {"policy": "uniform", "size": 1000})
    'data/uniform/1000.json'
    """
    for key in PLACEHOLDER.findall(path):
        path = path.replace(f"{{{key}}}", as_text(values[key]))
    return path


def to_flags(settings: Mapping[str, Any]) -> list[str]:
    """Settings as arguments of a command line.

    >>> to_flags({"beta": 0.5, "rewards": ["a", "b"], "dynamic_sample": True})
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
    common_settings: Mapping[str, Any],
    setting_names: Sequence[str],
) -> list[Trial]:
    """The runs of a grid.

    Args:
        configs: YAML files of `grpo`, a later one over an earlier one.
        grid: From `read_grid`.
        data: Path of the data, with `{names}`.
        common_settings: Settings that are the same in every run.
        setting_names: Names of the settings of a run; other keys of the grid are only used in `data`.

    Raises:
        InputError: If two runs would have one folder, or a name is too long for one.
    """
    trials_by_name: dict[str, Trial] = {}
    for values in expand(grid):
        name = name_of(values)
        if name in trials_by_name or len(name.encode()) > MAX_NAME_BYTES:
            problem = (
                "two runs would have this name"
                if name in trials_by_name
                else f"of more than {MAX_NAME_BYTES} bytes"
            )
            raise InputError(
                f"sweep: the folder of a run would be {name}, {problem}: sweep over other values"
            )
        path = {"data": fill_placeholders(data, values)} if data else {}
        own_settings = {key: value for key, value in values.items() if key in setting_names}
        words = [word for file in configs for word in ("--config", file)]
        trials_by_name[name] = Trial(
            name, values, (*words, *to_flags({**common_settings, **path, **own_settings}))
        )
    return list(trials_by_name.values())
