"""A verb whose flags are fields of a recipe: which recipe, and what a shell completes for it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from typer.core import TyperCommand

from chexphi.field_values import Field, described_fields

CONFIG, YES, HELP_ALL = "--config", "--yes", "--help-all"
OTHER_FLAGS = {
    CONFIG: "file of settings, YAML; again for more: a later file wins, and flags win over files",
    "--json": "print one JSON object on standard output, nothing else there",
    YES: "answer every question with yes",
    "--help": "list the settings",
    HELP_ALL: "list TRL's settings as well",
}
"""Flags of recipe verbs that are not fields."""
SHORT_FLAGS = {YES: "-y", "--help": "-h"}


class Completion(NamedTuple):
    """A word that a shell offers, with the attributes that typer's shells look at."""

    value: str
    help: str | None = None
    type: str = "plain"


class RecipeCommand(TyperCommand):
    """Reads its own flags, so that typer knows none of them; `of_recipe` makes it."""

    recipe: str
    """`module:Class` of our dataclass."""
    trl: Sequence[str]
    """TRL's configs whose fields are accepted, too."""
    planned: Sequence[str]
    """`module:Class` of the recipes of other verbs whose fields are accepted, too."""

    def recipe_class(self) -> type:
        """Our dataclass, imported."""
        return _imported(self.recipe)

    def fields(self) -> dict[str, Field]:
        """Every field that the verb accepts."""
        return described_fields([*self.library_kinds(), *map(_imported, self.planned), self.recipe_class()])

    def library_kinds(self) -> list[type]:
        """The outlines of TRL's configs."""
        if not self.trl:
            return []
        from chexphi.training.trainer_settings import fields_of_trl

        return [fields_of_trl(name) for name in self.trl]

    def other_flags(self) -> dict[str, str]:
        """The flags that this verb has besides its fields: it asks nothing where nothing is replaced."""
        absent = set() if self.trl else {HELP_ALL}
        absent |= set() if "overwrite" in described_fields([self.recipe_class()]) else {YES}
        return {flag: text for flag, text in OTHER_FLAGS.items() if flag not in absent}

    def help_text(self, prog: str) -> str:
        """Our settings, by group."""
        from chexphi.config import help_text

        spelled = {
            f"{flag}, {SHORT_FLAGS[flag]}" if flag in SHORT_FLAGS else flag: text
            for flag, text in self.other_flags().items()
        }
        return help_text(self.recipe_class(), prog, spelled, " or ".join(self.trl))

    def library_help(self) -> str:
        """TRL's settings by group, with the defaults that this verb gives them."""
        if not self.trl:
            return ""
        from chexphi.config.help_text import library_help
        from chexphi.training.preflight import refused

        module = importlib.import_module(self.recipe.split(":")[0])
        return library_help(self.library_kinds(), getattr(module, "DEFAULTS", {}), refused.NOTES)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Flags or choices; where there are none, the shell offers files."""
        return completions(ctx.args, incomplete, self.fields(), self.other_flags())


def _imported(recipe: str) -> Any:
    module, name = recipe.split(":")
    return getattr(importlib.import_module(module), name)


def of_recipe(recipe: str, *trl: str, planned: Sequence[str] = ()) -> type[RecipeCommand]:
    """The command class of a verb whose flags are fields of `module:Class`, and of configs of TRL.

    Args:
        recipe: `module:Class`.
        trl: The names of the configs.
        planned: Recipes of other verbs, whose fields are flags as well.
    """
    return type("RecipeCommand", (RecipeCommand,), {"recipe": recipe, "trl": trl, "planned": planned})


def choices_by_name() -> dict[str, Sequence[str]]:
    """The words that settings of rewards can have, by the setting's name; their types say only text."""
    from chexphi.rewards import rules, settings

    return {**rules.CHOICES, **settings.CHOICES, "rewards": settings.NAMES}


def completions(
    words: Sequence[str],
    incomplete: str,
    fields: Mapping[str, Field],
    other_flags: Mapping[str, str] = OTHER_FLAGS,
) -> list[Completion]:
    """What can stand at the end of a command line.

    Args:
        words: The complete words after the verb.
        incomplete: The start of the word that is being typed.
        fields: The fields of the recipe.
        other_flags: Flags that are not fields, with what they do.
    """
    from chexphi.config.flags import choices_of, is_switch

    if incomplete.startswith("-"):
        helps = {f"--{name}": field.metadata.get("help") for name, field in fields.items()} | {**other_flags}
        has_dashes = "-" in incomplete[2:]
        flags = {name[:2] + name[2:].replace("_", "-") if has_dashes else name: helps[name] for name in helps}
        return [Completion(flag, text) for flag, text in flags.items() if flag.startswith(incomplete)]
    before = [word for word in words if word != "="][-1:]  # bash makes a word of the = in --key=value
    field = fields.get(before[0].removeprefix("--").replace("-", "_")) if before else None
    if field is None or not before[0].startswith("--"):
        return []
    switch = ["true", "false"] if is_switch(field.hint) else []
    choices = choices_of(field) or switch or choices_by_name().get(field.name, [])
    return [Completion(choice) for choice in choices if choice.startswith(incomplete)]
