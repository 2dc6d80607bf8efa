"""Options that several verbs have, and the printing of figures."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
import json
from collections.abc import Callable, Set
from pathlib import Path
from typing import Annotated, Any, cast, get_type_hints

import typer
from rich.console import Console, RenderableType

from chexphi.cli import foreign_flags
from chexphi.cli.recipe_command import RecipeCommand, choices_by_name
from chexphi.config.help_text import default_note, default_of, heading_of
from chexphi.number_text import value_text
from chexphi.ranges import SEED
from chexphi.schema import InputError


def not_standard_output(out: Path | None) -> Path | None:
    """The path of a result that is not text: `-` is refused."""
    if str(out) == "-":
        raise InputError(
            "--out is '-', and this verb does not write to standard output: name a file or folder"
        )
    return out


def one_of(*words: str) -> Callable[[], list[str]]:
    """For `autocompletion`: the words that a shell offers; what else is allowed, the verb checks."""
    return lambda: [*words]


Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else there.")
]
Extractor = Annotated[
    str,
    typer.Option(
        "--extractor",
        autocompletion=one_of("lexicon", "rexkg:", "radgraph"),
        help="lexicon, rexkg:FOLDER or radgraph[:MODEL].",
    ),
]
Ontology = Annotated[str, typer.Option("--ontology", help="A TOML file of concepts to add or replace.")]
TextOut = Annotated[Path, typer.Option("--out", help="Where the result goes; - is standard output.")]
Out = Annotated[Path, typer.Option("--out", callback=not_standard_output, help="Where the result goes.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=int(SEED.maximum), help="Seed of every draw.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Use the first N rows only.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is in --out.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what is in --out.")]
RECIPE = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def recipe_argv(context: typer.Context) -> tuple[list[str], bool, bool]:
    """The recipe's arguments, and whether `--json` and `--yes` were given; `--help` is answered here."""
    words = list(context.args)
    if {"--help", "-h", "--help-all"} & {*words}:
        command = cast(RecipeCommand, context.command)
        typer.echo(command.help_text(context.command_path))
        if "--help-all" in words:
            typer.echo(command.library_help())
        raise typer.Exit
    for flag, value in itertools.pairwise([*words, ""]):
        if (flag, value) == ("--out", "-") or flag == "--out=-":
            not_standard_output(Path("-"))
    argv = [word for word in words if word not in ("--json", "--yes", "-y")]
    foreign_flags.check(context, argv)
    return argv, "--json" in words, "--yes" in words or "-y" in words


def fields_as_options(kind: type, *, leave_out: Set[str] = frozenset()) -> Callable[..., Any]:
    """For a verb that ends in `**settings`: add an option for every field of a dataclass, None by default.

    Args:
        kind: The dataclass; the help of a field is in its metadata.
        leave_out: Fields for which the verb has parameters of its own.
    """
    hints = get_type_hints(kind)

    def option(field: dataclasses.Field[Any]) -> inspect.Parameter:
        name = "--" + field.name.replace("_", "-")
        words = [f"{name}/--no-{name[2:]}" if hints[field.name] is bool else name]
        info = typer.Option(
            *words,
            autocompletion=one_of(*choices_by_name().get(field.name, ())),
            help=field.metadata["help"] + default_note(default_of(field)),
            rich_help_panel=heading_of(kind, field.name),
        )
        hint: Any = Annotated[hints[field.name] | None, info]
        return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)

    def decorate(verb: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(verb)
        def with_options(**arguments: Any) -> Any:
            return verb(**arguments)

        parameters = [
            parameter.replace(kind=parameter.KEYWORD_ONLY)
            for parameter in inspect.signature(verb, eval_str=True).parameters.values()
            if parameter.kind != parameter.VAR_KEYWORD
        ]
        parameters += [option(field) for field in dataclasses.fields(kind) if field.name not in leave_out]
        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return with_options

    return decorate


def has_colour(console: Console) -> bool:
    """Whether the terminal shows colours: not in a pipe, and not with NO_COLOR."""
    return console.color_system is not None and not console.no_color


def show_table(
    figures: dict[str, Any], table: Callable[[dict[str, Any]], RenderableType], *, as_json: bool
) -> None:
    """Print figures: as JSON on standard output, or as a table for people."""
    if as_json:
        show(figures, as_json=True)
    else:
        Console().print(table(figures))


def show(figures: dict[str, Any], *, as_json: bool, error: bool = False) -> None:
    """Print figures on standard output (or standard error): as JSON, or as lines for people.

    A line for each single value; a seed is a name, and no count.
    """
    if as_json:
        typer.echo(json.dumps(figures, indent=2), err=error)
        return
    for key, value in figures.items():
        if not isinstance(value, dict | list):
            text = str(value) if key == "seed" else value_text(value)
            typer.echo(f"{key.replace('_', ' ')}: {text}", err=error)
