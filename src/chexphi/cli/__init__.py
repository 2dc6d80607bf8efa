"""`chexphi VERB`: one verb for each stage; the logic is in the stages' own packages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chexphi.cli import (
    ask,
    card,
    checkpoint,
    confirm,
    data,
    doctor,
    hints,
    kg,
    launched,
    mine,
    other_stacks,
    results,
    rewards,
    standard_error,
    standard_output,
    telemetry,
    watch,
)
from chexphi.cli.exits import exit_codes
from chexphi.cli.options import RECIPE, recipe_argv, show, show_table
from chexphi.cli.recipe_command import of_recipe
from chexphi.cli.verbs import Verbs
from chexphi.installation import version_line
from chexphi.runs import library_records, processes, terminal
from chexphi.runs.stop import ROWS_KEPT, STAGES_KEPT, STOP

app = Verbs(
    epilog="Exit codes, - for a file, --yes, TAB completion, variables: docs/command_line.md",
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: name.replace("_", "-"),  # --image_root is --image-root
    },
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(version_line())
        raise typer.Exit


@app.callback()
def chexphi(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print it and end."),
    ] = False,
) -> None:
    """Train and evaluate chest-radiograph models on answers and reasoning. Research use only."""


app.add_typer(data.app, name="data")
app.add_typer(mine.app, name="mine")
app.add_typer(kg.app, name="kg")
app.add_typer(rewards.app, name="rewards")
app.add_typer(checkpoint.app, name="checkpoint")

SFT, GRPO = "chexphi.training.sft_recipe:SFTRecipe", "chexphi.training.grpo_recipe:GRPORecipe"


@app.command(cls=of_recipe("chexphi.demo.demo:DemoRecipe"), context_settings=RECIPE)
def demo(context: typer.Context) -> None:
    """The whole loop on drawn films, from data to a report."""
    argv, as_json, yes = recipe_argv(context)
    with STOP.keeping(STAGES_KEPT):
        from chexphi.demo import demo as stage

        recipe = stage.parse(argv)
        confirm.replace_run(recipe.out, overwrite=recipe.overwrite, yes=yes)
        figures = stage.main(recipe)
    show(figures, as_json=as_json)
    hints.show_next(hints.after_demo(Path(figures["out"])), as_json=as_json)


@app.command(cls=of_recipe("chexphi.demo.study:StudyRecipe"), context_settings=RECIPE)
def study(context: typer.Context) -> None:
    """The demo with three seeds, control arms and intervals."""
    argv, as_json, yes = recipe_argv(context)
    with STOP.keeping(STAGES_KEPT):
        from chexphi.demo import study as stage

        recipe = stage.parse(argv)
        confirm.replace_run(recipe.out, overwrite=recipe.overwrite, yes=yes)
        figures = stage.main(recipe)
    show(figures, as_json=as_json)
    folders = [Path(figures["out"], f"seed{seed}") for seed in figures["seeds"]]
    if not as_json:
        for folder in folders:
            typer.echo(f"report: {folder / 'report.html'}")
    hints.show_next(hints.after_demo(folders[0]), as_json=as_json)


@app.command(cls=of_recipe(SFT, "SFTConfig"), context_settings=RECIPE)
def sft(context: typer.Context) -> None:
    """Fine-tune a policy on explanations."""
    argv, as_json, yes = recipe_argv(context)
    with STOP:
        from chexphi.training import sft as stage

        recipe, settings = stage.parse(argv)
        confirm.replace_run(settings.output_dir, overwrite=recipe.overwrite, yes=yes)
        run = stage.main(recipe, settings)
    show({"out": str(run)}, as_json=as_json)
    hints.show_next(hints.after_sft(run), as_json=as_json)


@app.command(cls=of_recipe(GRPO, "GRPOConfig"), context_settings=RECIPE)
def grpo(context: typer.Context) -> None:
    """Train a policy with rewards for answers and graphs."""
    argv, as_json, yes = recipe_argv(context)
    with STOP:
        from chexphi.training import grpo as stage

        recipe, settings = stage.parse(argv)
        confirm.replace_run(settings.output_dir, overwrite=recipe.overwrite, yes=yes)
        run = stage.main(recipe, settings)
    show({"out": str(run)}, as_json=as_json)
    hints.show_next(hints.after_grpo(run), as_json=as_json)


@app.command(cls=of_recipe("chexphi.sweep.sweep_recipe:SweepRecipe"), context_settings=RECIPE)
def sweep(context: typer.Context) -> None:
    """Train over a grid of settings, a run of grpo each."""
    argv, as_json, yes = recipe_argv(context)
    from chexphi.sweep import sweep_recipe

    recipe = sweep_recipe.parse(argv)
    confirm.replace_run(recipe.out, overwrite=recipe.overwrite, yes=yes)
    from chexphi.sweep import run as stage

    figures = stage.main(recipe)
    from chexphi.report.sweep import table

    if "commands" in figures and not as_json:
        typer.echo("\n".join(figures["commands"]))
    else:
        show_table(figures, table, as_json=as_json)
    if figures.get("failed"):
        raise typer.Exit(1)


@app.command(cls=of_recipe("chexphi.evaluation.evaluate_recipe:EvaluateRecipe"), context_settings=RECIPE)
def evaluate(context: typer.Context) -> None:
    """Answer every example; score answers and reasoning."""
    argv, as_json, yes = recipe_argv(context)
    with STOP.keeping(ROWS_KEPT):
        from chexphi.evaluation import evaluate as stage
        from chexphi.evaluation.by_finding import finding_table
        from chexphi.evaluation.film_controls.table import control_table
        from chexphi.evaluation.tables import table

        recipe = stage.parse(argv)
        confirm.replace_run(recipe.out, overwrite=recipe.overwrite, yes=yes)
        summary = stage.main(recipe)
    if not as_json:
        Console().print(table(summary))
        if findings := summary["by_finding"]:
            Console().print(finding_table(findings))
        if controls := summary.get("controls"):
            Console().print(control_table(controls))
    show(summary if as_json else {"out": summary["out"]}, as_json=as_json)
    hints.show_next(hints.after_evaluate(Path(summary["out"])), as_json=as_json)


@app.command(
    cls=of_recipe(
        "chexphi.memory_plan.plan_fields:PlanFields", "SFTConfig", "GRPOConfig", planned=(SFT, GRPO)
    ),
    context_settings=RECIPE,
)
def plan(context: typer.Context) -> None:
    """How much GPU memory a run of sft or grpo needs."""
    argv, as_json, _ = recipe_argv(context)
    from chexphi.cli.plan import table
    from chexphi.memory_plan import plan_fields

    request = plan_fields.read(argv)
    with terminal.console().status("dry run"):
        from chexphi.memory_plan import plan as stage  # torch and TRL take seconds: only after the checks

        figures = stage.main(request.fields, stage.memory_settings(request))
    show_table(figures, table, as_json=as_json)


app.command()(ask.ask)
app.command()(card.card)
app.command()(watch.watch)
app.command()(doctor.doctor)
app.command()(results.compare)
app.command()(results.report)
app.command("swift-plugin")(other_stacks.swift_plugin)
app.command("verl-rows")(other_stacks.verl_rows)


def main() -> None:
    """Run the command line; what it raises becomes a sentence and an exit code."""
    processes.end_quickly()
    telemetry.turn_off()
    library_records.take()
    if not processes.is_main():
        launched.quiet()
    standard_output.guard()
    standard_error.guard()
    try:
        with exit_codes():
            with processes.fail_together():
                launched.check_verb(sys.argv[1:])
            try:
                sys.exit(app(standalone_mode=False, prog_name="chexphi"))  # in the other mode it draws errors
            finally:
                standard_output.flush()
    finally:
        standard_output.drop_rest()
        processes.leave()
