"""The demo at a size that can prove something: `chexphi study`.

For each seed its own films, weights and training: SFT to its plateau, then four arms from that start:
GRPO with the answer reward, GRPO with both, and two controls that train as long as GRPO did: SFT
continued on the imperfect text, and SFT on the clean references of the mined pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chexphi import config
from chexphi.demo import demo
from chexphi.demo.runner import Runner, open_loop
from chexphi.demo.settings import (
    ANSWER_ARM,
    ARMS,
    GRAPH_ARM,
    QUICK,
    RANGES,
    START,
    STUDY,
    Settings,
    evaluation_of,
    limited,
)
from chexphi.demo.stages import Stage, evaluate_stage, grpo_stage, mine_stage, sft_stage
from chexphi.evaluation.card_figures import write_card
from chexphi.evaluation.compare import compare
from chexphi.evaluation.tables import arms_table
from chexphi.files import read_object
from chexphi.mining import subset
from chexphi.report.build import build_from_runs
from chexphi.runs import jsonl, run_folder, terminal
from chexphi.schema import InputError, shown

EARLY = "early"
"""The checkpoint before SFT's plateau, tested like an arm."""
SFT_CONTINUED, SFT_REFERENCES = "sft_continued", "sft_references"
CONTROLS = (SFT_CONTINUED, SFT_REFERENCES)
STUDY_ARMS = (*ARMS, *CONTROLS)
PAIRS = (
    (START, GRAPH_ARM),
    (EARLY, GRAPH_ARM),
    (START, ANSWER_ARM),
    (START, SFT_CONTINUED),
    (START, SFT_REFERENCES),
    (SFT_CONTINUED, GRAPH_ARM),
    (SFT_REFERENCES, GRAPH_ARM),
    (ANSWER_ARM, GRAPH_ARM),
)
"""Pairs of arms that are compared: the difference is the second minus the first."""
PLATEAU = 0.8
"""Share of SFT's steps after which it should be on its plateau.

It is if the last 20 % of steps change validation accuracy by less than a point. The checkpoint before them is
tested as `early` too, so that no arm wins because its start was low by chance.
"""
STAGES_OF_SEED = (
    *("data", "sight", START, f"eval_{START}", f"eval_{EARLY}", f"valid_{START}", f"valid_{EARLY}", "mine"),
    *STUDY_ARMS,
    *map(evaluation_of, STUDY_ARMS),
)
"""In the order in which they begin; `data` are the films."""
SCHEDULE = {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"power": 3.0, "lr_end": 0.0}}
"""SFT's schedule: at higher rates greedy accuracy changes by points between checkpoints (docs/log.md)."""


@dataclass
class StudyRecipe:
    """Three seeds of the whole loop with control arms, 2,000 test examples each, paired intervals."""

    out: str | None = field(default=None, metadata={"help": "run folder (default runs/<timestamp>_study)"})
    quick: bool = field(default=False, metadata={"help": "a few steps of everything, to see that it runs"})
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2], metadata={"help": "one loop each"})
    limit: int | None = field(default=None, metadata={"help": "draw and test N test examples only"})
    workers: int = field(default=2, metadata={"help": "stages at a time; no result depends on it"})
    resume: run_folder.Resume = field(default=False, metadata={"help": run_folder.RESUME_HELP})
    overwrite: bool = field(default=False, metadata={"help": "replace the run in --out"})


def parse(argv: Sequence[str]) -> StudyRecipe:
    """Read the recipe from the command line."""
    return config.parse(argv, StudyRecipe, prog="chexphi study", number_ranges=RANGES)[0]


def evaluations(
    root: Path, split: str, models: Mapping[str, Path], settings: Settings, *, seed: int
) -> list[Stage]:
    """An evaluation of each model, on the subset `eval` or `valid` of a seed's data."""
    file, examples = {
        "eval": ("eval", settings.test_examples),
        "valid": ("valid/valid.json", settings.valid_examples),
    }[split]
    data = root / "data" / "annotations" / file
    return [
        evaluate_stage(f"{root.name}/{split}_{arm}", model, data, settings, examples=examples, seed=seed)
        for arm, model in models.items()
    ]


def run_seed(runner: Runner, root: Path, settings: Settings, *, seed: int) -> None:
    """Run every stage of one seed; all seeds share the worker slots of `runner`."""
    name, annotations = root.name, root / "data" / "annotations"
    pool = annotations / "pool" / "train.json"
    early_step = max(1, round(PLATEAU * settings.sft_steps))
    saved = {"save_strategy": "steps", "save_steps": early_step, "save_only_model": True}
    policy = demo.start_policy(
        runner, root, settings, seed=seed, threads=1, prefix=f"{name}/", **SCHEDULE, **saved
    )
    early = policy.parent / f"checkpoint-{early_step}"
    *_, scored = runner.run_all(
        [
            *evaluations(root, "eval", {START: policy, EARLY: early}, settings, seed=seed),
            *evaluations(root, "valid", {START: policy, EARLY: early}, settings, seed=seed),
            mine_stage(f"{name}/mine", policy, pool, settings, seed=seed),
        ]
    )
    mined = subset.select_beside(scored, pool, number=settings.mined_examples, seed=seed)
    runner.run_all(
        [
            grpo_stage(f"{name}/{arm}", policy, mined, rewards, settings, seed=seed)
            for arm, rewards in ARMS.items()
        ]
    )
    sources = dict(zip(CONTROLS, (annotations / "sft" / "train.json", mined), strict=True))
    steps = sft_steps_in_time_of_grpo(root)
    runner.run_all(
        [
            sft_stage(f"{name}/{arm}", policy, source, steps=steps, rate=1e-3, seed=seed)
            for arm, source in sources.items()
        ]
    )
    models = {arm: root / arm / "model" for arm in STUDY_ARMS}
    runner.run_all(evaluations(root, "eval", models, settings, seed=seed))


def sft_steps_in_time_of_grpo(root: Path) -> int:
    """SFT steps that take as many CPU seconds, with one thread, as GRPO with both rewards took."""
    grpo, sft = training_figures(root / GRAPH_ARM), training_figures(root / START)
    return max(1, round(grpo["cpu_seconds"] / sft["cpu_seconds"] * sft["step"]))


def training_figures(run: Path) -> dict[str, float]:
    """The trainer's line with steps and seconds at the end of training."""
    return next(row for row in jsonl.read(run / "metrics.jsonl", nan=True) if "train_runtime" in row)


def figures_of_seed(root: Path, *, seed: int) -> dict[str, Any]:
    """The arms of one seed, their paired differences, and whether SFT was on its plateau."""
    arms = {arm: read_object(root / evaluation_of(arm) / "summary.json") for arm in (START, *STUDY_ARMS)}
    pairs = {
        f"{b} - {a}": compare(root / evaluation_of(a), root / evaluation_of(b), seed=seed) for a, b in PAIRS
    }
    plateau = compare(root / f"valid_{EARLY}", root / f"valid_{START}", seed=seed)
    seconds = {arm: training_figures(root / arm)["train_runtime"] for arm in ("sight", START, *STUDY_ARMS)}
    return {"arms": arms, "pairs": pairs, "plateau": plateau, "seconds": seconds}


def main(recipe: StudyRecipe) -> dict[str, Any]:
    """Run all seeds; returns the figures that are also in `results.json`.

    Raises:
        InputError: For an invalid setting, or if a stage failed.
    """
    if not recipe.seeds or len(set(recipe.seeds)) < len(recipe.seeds):
        raise InputError(f"study: seeds is {shown(recipe.seeds)}: name at least one, each once")
    settings = limited(QUICK if recipe.quick else STUDY, recipe.limit)
    stages = [f"seed{seed}/{name}" for seed in recipe.seeds for name in STAGES_OF_SEED]
    runner = open_loop(recipe, "study", seed=min(recipe.seeds), stages=stages)
    out = runner.root
    with ThreadPoolExecutor(max_workers=len(recipe.seeds)) as pool, runner:
        folders = {seed: out / f"seed{seed}" for seed in recipe.seeds}
        loops = []
        for seed, folder in folders.items():  # a seed trains while the films of the next one are drawn
            demo.prepare(runner, folder, settings, seed=seed, workers=recipe.workers)
            loops.append(pool.submit(run_seed, runner, folder, settings, seed=seed))
        for future in as_completed(loops):
            future.result()
    seeds = {str(seed): figures_of_seed(folder, seed=seed) for seed, folder in folders.items()}
    for folder, seed_figures in zip(folders.values(), seeds.values(), strict=True):
        terminal.console().rule(folder.name)
        terminal.console().print(
            arms_table(
                seed_figures["arms"], {arm: seed_figures["pairs"][f"{arm} - {START}"] for arm in STUDY_ARMS}
            )
        )
        build_from_runs([folder], folder / "report.html", title=f"Study on drawn films, {folder.name}")
        for arm in (START, *STUDY_ARMS):
            write_card(folder / arm, [folder / evaluation_of(arm)])
    results = {"out": str(out), "seeds": seeds, "seconds": runner.seconds}
    run_folder.write_json(out / "results.json", results)
    return results
