"""`chexphi compare` and `chexphi report`: what evaluations found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chexphi.cli import confirm
from chexphi.cli.options import Json, Seed, TextOut, show, show_table
from chexphi.cli.standard_input import input_file
from chexphi.cli.standard_output import output_file


def compare(
    first_run: Annotated[
        Path, typer.Argument(help="A run folder of `evaluate`, its predictions.jsonl, or -.")
    ],
    second_run: Annotated[Path, typer.Argument(help="Another one on the same examples.")],
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Paired differences of two policies, with 95 % intervals.

    Both answered the same examples; the intervals are by patient.
    """
    from chexphi.evaluation.compare import compare as compare_files
    from chexphi.evaluation.tables import table

    first_run, second_run = input_file(first_run), input_file(second_run)
    show_table(compare_files(first_run, second_run, seed=seed), table, as_json=as_json)


def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run folders; the first is the baseline.")
    ],
    out: TextOut = Path("report.html"),
    yes: confirm.Yes = False,
    as_json: Json = False,
) -> None:
    """One page of figures, curves, films, reasoning and graphs.

    It is one HTML file, which opens offline.
    """
    from chexphi.report.build import build_from_runs, check_page

    with output_file(out, ".html", as_json=as_json) as file:
        check_page(file)
        confirm.replace_page(file, yes=yes)
        build_from_runs(folders, file)
    show({"out": str(out)}, as_json=as_json, error=file is not out)
