"""Read a recipe's settings: a flat dataclass of ours beside TRL's own, from YAML and the command line.

`--config FILE.yaml` gives the values. It can be repeated: a later file overrides an earlier one. `--key
value` and `--key=value` (with `-` or `_`) override the files. Unknown keys and values of the wrong type are
refused before anything is loaded.
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
    """The files after each `--config`, in their order, and the other words.

    >>> split_configs(["--config", "kg.yaml", "--seed", "1", "--config", "dapo.yaml"], "chexphi grpo")[1]
    ['--seed', '1']

    Raises:
        InputError: If a `--config` has no file after it.
    """
    files: list[Path] = []
    words = list(flags)
    while "--config" in words:
        at = words.index("--config")
        if at + 1 == len(words) or words[at + 1].startswith("--"):
            raise InputError(f"{prog}: --config needs a file name")
        files.append(Path(words[at + 1]))
        del words[at : at + 2]
    return files, words


def as_text(value: Any) -> str:
    """A value of a setting as it is written on a command line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file of settings.

    Raises:
        InputError: If the file is missing (the message has similar names in its folder), or its content is
            refused by `yaml_files`.
    """
    if not path.exists():
        stems = sorted(file.stem for file in path.parent.glob("*.yaml"))
        names = ", ".join(f"{stem}.yaml" for stem in difflib.get_close_matches(path.stem, stems) or stems)
        hint = f"{path.parent} has {names}" if names else "check the path after --config"
        raise InputError(f"config file {path} does not exist: {hint}")
    return yaml_files.read_yaml(path)


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
        kinds: Our recipe dataclass, then at most one TRL config.
        prog: The verb, as `--help` shows it.
        defaults: Our values for fields of TRL's config; YAML and flags override them.
        number_ranges: The range of each setting that has one; NaN and infinity are refused in every setting.

    Raises:
        InputError: For anything the user has to correct; only one of several processes raises it.
    """
    files, flags = split_configs(normalize_flags(argv), prog)
    values: dict[str, Any] = dict(defaults or {})
    for path in files:
        values |= check_values(read_yaml(path), kinds, str(path))
    names = fields_of(kinds)
    for flag in (word for word in flags if word.startswith("--")):
        if flag[2:].removeprefix("no_") not in names and flag[2:] not in names:
            check_values({flag[2:]: None}, kinds, prog)
    parser = _parser(kinds, prog, values)
    try:
        arguments = vars(parser.parse_args(flags))
        settings = {name: arguments[name] for name in names}
        ranges.check(settings, number_ranges or {}, prog.removeprefix("chexphi "))
        return tuple(parser.parse_args_into_dataclasses(args=flags, look_for_args_file=False))
    except InputError:
        raise
    except Exception as error:  # of TRL's config, which checks its values in many ways
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
                choices = [str(choice) for choice in action.choices]
                similar = difflib.get_close_matches(action.default[:100], choices, n=5) or choices
                hint = _cut(f"use one of {', '.join(similar)}")
                raise InputError(f"{prog}: {action.dest} is {shown(action.default)}: {hint}")
    return parser


def _sentence(error: Exception) -> str:
    """A library's message about a setting, with the error's type where the text alone says little."""
    if isinstance(error, OSError) and error.filename:
        return f"{shown(error.filename)} cannot be read ({error.strerror}): correct the path"
    return _cut(
        str(error) if isinstance(error, ValueError | ImportError) else f"{type(error).__name__}: {error}"
    )


def _cut(message: str) -> str:
    """A library's message as one line of at most `MAX_MESSAGE` characters."""
    text = " ".join(message.split())
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}…"


def parse_training(
    argv: Sequence[str],
    recipe: type,
    trl: type,
    *,
    verb: str,
    defaults: Mapping[str, Any],
    number_ranges: Mapping[str, Range],
) -> tuple[Any, Any]:
    """Read a training recipe and TRL's config; `--out` is the short name of TRL's `output_dir`.

    Without a GPU the run uses fp32 on the CPU unless the settings say otherwise.
    """
    import torch

    with processes.fail_together():
        on_cpu = any(word.startswith(("--use_cpu", "--use-cpu")) for word in argv)
        processes.check(0 if on_cpu else torch.cuda.device_count())
    # `output_dir`: TRL's default folder has the same name for all runs
    machine_defaults = {
        "output_dir": "",
        "bf16": torch.cuda.is_available(),
        "use_cpu": not torch.cuda.is_available(),
    }
    ours, args = parse(
        argv,
        recipe,
        trl,
        prog=f"chexphi {verb}",
        defaults={**machine_defaults, **defaults},
        number_ranges=number_ranges,
    )
    args.output_dir = str(ours.out or args.output_dir or run_folder.default_folder(verb))
    return ours, args


def help_text(recipe: type, prog: str, trl: str | None = None) -> str:
    """The text of `--help`: our own fields with their docs, then where TRL's fields are documented."""
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
