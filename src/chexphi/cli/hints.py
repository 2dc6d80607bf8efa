"""After a verb, the command that usually comes next: one line on the terminal."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from chexphi import yaml_files
from chexphi.runs import processes
from chexphi.schema import InputError

OFF = "CHEXPHI_HINTS"
"""Environment variable: with 0 there are no hints."""
Words = list[str]
"""The words after `chexphi`. What a hint cannot know is in capitals, such as MODEL."""


def show_next(words: Words, *, as_json: bool) -> None:
    """Print the next command on standard error, if that is a terminal; scripts see nothing of it."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    if is_terminal and not as_json and processes.is_main() and os.environ.get(OFF) != "0":
        typer.echo(f"next: chexphi {shlex.join(words)}", err=True)


def after_phantom(out: Path) -> Words:
    """Drawn films: fine-tune on those for SFT."""
    return _train("sft", "sft", "MODEL", str(out / "annotations" / "sft" / "train.json"))


def after_demo(loop: Path) -> Words:
    """A whole loop: see what the graph reward changed, beside training on answers alone."""
    from chexphi.demo.settings import ANSWER_ARM, GRAPH_ARM, evaluation_of

    return ["compare", str(loop / evaluation_of(ANSWER_ARM)), str(loop / evaluation_of(GRAPH_ARM))]


def after_import(figures: Mapping[str, Any]) -> Words:
    """Imported data: check the first file that was written."""
    return ["data", "check", *list(figures["files"])[:1]]


def after_checkpoint_import(target: Path) -> Words:
    """A native model: fine-tune it."""
    return _train("sft", "sft", str(target), "TRAIN.json")


def after_sft(run: Path) -> Words:
    """A model that imitates: find out which questions are hard for it."""
    words = ["mine", "score", "--model", str(run / "model"), "--data", "POOL.json"]
    return [*words, "--out", unused(Path("runs/mine"))]


def after_mine_score(run: Path, *, wrong_reasons: bool = False) -> Words:
    """A scored pool: choose from it, into a file where its films are found.

    With `wrong_reasons` those first that are right for the wrong reason.
    """
    pool = Path(setting(run, "data") or "POOL.json")
    selection = ["--selection", "hard_reasoning"] if wrong_reasons else []
    out = unused(pool.with_name(f"{pool.stem}_hard.json"))
    return ["mine", "select", str(run), str(pool), *selection, "--out", out]


def after_mine_select(scored: Path, out: Path, image_root: str | None = None) -> Words:
    """Chosen questions: train on them the model that found them hard."""
    run = scored if scored.is_dir() else scored.parent
    words = _train("grpo", "grpo_kg", from_here(run, setting(run, "model")) or "MODEL", str(out))
    words += _graph_settings(run)
    return words if image_root is None else [*words, "--image_root", image_root]


def _graph_settings(run: Path) -> Words:
    """Flags by which `grpo` compares graphs as `mine score` did."""
    measure, ontology = setting(run, "measure"), from_here(run, setting(run, "ontology"))
    words = ["--measure", measure] if measure else []
    return [*words, "--ontology", ontology] if ontology else words


def after_grpo(run: Path) -> Words:
    """A model that learned from rewards: evaluate it."""
    words = ["evaluate", *_config("evaluate"), "--model", str(run / "model"), "--data", "TEST.json"]
    return [*words, "--out", unused(run.with_name(f"{run.name}_test"))]


def after_evaluate(run: Path) -> Words:
    """Predictions: a page of them, and of the training of their model."""
    training = Path(setting(run, "model") or "").parent
    runs = [str(run)] + ([str(training)] if (training / "manifest.json").is_file() else [])
    return ["report", *runs, "--out", unused(run.with_name(f"{run.name}.html"))]


def _train(verb: str, config: str, model: str, data: str) -> Words:
    words = [verb, *_config(config), "--model", model, "--data", data]
    return [*words, "--out", unused(Path("runs", verb))]


def _config(name: str) -> Words:
    """The flag for our settings of a verb, where its file is here: in a checkout."""
    path = Path("configs", f"{name}.yaml")
    return ["--config", str(path)] if path.is_file() else []


def setting(run: Path, name: str) -> str | None:
    """A setting in the `config.yaml` of a run folder, if there is one."""
    try:
        value = yaml_files.read_yaml(run / "config.yaml").get(name)
    except (InputError, OSError):
        return None
    return str(value) if value else None


def from_here(run: Path, path: str | None) -> str | None:
    """A path in a run's settings as it is found from the present folder.

    It is relative to the folder where the run was started. The run's own folder tells which one that was: it
    ends in the `--out` of the settings.
    """
    if path is None or Path(path).is_absolute():
        return path
    out = Path(setting(run, "out") or Path("runs", run.resolve().name))
    parts, run_parts = out.parts, run.resolve().parts
    if out.is_absolute() or run_parts[-len(parts) :] != parts:
        return path
    start = Path(*run_parts[: -len(parts)])
    return path if start == Path.cwd() or not (start / path).exists() else str(start / path)


def unused(path: Path) -> str:
    """This path, or the first with a number behind its name that is not there yet.

    >>> unused(Path("no/such/file.json"))
    'no/such/file.json'
    """
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return str(candidate)
