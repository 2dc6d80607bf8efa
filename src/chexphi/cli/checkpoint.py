"""`chexphi checkpoint VERB`: folders of weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from chexphi.cli.options import Json, show, show_table
from chexphi.runs import terminal

app = typer.Typer(no_args_is_help=True)


@app.callback()
def checkpoint() -> None:
    """Look at folders of model weights, import and export the original layout, fold adapters in."""


@app.command("inspect")
def inspect(
    folder: Annotated[Path, typer.Argument(help="A model in either layout, or an adapter.")],
    as_json: Json = False,
) -> None:
    """Layout, parameters by part, adapters, types and what is missing, without loading the weights."""
    from chexphi.models.original_layout.inspect import inspect as stage

    show_table(stage(folder), _table, as_json=as_json)


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A folder in the original layout.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="A new folder, or one to go on with.")],
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Read weights in *.bin files, as tensors only.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the native base, vision-lora/, speech-lora/ and the processor of an original checkpoint."""
    from chexphi.models.original_layout.importing import convert

    with _megabytes("import") as progress:
        figures = convert(source, target, allow_pickle=allow_pickle, progress=progress)
    show(figures, as_json=as_json)


@app.command("export")
def export(
    policy: Annotated[Path, typer.Argument(help="A native base, or a trained adapter.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="A new folder, or one to go on with.")],
    as_json: Json = False,
) -> None:
    """Write a policy in the original layout."""
    from chexphi.models.original_layout.exporting import export as stage

    with _megabytes("export") as progress:
        figures = stage(policy, target, progress=progress)
    show(figures, as_json=as_json)


@app.command("merge")
def merge(
    policy: Annotated[Path, typer.Argument(help="A trained adapter, or a base with vision-lora/.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="A new folder.")],
    as_json: Json = False,
) -> None:
    """Fold a policy's adapter into the weights: a native model without an adapter."""
    from chexphi.models.merging import merge as stage

    show(stage(policy, target), as_json=as_json)


@contextmanager
def _megabytes(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of megabytes."""
    with terminal.progress_bar() as bar:
        task = bar.add_task(f"{what}, MB", total=None)
        yield lambda done, total: bar.update(task, completed=done >> 20, total=total >> 20)


def _title(found: dict[str, Any]) -> str:
    if found["layout"] == "adapter":
        return f"adapter of {found['base']}"
    return f"{found['layout']} layout"


def _table(found: dict[str, Any]) -> Table:
    table = Table("part", "parameters", "rank", "alpha", title=_title(found))
    for part, count in found["parameters"].items():
        table.add_row(part, f"{count:,}")
    for name, row in found["adapters"].items():
        table.add_row(f"adapter {name}", f"{row['parameters']:,}", str(row["rank"]), str(row["alpha"]))
    tied = "tied to the input embedding" if found["tied"] else "with a tensor of its own"
    table.caption = f"{', '.join(found['dtypes'])} in {found['files']} file(s); lm_head {tied}; " + (
        f"{len(found['missing'])} missing, the first {found['missing'][0]}"
        if found["missing"]
        else "nothing missing"
    )
    return table
