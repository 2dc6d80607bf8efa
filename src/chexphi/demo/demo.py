"""The whole loop on drawn films, on one CPU: `chexphi demo`.

Drawn films → sight → SFT on an imperfect writer's text → evaluate and mine → GRPO with the answer
reward, and GRPO with both rewards from the same start → evaluate both → one table and `report.html`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chexphi import atomic, config
from chexphi.data.read import read_examples
from chexphi.demo.runner import Runner, open_loop
from chexphi.demo.settings import (
    ANSWER_ARM,
    ARMS,
    GRAPH_ARM,
    QUICK,
    RANGES,
    START,
    Settings,
    evaluation_of,
    limited,
)
from chexphi.demo.stages import Stage, evaluate_stage, grpo_stage, mine_stage, sft_stage
from chexphi.evaluation.card_figures import write_cards
from chexphi.evaluation.compare import compare
from chexphi.evaluation.tables import arms_table
from chexphi.files import read_object
from chexphi.mining import subset
from chexphi.report.build import build_from_runs
from chexphi.runs import run_folder, terminal

START_THREADS = 2
"""Threads of the two stages that nothing can run beside. Fixed, because the weights depend on it."""

STAGES = ("data", "sight", START, evaluation_of(START), "mine", *ARMS, *map(evaluation_of, ARMS))
"""In the order in which they begin; `data` are the films."""
QUICK_FIGURES = "quick: a few steps of everything show that it runs; these figures mean nothing"


@dataclass
class DemoRecipe:
    """The whole loop on drawn films: data, SFT, mining, GRPO with one and with two rewards, a report."""

    out: str | None = field(default=None, metadata={"help": "run folder (default runs/<timestamp>_demo)"})
    quick: bool = field(default=False, metadata={"help": "a few steps of everything, to see that it runs"})
    seed: int = field(default=0, metadata={"help": "seed of films, weights and training"})
    limit: int | None = field(default=None, metadata={"help": "draw and test N test examples only"})
    workers: int = field(default=2, metadata={"help": "stages at a time; no result depends on it"})
    resume: run_folder.Resume = field(default=False, metadata={"help": run_folder.RESUME_HELP})
    overwrite: bool = field(default=False, metadata={"help": "replace the run in --out"})


def parse(argv: Sequence[str]) -> DemoRecipe:
    """Read the recipe from the command line."""
    return config.parse(argv, DemoRecipe, prog="chexphi demo", number_ranges=RANGES)[0]


def prepare(runner: Runner, root: Path, settings: Settings, *, seed: int, workers: int) -> Path:
    """Draw the films and make an untrained model, unless they are there; returns the data folder."""
    data = root / "data"
    if not (data / "phantom.json").exists():
        from chexphi.data.phantom import build as phantom  # numpy and pillow: only when films are drawn

        counts = phantom.Sizes(
            settings.sight_examples,
            settings.sft_examples,
            settings.pool_examples,
            settings.valid_examples,
            settings.test_examples,
        )
        task = runner.progress.add_task(f"draw films, seed {seed}", total=None)
        phantom.build(
            data,
            size=settings.image_size,
            seed=seed,
            counts=counts,
            workers=workers,
            overwrite=data.exists(),
            progress=lambda film_count, total: runner.progress.update(
                task, completed=film_count, total=total
            ),
        )
    if not (root / "untrained").exists():
        from chexphi.models.families import tiny  # torch takes seconds: only when it is needed

        examples = read_examples(data / "annotations" / "sight" / "train.json", check_images=False)
        examples += read_examples(data / "annotations" / "sft" / "train.json", check_images=False)
        texts = [text for example in examples for text in (example.question, example.explanation)]
        with atomic.whole_folder(root / "untrained") as folder:
            tiny.build(folder, texts, seed=seed, image_size=settings.image_size)
    return data


def start_policy(
    runner: Runner,
    root: Path,
    settings: Settings,
    *,
    seed: int,
    threads: int = 1,
    prefix: str = "",
    **sft: Any,
) -> Path:
    """Train sight, then SFT on the imperfect writer's text with the settings `sft`: every arm's start."""
    annotations = root / "data" / "annotations"
    sight = runner.run(
        sft_stage(
            f"{prefix}sight",
            root / "untrained",
            annotations / "sight" / "train.json",
            steps=settings.sight_steps,
            rate=2e-3,
            seed=seed,
            strip_tags=True,
            adam_beta2=0.98,
        ),
        threads=threads,
    )
    tuned = runner.run(
        sft_stage(
            f"{prefix}{START}",
            sight / "model",
            annotations / "sft" / "train.json",
            steps=settings.sft_steps,
            rate=1e-3,
            seed=seed,
            **sft,
        ),
        threads=threads,
    )
    return tuned / "model"


def main(recipe: DemoRecipe) -> dict[str, Any]:
    """Run the demo; returns the figures that are also in `results.json`."""
    settings = limited(QUICK if recipe.quick else Settings(), recipe.limit)
    runner = open_loop(recipe, "demo", seed=recipe.seed, stages=STAGES)
    out = runner.root
    annotations = out / "data" / "annotations"
    pool = annotations / "pool" / "train.json"

    def test_stage(arm: str, model: Path) -> Stage:
        return evaluate_stage(
            evaluation_of(arm),
            model,
            annotations / "eval",
            settings,
            examples=settings.test_examples,
            seed=recipe.seed,
        )

    with runner:
        prepare(runner, out, settings, seed=recipe.seed, workers=recipe.workers)
        policy = start_policy(
            runner, out, settings, seed=recipe.seed, threads=START_THREADS, lr_scheduler_type="cosine"
        )
        _, scored = runner.run_all(
            [test_stage(START, policy), mine_stage("mine", policy, pool, settings, seed=recipe.seed)]
        )
        mined = subset.select_beside(scored, pool, number=settings.mined_examples, seed=recipe.seed)
        trained = runner.run_all(
            [
                grpo_stage(arm, policy, mined, rewards, settings, seed=recipe.seed)
                for arm, rewards in ARMS.items()
            ]
        )
        runner.run_all([test_stage(arm, run / "model") for arm, run in zip(ARMS, trained, strict=True)])
    return write_results(out, runner, quick=recipe.quick)


def write_results(out: Path, runner: Runner, *, quick: bool) -> dict[str, Any]:
    """Write `results.json`, `report.html` and the models' cards with figures; print the table."""
    folders = {arm: out / evaluation_of(arm) for arm in (START, *ARMS)}
    summaries = {arm: read_object(folder / "summary.json") for arm, folder in folders.items()}
    against_start = {arm: compare(folders[START], folders[arm]) for arm in ARMS}
    results = {
        "out": str(out),
        "report": str(out / "report.html"),
        "arms": summaries,
        f"against_{START}": against_start,
        f"{GRAPH_ARM}_against_{ANSWER_ARM}": compare(folders[ANSWER_ARM], folders[GRAPH_ARM]),
        "seconds": runner.seconds,
    }
    run_folder.write_json(out / "results.json", results)
    build_from_runs([out], out / "report.html", title="CheX-Phi4MM demo on drawn films")
    write_cards({out / arm: folder for arm, folder in folders.items()})
    terminal.console().print(arms_table(summaries, against_start))
    if quick:
        terminal.console().out(QUICK_FIGURES, highlight=False)
    return results
