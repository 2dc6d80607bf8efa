"""`chexphi mine`: score a pool with a policy; select what to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chexphi.cli import confirm, hints
from chexphi.cli.options import RECIPE, Json, Limit, Overwrite, Seed, TextOut, one_of, recipe_argv, show
from chexphi.cli.recipe_command import of_recipe
from chexphi.cli.standard_input import input_file
from chexphi.cli.standard_output import output_file
from chexphi.cli.verbs import Verbs
from chexphi.mining import advice
from chexphi.runs.stop import ROWS_KEPT, STOP

app = Verbs(help="Score a pool of questions; select what to train on.")


@app.command("score", cls=of_recipe("chexphi.mining.score:MineScoreRecipe"), context_settings=RECIPE)
def score(context: typer.Context) -> None:
    """Let a policy answer a pool, several times a question."""
    argv, as_json, yes = recipe_argv(context)
    with STOP.keeping(ROWS_KEPT):
        from chexphi.mining import score as stage

        recipe = stage.parse(argv)
        confirm.replace_run(recipe.out, overwrite=recipe.overwrite, yes=yes)
        figures = stage.main(recipe)
    show(figures, as_json=as_json)
    if not as_json:
        typer.echo(advice.of_scored(figures, samples=recipe.samples))
    wrong = bool(figures.get("right_for_wrong_reason"))
    if figures["sometimes_right"] or wrong or recipe.samples == 1:  # else there is nothing to choose
        words = hints.after_mine_score(Path(figures["out"]), wrong_reasons=wrong)
        hints.show_next(words, as_json=as_json)


@app.command("select")
def select(
    scored: Annotated[Path, typer.Argument(help="scored.jsonl of `mine score`, its run folder, or -.")],
    pool: Annotated[Path, typer.Argument(help="The pool that was scored, or -.")],
    out: TextOut,
    selection: Annotated[
        str,
        typer.Option(
            "--selection",
            autocompletion=one_of("hard_uniform", "uniform", "hard_random", "random", "hard_reasoning"),
            help="hard_uniform, uniform, hard_random, random, or hard_reasoning: right for the wrong reason.",
        ),
    ] = "hard_uniform",
    policy: Annotated[
        str | None, typer.Option("--policy", hidden=True, help="Earlier name of --selection.")
    ] = None,
    number: Annotated[int, typer.Option("--number", "-n", help="How many examples.")] = 1000,
    seed: Seed = 0,
    limit: Limit = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Choose what to train on: seeded, the larger draw contains the smaller one."""
    from chexphi.mining import subset

    with output_file(out, ".jsonl", as_json=as_json) as file:
        figures = subset.main(
            input_file(scored),
            input_file(pool),
            file,
            selection=policy or selection,
            number=number,
            seed=seed,
            limit=limit,
            overwrite=overwrite,
            find_films=file is out,
        )
    show(figures | {"out": str(out)}, as_json=as_json, error=file is not out)
    if not as_json and (sentence := advice.of_selected(figures)):
        typer.echo(sentence, err=file is not out)
    if file is out and not advice.has_no_hard(figures):  # else GRPO has nothing to prefer yet
        words = hints.after_mine_select(scored, out, figures.get("image_root"))
        hints.show_next(words, as_json=as_json)
