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
    standard_input,
    standard_output,
    telemetry,
    usage_errors,
    watch,
)
from chexphi.cli.options import RECIPE, recipe_argv, show, show_table
from chexphi.cli.recipe_command import of_recipe
from chexphi.cli.verbs import Verbs
from chexphi.installation import install_line, version_line
from chexphi.rewards.checked import STOPPED_TRAINING
from chexphi.runs import library_records, processes, run_folder, terminal
from chexphi.runs.stop import ROWS_KEPT, STAGES_KEPT, STOP
from chexphi.schema import InputError

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
CTRL_C = 130
"""Typer's exit code for Ctrl-C, the one that shells use."""
EXTRAS = dict.fromkeys(
    (
        *("torch", "torchvision", "transformers", "tokenizers", "trl", "peft", "accelerate", "safetensors"),
        *("datasets", "pyarrow", "pandas", "xxhash", "huggingface_hub"),
    ),
    "train",
)
EXTRAS |= dict.fromkeys(("plotly", "jinja2", "markupsafe"), "report") | {"ray": "ray"}


@app.command(cls=of_recipe("chexphi.demo.demo:DemoRecipe"), context_settings=RECIPE)
def demo(context: typer.Context) -> None:
    """The whole loop on drawn films, from data to a report."""
    argv, as_json, yes = recipe_argv(context)
    with STOP.keeping(STAGES_KEPT):
        from chexphi.demo import demo as stage

        recipe = stage.parse(argv)
        confirm.replace_run(recipe.out, overwrite=recipe.overwrite, yes=yes)
        show(stage.main(recipe), as_json=as_json)


@app.command(cls=of_recipe("chexphi.demo.study:StudyRecipe"), context_settings=RECIPE)
def study(context: typer.Context) -> None:
    """The demo with three seeds, control arms and intervals."""
    argv, as_json, yes = recipe_argv(context)
    with STOP.keeping(STAGES_KEPT):
        from chexphi.demo import study as stage

        recipe = stage.parse(argv)
        confirm.replace_run(recipe.out, overwrite=recipe.overwrite, yes=yes)
        show(stage.main(recipe), as_json=as_json)


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
        from chexphi.evaluation.tables import table

        recipe = stage.parse(argv)
        confirm.replace_run(recipe.out, overwrite=recipe.overwrite, yes=yes)
        summary = stage.main(recipe)
    if not as_json:
        Console().print(table(summary))
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
    """Run the command line; bad input is one sentence on standard error and exit code 2.

    Training that stopped at a value that is not finite, or at an error of a reward, is one sentence as well,
    with exit code 1.
    """
    processes.end_quickly()
    telemetry.turn_off()
    library_records.take()
    if not processes.is_main():
        launched.quiet()
    standard_output.guard()
    standard_error.guard()
    try:
        with processes.fail_together():
            launched.check_verb(sys.argv[1:])
        try:
            sys.exit(app(standalone_mode=False, prog_name="chexphi"))  # in the other mode it draws errors
        finally:
            standard_output.flush()
    except usage_errors.UsageError as error:
        if usage_errors.is_request_for_help(error):
            error.show()
        else:
            typer.echo(f"error: {usage_errors.sentence(error)}", err=True)
        sys.exit(2)
    except typer.Abort:  # the input ended at a question
        typer.echo("error: no answer: ended", err=True)
        sys.exit(1)
    except InputError as error:
        typer.echo(f"error: {standard_input.named(str(error))}", err=True)
        sys.exit(2)
    except STOPPED_TRAINING as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
    except OSError as error:  # a path that is a folder, is a file, or may not be read or written
        if error.filename is None:
            raise
        typer.echo(f"error: {error.filename}: {error.strerror}: choose another path", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as interrupt:
        if isinstance(interrupt, SystemExit) and interrupt.code != CTRL_C:
            raise
        terminal.show_cursor()  # a second Ctrl-C may have come before a bar was closed
        typer.echo("Ctrl-C: ended", err=True)
        sys.exit(CTRL_C)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        typer.echo(f"error: this verb needs {error.name}: {install_line(extra)}", err=True)
        sys.exit(2)
    except Exception as error:
        run_folder.write_to_log(f"{type(error).__name__}: the terminal has its traceback")
        for line in library_records.without_log():
            typer.echo(line, err=True)
        raise
    finally:
        standard_output.drop_rest()
        processes.leave()
