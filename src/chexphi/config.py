"""Read a recipe's settings: a flat dataclass of ours beside TRL's own, from YAML and the command line.

`--config FILE.yaml` gives the values, of several files a later one goes over an earlier one; `--key value`,
`--key=value` (with `-` or `_`) override them. Unknown keys and values of the wrong type are refused before
anything is loaded.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from chexphi import ranges, yaml_files
from chexphi.field_values import check_values, fields_of
from chexphi.ranges import Range
from chexphi.runs import processes, run_folder
from chexphi.runs.run_folder import Resume
from chexphi.schema import InputError, shown

if TYPE_CHECKING:
    from transformers import HfArgumentParser

MAX_MESSAGE = 400
"""Characters of a library's message that ours shows."""


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


def as_text(value: Any) -> str:
    """A value of a setting as it stands on a command line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file of settings; see `yaml_files`.

    Raises:
        InputError: If the file is missing (with those of its folder), or as `yaml_files`.
    """
    if not path.exists():
        there = sorted(file.stem for file in path.parent.glob("*.yaml"))
        near = difflib.get_close_matches(path.stem, there) or there
        names = ", ".join(f"{stem}.yaml" for stem in near)
        hint = f"{path.parent} has {names}" if names else "check the path after --config"
        raise InputError(f"config file {path} does not exist: {hint}")
    return yaml_files.read_yaml(path)


@processes.fail_together()
def parse(
    argv: Sequence[str],
    *kinds: type,
    prog: str,
    defaults: Mapping[str, Any] | None = None,
    allowed: Mapping[str, Range] | None = None,
) -> tuple[Any, ...]:
    """Build one instance of each dataclass from `argv` and the YAML files it names.

    Args:
        argv: The words after the verb.
        kinds: Our recipe dataclass, then at most one TRL config.
        prog: The verb, as `--help` shows it.
        defaults: Our values for fields of TRL's config, below YAML and flags.
        allowed: The range of each number that has one; NaN and infinity are in none.

    Raises:
        InputError: For anything the user has to correct; of several processes one says it.
    """
    files, flags = split_configs(normalize_flags(argv), prog)
    values: dict[str, Any] = dict(defaults or {})
    for path in files:
        values |= check_values(read_yaml(path), kinds, str(path))
    known = fields_of(kinds)
    for flag in (word for word in flags if word.startswith("--")):
        if flag[2:].removeprefix("no_") not in known and flag[2:] not in known:
            check_values({flag[2:]: None}, kinds, prog)
    parser = _parser(kinds, prog, values)
    try:
        given = vars(parser.parse_args(flags))
        ranges.check({name: given[name] for name in known}, allowed or {}, prog.removeprefix("chexphi "))
        return tuple(parser.parse_args_into_dataclasses(args=flags, look_for_args_file=False))
    except InputError:
        raise
    except Exception as error:  # of TRL's config, which looks at its values in many ways
        raise InputError(f"{prog}: {_sentence(error)}") from error


def _parser(kinds: Sequence[type], prog: str, values: Mapping[str, Any]) -> HfArgumentParser:
    """The parser of all fields, whose defaults are these values."""
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
            raise InputError(f"{prog}: {_cut(message)} (see `{prog} --help`)")

    parser = Parser(kinds, prog=prog, add_help=False, allow_abbrev=False)
    for action in parser._actions:
        if action.dest in values:
            action.default, action.required = values[action.dest], False
            if action.choices and isinstance(action.default, str) and action.default not in action.choices:
                known = [str(choice) for choice in action.choices]
                near = difflib.get_close_matches(action.default[:100], known, n=5) or known
                hint = _cut(f"use one of {', '.join(near)}")
                raise InputError(f"{prog}: {action.dest} is {shown(action.default)}: {hint}")
    return parser


def _sentence(error: Exception) -> str:
    """What a library says of a setting, with its kind where that says more than the text."""
    if isinstance(error, OSError) and error.filename:
        return f"{shown(error.filename)} cannot be read ({error.strerror}): correct the path"
    return _cut(
        str(error) if isinstance(error, ValueError | ImportError) else f"{type(error).__name__}: {error}"
    )


def _cut(message: str) -> str:
    """A library's message as one line, at most as long as is read."""
    text = " ".join(message.split())
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}…"


def parse_training(
    argv: Sequence[str],
    recipe: type,
    trl: type,
    *,
    verb: str,
    defaults: Mapping[str, Any],
    allowed: Mapping[str, Range],
) -> tuple[Any, Any]:
    """Read a training recipe and TRL's config; `--out` is the short name of TRL's `output_dir`.

    Without a GPU the run is fp32 on the CPU unless the settings say otherwise.
    """
    import torch

    with processes.fail_together():
        on_cpu = any(word.startswith(("--use_cpu", "--use-cpu")) for word in argv)
        processes.check(0 if on_cpu else torch.cuda.device_count())
    # TRL's default folder has one name for all runs
    ours_first = {
        "output_dir": "",
        "bf16": torch.cuda.is_available(),
        "use_cpu": not torch.cuda.is_available(),
    }
    ours, args = parse(
        argv, recipe, trl, prog=f"chexphi {verb}", defaults={**ours_first, **defaults}, allowed=allowed
    )
    args.output_dir = str(ours.out or args.output_dir or run_folder.default_folder(verb))
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
