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
from chexphi.demo import demo, stages
from chexphi.demo.stages import Runner, Settings, Stage, evaluate_stage, grpo_stage, mine_stage, sft_stage
from chexphi.evaluation.compare import compare
from chexphi.evaluation.tables import arms_table
from chexphi.files import read_object
from chexphi.mining import subset
from chexphi.report.build import build_from_runs
from chexphi.runs import jsonl, run_folder, terminal
from chexphi.schema import InputError, shown

CONTROLS = ("sft_continued", "sft_references")
ARMS = (*demo.ARMS, *CONTROLS)
PAIRS = (
    ("sft", "grpo_kg"),
    ("early", "grpo_kg"),
    ("sft", "grpo_acc"),
    ("sft", "sft_continued"),
    ("sft", "sft_references"),
    ("sft_continued", "grpo_kg"),
    ("sft_references", "grpo_kg"),
    ("grpo_acc", "grpo_kg"),
)
PLATEAU = 0.8
"""SFT has reached its plateau if its last 20 % of steps change validation accuracy by less than a point.

The checkpoint before them is tested as `early` too, so that no arm wins by a chance low of its start.
"""
SCHEDULE = {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"power": 3.0, "lr_end": 0.0}}
"""Of SFT: at higher rates the greedy answer still swings by points from checkpoint to checkpoint (log)."""


@dataclass
class StudyRecipe:
    """Three seeds of the whole loop with control arms, 2,000 test examples each, paired intervals."""

    out: str | None = field(default=None, metadata={"help": "run folder (default runs/<timestamp>_study)"})
    quick: bool = field(default=False, metadata={"help": "a few steps of everything, to see that it runs"})
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2], metadata={"help": "one loop each"})
    limit: int | None = field(default=None, metadata={"help": "draw and test N test examples only"})
    workers: int = field(default=2, metadata={"help": "stages at a time, one thread each"})
    resume: run_folder.Resume = field(default=False, metadata={"help": run_folder.RESUME_HELP})
    overwrite: bool = field(default=False, metadata={"help": "replace the run in --out"})


STUDY = Settings(
    sight_examples=20_000,
    sight_steps=1500,
    sft_examples=16_000,  # each once: what repeats is learned by heart, and the plateau is lost
    sft_steps=1000,
    grpo_steps=100,
    valid_examples=2000,
    test_examples=2000,
)


def parse(argv: Sequence[str]) -> StudyRecipe:
    """Read the recipe from the command line."""
    return config.parse(argv, StudyRecipe, prog="chexphi study", number_ranges=stages.RANGES)[0]


def evaluations(
    root: Path, part: str, models: Mapping[str, Path], settings: Settings, *, seed: int
) -> list[Stage]:
    """One evaluation a model, on the part `eval` or `valid` of a seed's data."""
    file, examples = {
        "eval": ("eval", settings.test_examples),
        "valid": ("valid/valid.json", settings.valid_examples),
    }[part]
    data = root / "data" / "annotations" / file
    return [
        evaluate_stage(f"{root.name}/{part}_{arm}", model, data, settings, examples=examples, seed=seed)
        for arm, model in models.items()
    ]


def loop(runner: Runner, root: Path, settings: Settings, *, seed: int) -> None:
    """Every stage of one seed; `runner` holds the places that all seeds share."""
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
            *evaluations(root, "eval", {"sft": policy, "early": early}, settings, seed=seed),
            *evaluations(root, "valid", {"sft": policy, "early": early}, settings, seed=seed),
            mine_stage(f"{name}/mine", policy, pool, settings, seed=seed),
        ]
    )
    mined = subset.select_beside(scored, pool, number=settings.mined_examples, seed=seed)
    runner.run_all(
        [
            grpo_stage(f"{name}/{arm}", policy, mined, rewards, settings, seed=seed)
            for arm, rewards in demo.ARMS.items()
        ]
    )
    sources = dict(zip(CONTROLS, (annotations / "sft" / "train.json", mined), strict=True))
    steps = same_time(root)
    runner.run_all(
        [
            sft_stage(f"{name}/{arm}", policy, source, steps=steps, rate=1e-3, seed=seed)
            for arm, source in sources.items()
        ]
    )
    models = {arm: root / arm / "model" for arm in ARMS}
    runner.run_all(evaluations(root, "eval", models, settings, seed=seed))


def same_time(root: Path) -> int:
    """SFT steps that take as long as GRPO with both rewards took, in CPU seconds of one thread each."""
    grpo, sft = runtime(root / "grpo_kg"), runtime(root / "sft")
    return max(1, round(grpo["cpu_seconds"] / sft["cpu_seconds"] * sft["step"]))


def runtime(run: Path) -> dict[str, float]:
    """The trainer's last line: steps and seconds."""
    return next(row for row in jsonl.read(run / "metrics.jsonl", nan=True) if "train_runtime" in row)


def figures(root: Path, *, seed: int) -> dict[str, Any]:
    """The arms of one seed, their paired differences, and whether SFT had reached its plateau."""
    arms = {arm: read_object(root / f"eval_{arm}" / "summary.json") for arm in ("sft", *ARMS)}
    pairs = {f"{b} - {a}": compare(root / f"eval_{a}", root / f"eval_{b}", seed=seed) for a, b in PAIRS}
    plateau = compare(root / "valid_early", root / "valid_sft", seed=seed)
    seconds = {arm: runtime(root / arm)["train_runtime"] for arm in ("sight", "sft", *ARMS)}
    return {"arms": arms, "pairs": pairs, "plateau": plateau, "seconds": seconds}


def main(recipe: StudyRecipe) -> dict[str, Any]:
    """Run all seeds; returns the figures that also stand in `results.json`.

    Raises:
        InputError: For a setting that cannot be, or if a stage failed.
    """
    if not recipe.seeds or len(set(recipe.seeds)) < len(recipe.seeds):
        raise InputError(f"study: seeds is {shown(recipe.seeds)}: name at least one, each once")
    settings = stages.limited(stages.QUICK if recipe.quick else STUDY, recipe.limit)
    runner = stages.open_loop(recipe, "study", seed=min(recipe.seeds))
    out = runner.root
    with ThreadPoolExecutor(max_workers=len(recipe.seeds)) as pool, runner:
        folders = {seed: out / f"seed{seed}" for seed in recipe.seeds}
        loops = []
        for seed, folder in folders.items():  # a seed trains while the next one's films are drawn
            demo.prepare(runner, folder, settings, seed=seed, workers=recipe.workers)
            loops.append(pool.submit(loop, runner, folder, settings, seed=seed))
        for done in as_completed(loops):
            done.result()
    seeds = {str(seed): figures(folder, seed=seed) for seed, folder in folders.items()}
    for folder, found in zip(folders.values(), seeds.values(), strict=True):
        terminal.console().rule(folder.name)
        terminal.console().print(
            arms_table(found["arms"], {arm: found["pairs"][f"{arm} - sft"] for arm in ARMS})
        )
        build_from_runs([folder], folder / "report.html", title=f"Study on drawn films, {folder.name}")
    results = {"out": str(out), "seeds": seeds, "seconds": runner.seconds}
    run_folder.write_json(out / "results.json", results)
    return results
