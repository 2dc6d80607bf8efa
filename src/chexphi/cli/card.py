"""`chexphi card`: the card of a trained model, with figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chexphi import atomic
from chexphi.cli import standard_output
from chexphi.cli.options import Json, Overwrite, show


def card(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A model's folder, or the run that trained it.")
    ],
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN...", help="Evaluations of that model, for the figures."),
    ] = None,
    out: Annotated[
        str, typer.Option("--out", help="A file, or - for standard output (default: the model's README.md).")
    ] = "",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write the card of a trained model.

    It has the data, the recipe, the figures with their intervals, and the limits.
    """
    from chexphi.evaluation.card_figures import card_of
    from chexphi.model_card import pages

    if out == "-":
        standard_output.check_free(as_json=as_json)
    elif out:
        atomic.check_file(Path(out), overwrite=overwrite)
    folder, page = card_of(model, runs or [], overwrite=overwrite or bool(out))
    if out == "-":
        typer.echo(page, nl=False)
        return
    path = Path(out) if out else folder / pages.NAME
    atomic.write_text(path, page)
    show({"out": str(path), "evaluations": len(runs or [])}, as_json=as_json)
