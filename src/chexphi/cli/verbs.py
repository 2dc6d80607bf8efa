"""A group of verbs, whose help shows a switch as a flag: without a type, since it takes no value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from chexphi.config.help_text import ORIGINAL


def _without_types(parameters: list[Any]) -> list[Any]:
    """The parameters of a verb; typer would write `<bool>` beside a switch."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


def _epilog(command: Any, described: Iterable[Any]) -> str | None:
    """The last lines of a help: where one of its texts names the original, also what that is."""
    texts = [command.help, *(getattr(entry, "help", None) for entry in described)]
    is_named = any("the original" in (text or "") for text in texts)
    return "\n\n".join(filter(None, (command.epilog, ORIGINAL if is_named else None))) or None


class Verb(TyperCommand):
    """A verb with options that typer reads."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.epilog = _epilog(self, self.params)
        super().format_help(ctx, formatter)


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.epilog = _epilog(self, self.commands.values())
        super().format_help(ctx, formatter)


class Verbs(typer.Typer):
    """A group of verbs; typed alone, it shows its help."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=_Group, no_args_is_help=True, **settings)

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **settings: Any
    ) -> Any:
        return super().command(name, cls=cls or Verb, **settings)
