"""Read run folders for a report: what an evaluation and a training run left behind."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from chexphi import jsonl
from chexphi.evaluation.compare import compare_predictions, read_predictions
from chexphi.evaluation.metrics import summarize
from chexphi.report.parts import Arm, Curve
from chexphi.schema import InputError, Prediction

PANELS = {
    "rewards/external_r1v_acc/mean": "Answer reward",
    "rewards/external_kg_jac/mean": "Graph reward",
    "entropy": "Entropy, nats a token",
    "completions/mean_length": "Completion length, tokens",
}
"""Figures of a GRPO run's `metrics.jsonl` and their panels."""
TOTAL = ("reward", "Total reward")
"""Shown for runs whose reward is one callable."""
LOSS = ("loss", "SFT loss")


@dataclass(frozen=True, slots=True)
class Run:
    """One stage's folder."""

    name: str
    folder: Path
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]


def _load(path: Path, parse: Any) -> dict[str, Any]:
    """A file of settings; empty if it is missing.

    Raises:
        InputError: If it is broken.
    """
    if not path.is_file():
        return {}
    try:
        found = parse(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError):
        raise InputError(f"{path} cannot be read: repair or remove it") from None
    return found if isinstance(found, dict) else {}


def _run(name: str, folder: Path) -> Run:
    manifest, config = (
        _load(folder / "manifest.json", json.loads),
        _load(folder / "config.yaml", yaml.safe_load),
    )
    return Run(name, folder, manifest, config)


def find_runs(folders: Sequence[Path]) -> list[Run]:
    """The folders themselves, and the stages inside those that hold several (a demo), oldest first.

    Raises:
        InputError: If a folder does not exist.
    """
    found: list[Run] = []
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"run folder {folder} does not exist: give the folder of a run")
        inside = sorted(
            {path.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/manifest.json")}
        )
        nested = [_run(path.relative_to(folder).as_posix(), path) for path in inside]
        nested.sort(key=lambda run: str(run.manifest.get("started", "")))
        own = _run(folder.resolve().name, folder)
        found += (
            [own, *nested]
            if len(folders) == 1
            else [own, *(_run(f"{own.name}/{r.name}", r.folder) for r in nested)]
        )
    return found


def read_curves(folder: Path, arm: str) -> list[Curve]:
    """The training curves of a run: from `metrics.jsonl`, else from `completions.jsonl`."""
    metrics, completions = folder / "metrics.jsonl", folder / "completions.jsonl"
    if metrics.is_file():
        rows: Iterable[Mapping[str, Any]] = list(jsonl.read(metrics))
    elif completions.is_file():
        rows = _step_means(jsonl.read(completions))
    else:
        return []
    rows = list(rows)
    keys = {key for row in rows for key in row}
    panels = dict(PANELS)
    if not keys & {key for key in PANELS if key.startswith("rewards/")}:
        panels = dict([TOTAL]) | panels if TOTAL[0] in keys else dict([LOSS])
    points = {
        panel: [
            (row["step"], row[key]) for row in rows if isinstance(row.get(key), int | float) and "step" in row
        ]
        for key, panel in panels.items()
    }
    return [
        Curve(arm, panel, [step for step, _ in found], [value for _, value in found])
        for panel, found in points.items()
        if found
    ]


def _step_means(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Completions as rows like those of `metrics.jsonl`: means over each step."""
    values: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        step = values[row["step"]]
        step["completions/mean_length"].append(len(row["token_ids"]))
        for name, reward in row["rewards"].items():
            if reward is not None:
                step[f"rewards/{name}/mean"].append(reward)
    return [
        {"step": s} | {k: statistics.fmean(v) for k, v in found.items()}
        for s, found in sorted(values.items())
    ]


def _summary(run: Run, predictions: Sequence[Prediction]) -> dict[str, Any] | None:
    """The evaluation's figures: as written, else computed again; None if this was no evaluation."""
    written = _load(run.folder / "summary.json", json.loads)
    if isinstance(written.get("accuracy"), dict) and "by_kind" in written:
        return written
    return summarize(predictions, seed=int(run.manifest.get("seed") or 0)) if predictions else None


def read_arms(found: Sequence[Run]) -> tuple[list[Arm], list[str]]:
    """One arm an evaluation, compared with the first; and notes on what is missing."""
    arms: list[Arm] = []
    notes: list[str] = []
    for run in found:
        path = run.folder / "predictions.jsonl"
        predictions = read_predictions(path, allow_torn_tail=True) if path.is_file() else []
        summary = _summary(run, predictions)
        if summary is None:
            continue
        if not predictions:
            notes.append(f"{run.name}: no predictions.jsonl, so no films and no paired differences.")
        comparison = None
        if arms and predictions and arms[0].predictions:
            if {p.id for p in predictions} == {p.id for p in arms[0].predictions}:
                comparison = compare_predictions(arms[0].predictions, predictions)
            else:
                notes.append(
                    f"{run.name} and {arms[0].name} answered different examples: no paired differences."
                )
        arms.append(Arm(run.name, predictions, summary, comparison))
    return arms, notes


def read_warnings(found: Sequence[Run]) -> list[str]:
    """What training runs were warned of while they ran, one sentence each."""
    return [
        f"{run.name}, step {row['step']}: {row['message']}."
        for run in found
        if (path := run.folder / "diagnostics.jsonl").is_file()
        for row in jsonl.read(path)
    ]


def arm_of(found: Sequence[Run]) -> dict[Path, str]:
    """The name of each run's curves: that of the evaluation of its model, where there is one."""
    names = {run.folder.resolve(): run.name for run in found}
    for run in found:
        model = run.config.get("model")
        if (run.folder / "predictions.jsonl").is_file() and isinstance(model, str):
            names[Path(model).resolve().parent] = run.name
    return names
