"""Read a recipe's settings: a flat dataclass of ours beside TRL's own, from YAML and the command line.

`--config FILE.yaml` gives the values. It can be repeated: a later file overrides an earlier one. `--key
value` and `--key=value` (with `-` or `_`) override the files. Unknown keys and values of the wrong type are
refused before anything is loaded.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from chexphi import ranges, yaml_files
from chexphi.config.flags import choices_of, cut, is_negation, read_flags
from chexphi.config.run_config import as_given, is_of_run
from chexphi.config.words import normalize_flags, split_configs
from chexphi.field_values import MAX_NAME, Field, check_values, described_fields
from chexphi.ranges import Range
from chexphi.runs import processes
from chexphi.schema import InputError, shown


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file of settings; a run's own `config.yaml` has those it was given.

    Raises:
        InputError: If the file is missing (the message has similar names in its folder), or its content is
            refused by `yaml_files`.
    """
    if not path.exists():
        stems = sorted(file.stem for file in path.parent.glob("*.yaml"))
        names = ", ".join(f"{stem}.yaml" for stem in difflib.get_close_matches(path.stem, stems) or stems)
        hint = f"{path.parent} has {names}" if names else "check its path"
        raise InputError(f"config file {path} does not exist: {hint}")
    values = yaml_files.read_yaml(path)
    return as_given(values) if is_of_run(values) else values


@processes.fail_together()
def parse(
    argv: Sequence[str],
    *kinds: type,
    prog: str,
    defaults: Mapping[str, Any] | None = None,
    number_ranges: Mapping[str, Range] | None = None,
) -> tuple[Any, ...]:
    """Build one instance of each dataclass from `argv` and the YAML files it names.

    Args:
        argv: The words after the verb.
        kinds: Dataclasses with different fields: our recipe, then at most one outline of TRL's config.
        prog: The verb, as `--help` shows it.
        defaults: Our values for fields of TRL's config; YAML and flags override them.
        number_ranges: The range of each setting that has one; NaN and infinity are refused in every setting.

    Raises:
        InputError: For anything the user has to correct; only one of several processes raises it.
    """
    fields, verb = described_fields(kinds), prog.removeprefix("chexphi ")
    values = _values(argv, kinds, fields, verb, dict(defaults or {}))
    settings = {name: values.get(name, field.default) for name, field in fields.items()}
    if needed := [name for name, value in settings.items() if value is MISSING]:
        _check_given(verb, dict.fromkeys(needed))
    ranges.check(settings, number_ranges or {}, verb)
    return tuple(kind(**{name: settings[name] for name in described_fields([kind])}) for kind in kinds)


def _values(
    argv: Sequence[str], kinds: Sequence[type], fields: Mapping[str, Field], verb: str, values: dict[str, Any]
) -> dict[str, Any]:
    """These values, with those of YAML files and of flags over them.

    Raises:
        InputError: For an unknown key, a value of another type, or one that is not among the choices.
    """
    files, flags = split_configs(normalize_flags(argv), verb)
    for path in files:
        values |= check_values(read_yaml(path), kinds, str(path))
    for name in (word[2:] for word in flags if word.startswith("--")):
        if name not in fields and not is_negation(name, fields):
            similar = difflib.get_close_matches(name[:MAX_NAME], fields, n=1)
            hint = (
                f"did you mean --{similar[0]}?" if similar else f"`chexphi {verb} --help` lists those it has"
            )
            raise InputError(f"{verb}: unknown flag --{shown(name)[1:-1]}: {hint}")
    values |= read_flags(flags, fields.values(), verb)
    check_choices(values, fields, verb)
    return values


def check_required(verb: str, recipe: Any) -> None:
    """Refuse a recipe without a value for each field that its metadata calls `required`.

    There, a name in place of true is that of a field which can be given in its place.

    Raises:
        InputError: For those that are missing, all together.
    """
    values: dict[str, Any] = {}
    for name, field in described_fields([type(recipe)]).items():
        alternative = field.metadata.get("required")
        if isinstance(alternative, str):
            values[f"{name} (or --{alternative})"] = getattr(recipe, name) or getattr(recipe, alternative)
        elif alternative:
            values[name] = getattr(recipe, name)
    _check_given(verb, values)


def _check_given(verb: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings without a value, and name those that are missing.

    Raises:
        InputError: If one of them is None or empty.
    """
    missing = [f"--{name}" for name, value in settings.items() if not value]
    if missing:
        words = (
            "give both, in the config or as flags" if missing[1:] else "give it, in the config or as a flag"
        )
        raise InputError(f"{verb} needs {' and '.join(missing)}: {words}")


def check_choices(values: Mapping[str, Any], fields: Mapping[str, Field], verb: str) -> None:
    """Refuse a text that is not among the choices of its field.

    Raises:
        InputError: For the first one, with the most similar choices.
    """
    for name, value in values.items():
        choices = choices_of(fields[name]) if isinstance(value, str) else []
        if choices and value not in choices:
            similar = difflib.get_close_matches(value[:100], choices, n=5) or choices
            raise InputError(f"{verb}: {name} is {shown(value)}: use one of {cut(', '.join(similar))}")
