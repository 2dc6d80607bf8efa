"""`chexphi checkpoint VERB`: folders of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from chexphi.cli.options import Json, show_table

app = typer.Typer(no_args_is_help=True)


@app.callback()
def checkpoint() -> None:
    """Look at folders of model weights."""


@app.command("inspect")
def inspect(
    folder: Annotated[Path, typer.Argument(help="Folder in the original or the native layout.")],
    as_json: Json = False,
) -> None:
    """Layout, parameters by part, adapters, types and what is missing, without loading the weights."""
    from chexphi.models.checkpoint.inspect import inspect as stage

    show_table(stage(folder), _table, as_json=as_json)


def _table(found: dict[str, Any]) -> Table:
    table = Table("part", "parameters", "rank", "alpha", title=f"{found['layout']} layout")
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
