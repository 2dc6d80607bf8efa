"""Read run folders for a report: what an evaluation and a training run wrote."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chexphi.evaluation.compare import compare_predictions
from chexphi.evaluation.film_controls.names import CONTROLS
from chexphi.evaluation.metrics import METRICS
from chexphi.evaluation.predictions import read_predictions
from chexphi.evaluation.summary import summarize
from chexphi.evaluation.tables import left_out_text
from chexphi.files import LINE_ADVICE, read_json, similar_names
from chexphi.report.ontologies import other_ontologies, usable_ontology
from chexphi.report.parts import Arm, Curve
from chexphi.runs import jsonl
from chexphi.runs.names import distinct_names
from chexphi.schema import InputError, Prediction
from chexphi.yaml_files import parse_yaml

PANELS = {
    "rewards/external_r1v_acc/mean": "Answer reward",
    "rewards/external_kg_jac/mean": "Graph reward",
    "entropy": "Entropy, nats a token",
    "completions/mean_length": "Completion length, tokens",
    "rollout/forwards": "Forwards that sample a batch",
    "rollout/accepted": "Share of drafts that were right",
}
"""Figure of a GRPO run's `metrics.jsonl` -> title of its panel."""
TOTAL = ("reward", "Total reward")
"""Figure and panel of runs whose reward is one callable."""
LOSS = ("loss", "SFT loss")


@dataclass(frozen=True, slots=True)
class Run:
    """One stage's folder."""

    name: str
    folder: Path
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]


ADVICE = "repair or remove it"


def _json(path: Path) -> dict[str, Any]:
    """A file of figures or facts; empty if it is missing.

    Raises:
        InputError: If it is broken.
    """
    value = read_json(path, advice=ADVICE, nan=True) if path.is_file() else {}
    return value if isinstance(value, dict) else {}


def _yaml(path: Path) -> dict[str, Any]:
    """A file of settings; empty if it is missing.

    Raises:
        InputError: If it is broken.
    """
    if not path.is_file():
        return {}
    value = parse_yaml(path.read_bytes(), str(path))
    return value if isinstance(value, dict) else {}


def _run(name: str, folder: Path) -> Run:
    return Run(name, folder, _json(folder / "manifest.json"), _yaml(folder / "config.yaml"))


def find_runs(folders: Sequence[Path]) -> list[Run]:
    """The folders themselves, and the stages inside folders that hold several (a demo), oldest first.

    Raises:
        InputError: If a folder does not exist.
    """
    runs: list[Run] = []
    for folder, name in zip(folders, distinct_names(folders), strict=True):
        if not folder.is_dir():
            raise InputError(
                f"run folder {folder} does not exist{similar_names(folder)}: give the folder of a run"
            )
        inside = sorted({path.parent for at in ("*", "*/*") for path in folder.glob(f"{at}/manifest.json")})
        nested = [_run(path.relative_to(folder).as_posix(), path) for path in inside]
        nested.sort(key=lambda run: str(run.manifest.get("started", "")))
        outer_run = _run(name, folder)
        runs += (
            [outer_run, *nested]
            if len(folders) == 1
            else [outer_run, *(_run(f"{outer_run.name}/{run.name}", run.folder) for run in nested)]
        )
    return runs


def read_curves(folder: Path, arm: str) -> list[Curve]:
    """The training curves of a run: from `metrics.jsonl`, else from `completions.jsonl`."""
    metrics, completions = folder / "metrics.jsonl", folder / "completions.jsonl"
    if metrics.is_file():
        rows = list(jsonl.read(metrics, nan=True))
    elif completions.is_file():
        rows = _step_means(completions)
    else:
        return []
    keys = {key for row in rows for key in row}
    panels = dict(PANELS)
    if not keys & {key for key in PANELS if key.startswith("rewards/")}:
        panels = dict([TOTAL]) | panels if TOTAL[0] in keys else dict([LOSS])
    points = {
        panel: [
            (row["step"], row[key])
            for row in rows
            if _is_number(row.get(key)) and _is_number(row.get("step"))
        ]
        for key, panel in panels.items()
    }
    return [
        Curve(arm, panel, [step for step, _ in panel_points], [value for _, value in panel_points])
        for panel, panel_points in points.items()
        if panel_points
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _step_means(path: Path) -> list[dict[str, Any]]:
    """Completions as rows like those of `metrics.jsonl`: means over each step.

    Raises:
        InputError: For a line without step, token_ids and rewards.
    """
    values: dict[float, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for location, row in jsonl.rows_with_location(path, growing=True):
        ids, rewards = row.get("token_ids"), row.get("rewards")
        if not (_is_number(row.get("step")) and isinstance(ids, list) and isinstance(rewards, dict)):
            raise InputError(f"{location} has no step, token_ids and rewards: {LINE_ADVICE}")
        if not all(reward is None or _is_number(reward) for reward in rewards.values()):
            raise InputError(f"{location} has a reward that is not a number: {LINE_ADVICE}")
        step = values[row["step"]]
        step["completions/mean_length"].append(len(row["token_ids"]))
        for name, reward in row["rewards"].items():
            if reward is not None:
                step[f"rewards/{name}/mean"].append(reward)
    return [
        {"step": step_number} | {name: statistics.fmean(numbers) for name, numbers in values_of.items()}
        for step_number, values_of in sorted(values.items())
    ]


def _summary(run: Run, predictions: Sequence[Prediction]) -> dict[str, Any] | None:
    """The evaluation's figures: from its file, else computed again; None if the run was not an evaluation."""
    path = run.folder / "summary.json"
    summary = _json(path)
    if isinstance(summary.get("accuracy"), dict) and "by_kind" in summary:
        if not _is_summary(summary):
            raise InputError(f"{path} holds figures of another form: remove it, or evaluate again")
        return summary
    seed = run.manifest.get("seed")
    return summarize(predictions, seed=seed if isinstance(seed, int) else 0) if predictions else None


def _is_summary(summary: Mapping[str, Any]) -> bool:
    """Whether a summary has the form that the report shows."""
    by_kind = summary["by_kind"]
    groups = list(by_kind.values()) if isinstance(by_kind, dict) else [None]
    counts = (summary.get("n"), summary.get("patients"), summary.get("missing_subject", 0))
    figures = [summary.get(metric.name) for metric in METRICS]
    figures += [figure for group in groups if isinstance(group, dict) for figure in group.values()]
    return (
        all(isinstance(group, dict) for group in groups)
        and all(isinstance(count, int) for count in counts)
        and isinstance(summary.get("parse_status", {}), dict)
        and all(map(_is_estimate, figures))
        and _are_controls(summary.get("controls"))
    )


def _are_controls(controls: Any) -> bool:
    """Whether figures under film controls have the form of `control_figures`; None: there are none."""
    if controls is None:
        return True
    if not isinstance(controls, dict) or not isinstance(controls.get("n"), int):
        return False
    shown = [controls.get(name, {}) for name in ("as_shown", *CONTROLS)]
    estimates = [controls.get(name) for name in ("image_sensitivity", "hallucinated_reasoning")]
    return (
        "as_shown" in controls
        and all(isinstance(figures, dict) for figures in shown)
        and all(map(_is_estimate, [*estimates, *(value for figures in shown for value in figures.values())]))
    )


def _is_estimate(figure: Any) -> bool:
    if figure is None:
        return True
    interval = isinstance(figure, dict) and [figure.get("low"), figure.get("high")]
    if not interval or not _is_number(figure.get("value")) or not _is_number(figure.get("n")):
        return False
    return interval == [None, None] or all(_is_number(end) for end in interval)


def read_arms(runs: Sequence[Run]) -> tuple[list[Arm], list[str]]:
    """An arm for each evaluation, compared with the first; and notes on what is missing."""
    arms: list[Arm] = []
    notes: list[str] = []
    for run in runs:
        path = run.folder / "predictions.jsonl"
        predictions = read_predictions(path, allow_torn_tail=True) if path.is_file() else []
        if (summary := _summary(run, predictions)) is None:
            continue
        if not predictions:
            notes.append(f"{run.name}: no predictions.jsonl, so no films and no paired differences.")
        comparison = None
        if arms and predictions and arms[0].predictions:
            if {p.id for p in predictions} == {p.id for p in arms[0].predictions}:
                comparison = compare_predictions(arms[0].predictions, predictions)
                if left_out := left_out_text(comparison):
                    notes.append(f"{run.name} and {arms[0].name}: {left_out}")
            else:
                notes.append(
                    f"{run.name} and {arms[0].name} answered different examples: no paired differences."
                )
        arms.append(
            Arm(run.name, predictions, summary, comparison, usable_ontology(run.name, run.config, notes))
        )
    compared_runs = {arm.name for arm in arms}
    notes += other_ontologies({run.name: run.config for run in runs if run.name in compared_runs})
    return arms, notes


def read_warnings(runs: Sequence[Run]) -> list[str]:
    """The warnings of training runs, one sentence each."""
    warnings = []
    for run in runs:
        path = run.folder / "diagnostics.jsonl"
        if not path.is_file():
            continue
        for location, row in jsonl.rows_with_location(path, growing=True, nan=True):
            if not _is_number(row.get("step")) or not isinstance(row.get("message"), str):
                raise InputError(f"{location} has no step and message: {LINE_ADVICE}")
            warnings.append(f"{run.name}, step {row['step']}: {row['message']}.")
    return warnings


def arm_of(runs: Sequence[Run]) -> dict[Path, str]:
    """The name of each run's curves: the name of its model's evaluation, or else its own."""
    names = {run.folder.resolve(): run.name for run in runs}
    for run in runs:
        model = run.config.get("model")
        if (run.folder / "predictions.jsonl").is_file() and isinstance(model, str):
            names[Path(model).resolve().parent] = run.name
    return names
