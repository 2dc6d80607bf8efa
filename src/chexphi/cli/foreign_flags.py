"""A flag or a setting of another verb: refused by a sentence that names the verbs which have it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from chexphi import config
from chexphi.cli.recipe_command import RecipeCommand
from chexphi.config.flags import is_negation
from chexphi.runs import processes
from chexphi.schema import InputError

MAX_VERBS = 6
"""Verbs that a sentence names; what more of them have is no hint."""
GRID = "in the sweep's YAML, write it below settings, or with a list of values below grid"
"""What `sweep` takes settings of its runs by."""


def names_of_verbs(command: Any, verb: str = "") -> Iterator[tuple[str, set[str]]]:
    """Each verb at or below a command, and the names of its flags with `_`."""
    if isinstance(command, RecipeCommand):
        yield verb, set(command.fields())
    elif commands := getattr(command, "commands", {}):
        for name in commands:
            yield from names_of_verbs(commands[name], f"{verb} {name}".strip())
    else:
        options = (option for option in command.params if not getattr(option, "hidden", False))
        yield verb, {normal(flag) for option in options for flag in option.opts if flag[:2] == "--"}


def normal(flag: str) -> str:
    """A flag's name as that of a field.

    >>> normal("--image-root")
    'image_root'
    """
    return flag.lstrip("-").replace("-", "_")


def owners(root: Any, name: str) -> str | None:
    """The verbs that have a flag, as words; None if no verb has it, or very many."""
    verbs = [verb for verb, names in names_of_verbs(root) if name in names]
    if not verbs or len(verbs) > MAX_VERBS:
        return None
    return f"{', '.join(verbs[:-1])} and {verbs[-1]}" if verbs[1:] else verbs[0]


@processes.fail_together()
def check(context: Any, words: Sequence[str]) -> None:
    """Refuse what a verb with a recipe does not have and another verb has.

    Args:
        context: Of the verb.
        words: Its words without those that are no settings, such as `--json`.

    Raises:
        InputError: For the first such flag, or setting in a config file.
    """
    verb, fields = context.command_path.partition(" ")[2], context.command.fields()
    files, flags = config.split_configs(config.normalize_flags(words), verb)
    names = [(f"{file}: ", name) for file in files for name in config.read_yaml(file)]
    names += [(f"{verb}: --", word[2:]) for word in flags if word.startswith("--")]
    for start, name in names:
        if name in fields or is_negation(name, fields):
            continue
        if verbs := owners(context.find_root().command, name):
            remedy = GRID if verb == "sweep" and "grpo" in verbs else f"leave it out of {verb}"
            raise InputError(f"{start}{name} is a setting of {verbs}: {remedy}")
