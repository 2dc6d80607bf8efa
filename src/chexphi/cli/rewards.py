"""`chexphi rewards VERB`: what completions earn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chexphi import field_values
from chexphi.cli.options import (
    Extractor,
    Json,
    Limit,
    Overwrite,
    Seed,
    fields_as_options,
    not_standard_output,
    show,
    show_table,
)
from chexphi.cli.spaced_rewards import SpacedRewards, SpacedScores
from chexphi.cli.standard_input import input_file
from chexphi.cli.verbs import Verbs
from chexphi.rewards.settings import RewardFields
from chexphi.runs import manifest, run_folder, terminal

app = Verbs(help="Score completions; probe what cheating pays; agreement with people.")

Rewards = Annotated[
    list[str] | None,
    typer.Option(
        "--rewards",
        help="Names with spaces or commas between them, or a config of grpo; again for more. Default: both.",
    ),
]
settings_as_options = fields_as_options(RewardFields, leave_out={"rewards"})


@app.command("score", cls=SpacedRewards)
@settings_as_options
def score(
    file: Annotated[
        Path, typer.Argument(help='JSONL rows {"id", "completion", "solution"[, "group"]}, or -.')
    ],
    rewards: Rewards = None,
    weights: Annotated[str | None, typer.Option("--weights", help="One a reward, with commas.")] = None,
    limit: Limit = None,
    as_json: Json = False,
    **settings: Any,
) -> None:
    """What each completion earns: every reward, the total, and what is malformed."""
    from chexphi.reward_checks import completion_rows, offline_scores

    reward_setup = offline_scores.setup(rewards or (), offline_scores.numbers(weights), **settings)
    figures = offline_scores.score_rows(
        completion_rows.read_rows(input_file(file), limit=limit), reward_setup, reward_setup.open()
    )
    if not as_json:
        figures |= {f"mean {name}": value for name, value in figures["mean"].items()}
        figures |= {f"malformed {kind}": count for kind, count in figures["malformed"].items()}
    show(figures, as_json=as_json)


@app.command("probe", cls=SpacedRewards)
@settings_as_options
def probe(
    file: Annotated[
        Path, typer.Argument(metavar="DATA", help="A dataset file, or -; its films are not opened.")
    ],
    rewards: Annotated[
        list[str] | None,
        typer.Option(
            "--rewards",
            help="One configuration: names with commas between them, or a config of grpo; again for another "
            "one. Default: eight to compare.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", callback=not_standard_output, help="Folder for probe.json and the page probe.html."
        ),
    ] = None,
    seed: Seed = 0,
    limit: Limit = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    **settings: Any,
) -> None:
    """What cheating pays: the rewards of manipulated texts, as a share of the references' rewards."""
    from chexphi.data.read import read_examples
    from chexphi.report import probe as report
    from chexphi.reward_checks import probe as stage
    from chexphi.reward_checks.twists import MEANINGS

    file = input_file(file)
    setups = stage.configurations(rewards or (), **settings)
    if not rewards and (lacking := stage.not_in_original(settings["compat"], settings["measure"])):
        typer.echo(
            f"left out, because the original has no such reward or measure: {', '.join(lacking)}", err=True
        )
    examples = read_examples(file, limit=limit, check_images=False)
    if out:
        run_folder.check_folder(out, overwrite=overwrite)
    prepared = stage.prepare(examples, setups)
    with terminal.progress_bar() as progress:
        task = progress.add_task("probe rewards", total=stage.STEPS * len(setups))
        figures = stage.probe(prepared, seed=seed, step=lambda: progress.advance(task))
    if out:
        run_folder.open_run(out, overwrite=overwrite)
        config = {setup["name"]: setup["settings"] for setup in figures["configurations"]}
        manifest.write(out, config=config, data=file, seed=seed, stage="probe")
        run_folder.write_json(out / "probe.json", figures)
        report.page(figures, MEANINGS, out / "probe.html", title="What cheating pays")
    show_table(figures, report.tables, as_json=as_json)


@app.command("agree", cls=SpacedScores)
def agree(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="RadPref, RadJudge, or CSV with reference, candidate and rating; or -."
        ),
    ],
    rewards: Annotated[
        list[str] | None,
        typer.Option(
            "--rewards",
            help="Scores with spaces or commas between them: jaccard, f1, clinical, counts, "
            "radeval:METRIC[:KEY] or package.module:callable. Default: all that can be had here.",
        ),
    ] = None,
    extractor: Extractor = "lexicon",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """How well scores of texts agree with what people think of them: ratings, or rankings."""
    from chexphi.reward_checks.agreement import agree as stage
    from chexphi.reward_checks.agreement import scores as text_scores
    from chexphi.reward_checks.agreement.read import read_judgements
    from chexphi.reward_checks.agreement.tables import tables

    judgements = read_judgements(input_file(file))
    names = [name for words in rewards or () for name in field_values.listed(words)]
    scores = text_scores.open_scores(names or text_scores.default_names(), extractor)
    with terminal.progress_bar() as progress:
        task = progress.add_task("agree", total=len(scores) * stage.pair_count(judgements))
        figures = stage.agree(judgements, scores, seed=seed, step=lambda: progress.advance(task))
    show_table(figures, tables, as_json=as_json)
