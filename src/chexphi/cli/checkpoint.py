"""`chexphi checkpoint VERB`: folders of weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from chexphi.cli import hints
from chexphi.cli.options import Json, show, show_table
from chexphi.cli.verbs import Verbs
from chexphi.runs import terminal

app = Verbs()


@app.callback()
def checkpoint() -> None:
    """Model weights: inspect, import, export, merge."""


@app.command("inspect")
def inspect(
    folder: Annotated[Path, typer.Argument(help="A model in either layout, or an adapter.")],
    as_json: Json = False,
) -> None:
    """Layout, parameters by part, adapters, types and missing tensors, without loading the weights."""
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
    hints.show_next(hints.after_checkpoint_import(target), as_json=as_json)


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
def _megabytes(verb: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar in megabytes: call the result with the bytes so far and the bytes in all.

    It begins with the first bytes: until then a spinner says what is loaded.
    """
    bar = terminal.progress_bar()

    def show_bytes(completed: int, total: int) -> None:
        if not bar.task_ids:
            bar.add_task(f"{verb}, MB")
            bar.start()
        bar.update(bar.task_ids[0], completed=completed >> 20, total=max(1, total >> 20))

    try:
        yield show_bytes
    finally:
        if bar.task_ids:
            bar.stop()


def _title(figures: dict[str, Any]) -> str:
    if figures["layout"] == "adapter":
        return f"adapter of {figures['base']}"
    return f"{figures['layout']} layout"


def _table(figures: dict[str, Any]) -> Table:
    table = Table("part", "parameters", "rank", "alpha", title=_title(figures))
    for module, count in figures["parameters"].items():
        table.add_row(module, f"{count:,}")
    for name, row in figures["adapters"].items():
        table.add_row(f"adapter {name}", f"{row['parameters']:,}", str(row["rank"]), str(row["alpha"]))
    head = "tied to the input embedding" if figures["tied"] else "with a tensor of its own"
    missing = figures["missing"]
    table.caption = f"{', '.join(figures['dtypes'])} in {figures['files']} file(s); lm_head {head}; " + (
        f"{len(missing)} missing, the first {missing[0]}" if missing else "nothing missing"
    )
    return table
