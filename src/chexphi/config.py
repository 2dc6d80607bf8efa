"""Read a recipe's settings: a flat dataclass of ours beside TRL's own, from YAML and the command line.

`--config FILE.yaml` gives the values, of several files a later one goes over an earlier one; `--key value`,
`--key=value` (with `-` or `_`) override them. Unknown keys and values of the wrong type are refused before
anything is loaded.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pydantic
import yaml

from chexphi.runs import Resume
from chexphi.schema import InputError


def normalize_flags(argv: Sequence[str]) -> list[str]:
    """Spell every flag as `--snake_case value`.

    >>> normalize_flags(["--num-generations=8", "--data", "a-b.json"])
    ['--num_generations', '8', '--data', 'a-b.json']
    """
    flags: list[str] = []
    for word in argv:
        if not word.startswith("--"):
            flags.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        flags.append("--" + name.replace("-", "_"))
        if equals:
            flags.append(value)
    return flags


def split_configs(flags: Sequence[str], prog: str) -> tuple[list[Path], list[str]]:
    """The files that every `--config` names, in their order, and the other words.

    >>> split_configs(["--config", "kg.yaml", "--seed", "1", "--config", "dapo.yaml"], "chexphi grpo")[1]
    ['--seed', '1']

    Raises:
        InputError: If a `--config` has no file behind it.
    """
    files: list[Path] = []
    others = list(flags)
    while "--config" in others:
        at = others.index("--config")
        if at + 1 == len(others) or others[at + 1].startswith("--"):
            raise InputError(f"{prog}: --config needs a file name")
        files.append(Path(others[at + 1]))
        del others[at : at + 2]
    return files, others


class _OnceLoader(yaml.SafeLoader):
    """YAML whose mappings name a key once: of two values the library would keep the last, and say nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            line = node.start_mark.line + 1
            raise InputError(
                f"config file {self.name}: key {twice!r} stands twice in the mapping at line {line}: keep one"
            )
        return super().construct_mapping(node, deep)


def as_text(value: Any) -> str:
    """A value of a setting as it stands on a command line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        InputError: If the file is missing (with those of its folder), broken, no mapping, or one that names a
            key twice.
    """
    if not path.is_file():
        there = sorted(file.stem for file in path.parent.glob("*.yaml"))
        near = difflib.get_close_matches(path.stem, there) or there
        names = ", ".join(f"{stem}.yaml" for stem in near)
        hint = f"{path.parent} has {names}" if names else "check the path after --config"
        raise InputError(f"config file {path} does not exist: {hint}")
    try:
        with path.open(encoding="utf-8") as file:
            values = yaml.load(file, _OnceLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        raise InputError(f"config file {path} is no valid YAML{place}: correct it") from None
    if not isinstance(values, dict):
        raise InputError(f"config file {path} holds no mapping: write one `key: value` a line")
    return values


def fields_of(kinds: Sequence[type]) -> dict[str, Any]:
    """The types of all fields of dataclasses, by name."""
    hints: dict[str, Any] = {}
    for kind in kinds:
        found = typing.get_type_hints(kind)
        hints.update({field.name: found[field.name] for field in dataclasses.fields(kind) if field.init})
    return hints


def check_values(values: dict[str, Any], kinds: Sequence[type], source: str) -> dict[str, Any]:
    """Convert each value to its field's type ("6e-5" is text to YAML, a number to us).

    Raises:
        InputError: For an unknown key (with the nearest known one) or a value that does not fit.
    """
    hints = fields_of(kinds)
    checked: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see `--help` for the known ones"
            raise InputError(f"{source}: unknown key {key!r}: {hint}")
        checked[key] = _converted(key, value, hints[key], source)
    return checked


def _converted(key: str, value: Any, hint: Any, source: str) -> Any:
    options = {hint, *typing.get_args(hint)}
    name = getattr(hint, "__name__", None) if not typing.get_args(hint) else str(hint).replace("typing.", "")
    message = f"{source}: {key} is {value!r}, which is no {name or hint}: give a value of that type"
    if isinstance(value, bool) and bool not in options and not options & {Any, object, str, dict}:
        raise InputError(message)
    try:
        return pydantic.TypeAdapter(hint).validate_python(value)
    except pydantic.ValidationError:
        raise InputError(message) from None
    except pydantic.PydanticSchemaGenerationError:
        return value


def parse(
    argv: Sequence[str], *kinds: type, prog: str, defaults: Mapping[str, Any] | None = None
) -> tuple[Any, ...]:
    """Build one instance of each dataclass from `argv` and the YAML files it names.

    Args:
        argv: The words after the verb.
        kinds: Our recipe dataclass, then at most one TRL config.
        prog: The verb, as `--help` shows it.
        defaults: Our values for fields of TRL's config, below YAML and flags.

    Raises:
        InputError: For anything the user has to correct.
    """
    from transformers import HfArgumentParser
    from transformers.hf_argparser import string_to_bool

    def resume(word: str) -> Resume:
        return "auto" if word == "auto" else string_to_bool(word)

    class Parser(HfArgumentParser):
        @staticmethod
        def _parse_dataclass_field(parser: Any, field: Any) -> None:
            if field.type == Resume:
                parser.add_argument(
                    f"--{field.name}", type=resume, nargs="?", const=True, default=False, **field.metadata
                )
            else:
                HfArgumentParser._parse_dataclass_field(parser, field)

        def error(self, message: str) -> NoReturn:
            raise InputError(f"{prog}: {message} (see `{prog} --help`)")

    files, flags = split_configs(normalize_flags(argv), prog)
    values: dict[str, Any] = dict(defaults or {})
    for path in files:
        values |= check_values(read_yaml(path), kinds, str(path))
    parser = Parser(kinds, prog=prog, add_help=False, allow_abbrev=False)
    known = fields_of(kinds)
    for flag in (word for word in flags if word.startswith("--")):
        if flag[2:].removeprefix("no_") not in known and flag[2:] not in known:
            check_values({flag[2:]: None}, kinds, prog)
    for action in parser._actions:
        if action.dest in values:
            action.default, action.required = values[action.dest], False
    try:
        return tuple(parser.parse_args_into_dataclasses(args=flags, look_for_args_file=False))
    except (ValueError, TypeError, ImportError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{prog}: {' '.join(str(error).split())}") from error


def parse_training(
    argv: Sequence[str], recipe: type, trl: type, *, verb: str, defaults: Mapping[str, Any]
) -> tuple[Any, Any]:
    """Read a training recipe and TRL's config; `--out` is the short name of TRL's `output_dir`.

    Without a GPU the run is fp32 on the CPU unless the settings say otherwise.
    """
    import torch

    from chexphi import processes, runs

    with processes.agreed():
        on_cpu = any(word.startswith(("--use_cpu", "--use-cpu")) for word in argv)
        processes.check(0 if on_cpu else torch.cuda.device_count())
        # TRL's default folder has one name for all runs
        ours_first = {
            "output_dir": "",
            "bf16": torch.cuda.is_available(),
            "use_cpu": not torch.cuda.is_available(),
        }
        ours, args = parse(argv, recipe, trl, prog=f"chexphi {verb}", defaults={**ours_first, **defaults})
    args.output_dir = str(ours.out or args.output_dir or runs.default_folder(verb))
    return ours, args


def help_text(recipe: type, prog: str, trl: str | None = None) -> str:
    """What `--help` prints: our own fields with their docs, then where TRL's are documented."""
    lines = [f"usage: {prog} [--config FILE.yaml]... [--key value]...", ""]
    doc = (recipe.__doc__ or "").strip().splitlines()
    lines += [doc[0] if doc else "", ""]
    for field in dataclasses.fields(recipe):
        default = "" if field.default in (dataclasses.MISSING, None, "") else f" (default {field.default})"
        lines.append(f"  --{field.name}: {field.metadata.get('help', '')}{default}")
    if trl:
        lines += [
            "",
            f"Every field of TRL's {trl} is accepted too (trl {trl} documentation; `--learning_rate` …).",
        ]
    return "\n".join(lines)
