"""`chexphi VERB`: one verb for each stage; the logic is in the stages' own packages."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chexphi import atomic
from chexphi.cli import (
    ask,
    checkpoint,
    data,
    doctor,
    kg,
    launched,
    mine,
    rewards,
    standard_input,
    standard_output,
    telemetry,
)
from chexphi.cli.options import (
    RECIPE,
    Json,
    Limit,
    Out,
    Overwrite,
    Seed,
    TextOut,
    recipe_argv,
    show,
    show_table,
)
from chexphi.cli.recipe_command import of_recipe
from chexphi.cli.standard_input import input_file, input_root
from chexphi.installation import install_line, version_line
from chexphi.rewards.checked import STOPPED_TRAINING
from chexphi.runs import processes, terminal
from chexphi.runs.stop import ROWS_KEPT, STAGES_KEPT, STOP
from chexphi.schema import InputError

app = typer.Typer(
    no_args_is_help=True,
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

CTRL_C = 130
"""Typer's exit code for Ctrl-C, the one that shells use."""
EXTRAS = dict.fromkeys(
    ("torch", "torchvision", "safetensors", "transformers", "trl", "accelerate", "datasets", "pyarrow"),
    "train",
)
EXTRAS |= dict.fromkeys(("plotly", "jinja2"), "report") | {"ray": "ray"}


@app.command(cls=of_recipe("chexphi.demo.demo:DemoRecipe"), context_settings=RECIPE)
def demo(context: typer.Context) -> None:
    """The whole loop on drawn films, from data to a report."""
    argv, as_json = recipe_argv(context)
    with STOP.keeping(STAGES_KEPT):
        from chexphi.demo import demo as stage

        show(stage.main(stage.parse(argv)), as_json=as_json)


@app.command(cls=of_recipe("chexphi.demo.study:StudyRecipe"), context_settings=RECIPE)
def study(context: typer.Context) -> None:
    """The demo with three seeds, control arms and intervals."""
    argv, as_json = recipe_argv(context)
    with STOP.keeping(STAGES_KEPT):
        from chexphi.demo import study as stage

        show(stage.main(stage.parse(argv)), as_json=as_json)


@app.command(cls=of_recipe("chexphi.training.sft:SFTRecipe", "SFTConfig"), context_settings=RECIPE)
def sft(context: typer.Context) -> None:
    """Fine-tune a policy on explanations."""
    argv, as_json = recipe_argv(context)
    with STOP:
        from chexphi.training import sft as stage

        show({"out": str(stage.main(*stage.parse(argv)))}, as_json=as_json)


@app.command(cls=of_recipe("chexphi.training.grpo_recipe:GRPORecipe", "GRPOConfig"), context_settings=RECIPE)
def grpo(context: typer.Context) -> None:
    """Train a policy with rewards for answers and graphs."""
    argv, as_json = recipe_argv(context)
    with STOP:
        from chexphi.training import grpo as stage

        show({"out": str(stage.main(*stage.parse(argv)))}, as_json=as_json)


@app.command(cls=of_recipe("chexphi.sweep.run:SweepRecipe"), context_settings=RECIPE)
def sweep(context: typer.Context) -> None:
    """Train over a grid of settings, a run of grpo each."""
    argv, as_json = recipe_argv(context)
    from chexphi.report.sweep import table
    from chexphi.sweep import run as stage

    figures = stage.main(stage.parse(argv))
    if "commands" in figures and not as_json:
        typer.echo("\n".join(figures["commands"]))
    else:
        show_table(figures, table, as_json=as_json)
    if figures.get("failed"):
        raise typer.Exit(1)


@app.command(cls=of_recipe("chexphi.evaluation.evaluate_recipe:EvaluateRecipe"), context_settings=RECIPE)
def evaluate(context: typer.Context) -> None:
    """Answer every example; score answers and reasoning."""
    argv, as_json = recipe_argv(context)
    with STOP.keeping(ROWS_KEPT):
        from chexphi.evaluation import evaluate as stage
        from chexphi.evaluation.tables import table

        summary = stage.main(stage.parse(argv))
    if not as_json:
        Console().print(table(summary))
    show(summary if as_json else {"out": summary["out"]}, as_json=as_json)


@app.command(
    cls=of_recipe("chexphi.memory_plan.plan:PlanFields", "SFTConfig or GRPOConfig"), context_settings=RECIPE
)
def plan(context: typer.Context) -> None:
    """How much GPU memory a run of sft or grpo needs."""
    argv, as_json = recipe_argv(context)
    from chexphi.cli.plan import table
    from chexphi.memory_plan import plan as stage

    with terminal.console().status("dry run"):
        figures = stage.main(*stage.parse(argv))
    show_table(figures, table, as_json=as_json)


app.command()(ask.ask)
app.command()(doctor.doctor)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A run folder of `evaluate`, its predictions.jsonl, or -.")],
    second: Annotated[Path, typer.Argument(help="Another one on the same examples.")],
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Paired differences of two policies, with 95 % intervals.

    Both answered the same examples; the intervals are by patient.
    """
    from chexphi.evaluation.compare import compare as compare_files
    from chexphi.evaluation.tables import table

    first, second = input_file(first), input_file(second)
    show_table(compare_files(first, second, seed=seed), table, as_json=as_json)


@app.command()
def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run folders; the first is the baseline.")
    ],
    out: TextOut = Path("report.html"),
    as_json: Json = False,
) -> None:
    """One page of figures, curves, films, reasoning and graphs.

    It is one HTML file, which opens offline.
    """
    from chexphi.report.build import build_from_runs, check_page

    with standard_output.output_file(out, ".html", as_json=as_json) as file:
        check_page(file)
        build_from_runs(folders, file)
    show({"out": str(out)}, as_json=as_json, error=file is not out)


@app.command("swift-plugin")
def swift_plugin() -> None:
    """Print the path of our plugin for ms-swift.

    It has both rewards, for `swift rlhf --external_plugins`.
    """
    from chexphi import integrations

    typer.echo(Path(integrations.__file__).with_name("ms_swift.py"))


@app.command("verl-rows")
def verl_rows(
    data: Annotated[Path, typer.Argument(help="Examples, with answers and reference reasoning, or -.")],
    out: Out,
    image_root: Annotated[
        Path | None, typer.Option("--image-root", help="Folder of the images (default: beside the data).")
    ] = None,
    data_source: Annotated[
        str, typer.Option("--data-source", help="The name under which veRL reports them.")
    ] = "chexphi",
    limit: Limit = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write examples as the Parquet rows that veRL trains on."""
    from chexphi.data.importers.publish import check_not_source
    from chexphi.data.read import image_root_of, read_examples
    from chexphi.integrations import verl

    verl.check_form(out)
    image_root, data = input_root(data, image_root), input_file(data)
    check_not_source(data, out)
    atomic.check_file(out, overwrite=overwrite)
    examples = read_examples(data, image_root=image_root, limit=limit)
    verl.write_rows(out, examples, image_root_of(data, image_root), data_source=data_source)
    show({"out": str(out), "rows": len(examples)}, as_json=as_json)


def main() -> None:
    """Run the command line; bad input is one sentence on standard error and exit code 2.

    Training that stopped at a value that is not finite, or at an error of a reward, is one sentence as well,
    with exit code 1.
    """
    telemetry.turn_off()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # TRL itself sets and reads the old name
    warnings.filterwarnings("ignore", ".*gradient_checkpointing.* is deprecated", FutureWarning)
    if not processes.is_main():
        launched.quiet()
    standard_output.guard()
    try:
        with processes.fail_together():
            launched.check_verb(sys.argv[1:])
        try:
            app(standalone_mode=True, prog_name="chexphi")
        finally:
            standard_output.flush()
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
        typer.echo("Ctrl-C: ended", err=True)
        sys.exit(CTRL_C)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        typer.echo(f"error: this verb needs {error.name}: {install_line(extra)}", err=True)
        sys.exit(2)
    finally:
        standard_output.drop_rest()
        processes.leave()
