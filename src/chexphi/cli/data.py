"""`chexphi data VERB`: make, import and check datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chexphi.cli import hints
from chexphi.cli.options import Json, Limit, Out, Overwrite, Seed, one_of, show
from chexphi.cli.spaced_rewards import SpacedRewards
from chexphi.cli.standard_input import input_file, input_root, named
from chexphi.cli.verbs import Verbs
from chexphi.runs import terminal

app = Verbs(help="Make, import and check datasets.")


@app.command("phantom")
def phantom(
    out: Out,
    size: Annotated[int, typer.Option("--size", help="Side of a film in pixels, 64 to 512.")] = 64,
    train: Annotated[int, typer.Option("--train", help="SFT examples.")] = 2000,
    pool: Annotated[int, typer.Option("--pool", help="Examples to mine and to train on.")] = 1000,
    valid: Annotated[int, typer.Option("--valid", help="Validation examples.")] = 500,
    test: Annotated[int, typer.Option("--test", help="Test examples.")] = 1000,
    sight: Annotated[int, typer.Option("--sight", help="Examples that teach a small model to see.")] = 0,
    seed: Seed = 0,
    workers: Annotated[int, typer.Option("--workers", help="Processes that draw.")] = 1,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Draw chest films with questions, reasoning, exact graphs and scenes, in the original's layout."""
    from chexphi.data.phantom import build

    counts = build.Sizes(sight=sight, sft=train, pool=pool, valid=valid, test=test)
    with terminal.progress_bar() as progress:
        task = progress.add_task("draw films", total=None)
        rows = build.build(
            out,
            size=size,
            seed=seed,
            counts=counts,
            overwrite=overwrite,
            workers=workers,
            progress=lambda completed, total: progress.update(task, completed=completed, total=total),
        )
    show({"out": str(out), **rows}, as_json=as_json)
    hints.show_next(hints.after_phantom(out), as_json=as_json)


@app.command("import")
def import_(
    form: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            autocompletion=one_of("mimic-vqa-cot", "vqa-rad", "nih-labels"),
            help="mimic-vqa-cot, vqa-rad or nih-labels.",
        ),
    ],
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The dataset's folder or file.")],
    out: Out,
    image_root: Annotated[Path | None, typer.Option("--image-root", help="Folder of the images.")] = None,
    empty_answer: Annotated[
        str,
        typer.Option(
            "--empty-answer",
            autocompletion=one_of("refuse", "none", "skip"),
            help="An answer that is empty: refuse, none (it becomes none) or skip (left out).",
        ),
    ] = "refuse",
    missing_films: Annotated[
        str,
        typer.Option(
            "--missing-films",
            autocompletion=one_of("refuse", "skip"),
            help="Rows whose film has no file: refuse or skip (left out).",
        ),
    ] = "refuse",
    seed: Seed = 0,
    limit: Limit = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Read a dataset in its own format and write it in ours; images stay where they are."""
    from chexphi.data.importers import convert

    figures = convert.convert(
        form,
        source,
        out,
        image_root=image_root,
        seed=seed,
        limit=limit,
        empty_answer=empty_answer,
        missing_films=missing_films,
        overwrite=overwrite,
    )
    show(figures, as_json=as_json)
    if not as_json:
        for reason, count in figures["left_out"].items():
            typer.echo(f"left out: {count}, {reason}")
    hints.show_next(hints.after_import(figures), as_json=as_json)


@app.command("check", cls=SpacedRewards)
def check(
    file: Annotated[Path, typer.Argument(help="A dataset file, or -.")],
    image_root: Annotated[Path | None, typer.Option("--image-root", help="Folder of the images.")] = None,
    rewards: Annotated[
        list[str] | None,
        typer.Option(
            "--rewards",
            help="Also whether gold earns the most and garbage nothing: names, or a config of grpo.",
        ),
    ] = None,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Read a dataset, open its films, and say what it contains and what is wrong with it."""
    from chexphi.data.check import check as stage
    from chexphi.data.check import terminal_lines
    from chexphi.reward_checks import offline_scores

    pay = None if rewards is None else offline_scores.pay_of_references(rewards)
    image_root = input_root(file, image_root)
    figures = stage(input_file(file), image_root=image_root, limit=limit, pay=pay)
    figures["file"] = named(figures["file"])
    for key in ("problems", "warnings"):
        figures[key] = [named(line) for line in figures[key]]
    show(figures if as_json else terminal_lines(figures), as_json=as_json)
    if not as_json:
        for line in (*figures["problems"], *figures["warnings"]):
            typer.echo(line, err=True)
    if figures["problem_count"]:
        raise typer.Exit(2)
