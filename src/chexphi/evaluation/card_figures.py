"""The figures of a model's card, from evaluations of exactly that model."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chexphi import atomic, model_folder
from chexphi.evaluation.tables import ROWS, value_text
from chexphi.files import read_object
from chexphi.model_card import facts, pages, write
from chexphi.model_card.text import Evaluation
from chexphi.schema import InputError

logger = logging.getLogger(__name__)


def card_of(target: Path, runs: Sequence[Path], *, overwrite: bool = False) -> tuple[Path, str]:
    """The folder of a model, and its card with the figures of evaluations.

    Args:
        target: The model's folder, or the run of `sft` or `grpo` that trained it.
        runs: Folders of evaluations of it. Without any, the figures of its earlier card stay.
        overwrite: Replace a card that is not ours.

    Raises:
        InputError: If there are no weights or nothing is known of them, a run is not a finished evaluation or
            evaluated other weights, or the card is not ours.
    """
    folder = write.folder_of(target)
    hashes = model_folder.weights_sha256(folder) if runs else {}
    evaluations = [evaluation_of(run, folder, hashes) for run in runs]
    return folder, write.of_folder(folder, evaluations, overwrite=overwrite)


def write_card(target: Path, runs: Sequence[Path]) -> None:
    """Write the card of a model into its folder, with the figures of evaluations; errors as `card_of`."""
    folder, page = card_of(target, runs)
    atomic.write_text(folder / pages.NAME, page)


def write_cards(models: Mapping[Path, Path]) -> None:
    """Write the cards of several models; one whose evaluation did not note its weights has no figures.

    Args:
        models: The run that trained a model -> the run that evaluated it.
    """
    unnoted = [run for run in models.values() if not isinstance(_manifest(run).get("policy"), dict)]
    for target, run in models.items():
        write_card(target, [] if run in unnoted else [run])
    if unnoted:
        logger.warning(
            "%s of an earlier version, which did not note which weights it evaluated: the cards have no "
            "figures of them",
            f"{', '.join(run.name for run in unnoted)} {'is' if len(unnoted) == 1 else 'are'}",
        )


def _manifest(run: Path) -> dict[str, Any]:
    return read_object(run / "manifest.json")


def evaluation_of(run: Path, folder: Path, hashes: Mapping[str, str]) -> Evaluation:
    """The figures of one evaluation.

    Args:
        run: Its folder.
        folder: The model, for the message.
        hashes: Of the model's weights.

    Raises:
        InputError: If the run is not a finished evaluation of these weights.
    """
    if not (run / "manifest.json").is_file() or not (run / "summary.json").is_file():
        raise InputError(
            f"{run} is not a finished evaluation: it has no manifest.json or no summary.json; give the "
            "folder that chexphi evaluate wrote"
        )
    manifest, summary = _manifest(run), read_object(run / "summary.json")
    policy = manifest.get("policy")
    if manifest.get("stage") != "evaluate" or not isinstance(summary.get("accuracy"), dict):
        raise InputError(f"{run} is a run of {manifest.get('stage')}: give a run of evaluate")
    if not isinstance(policy, dict):
        raise InputError(
            f"{run} is of an earlier version, which did not note which weights it evaluated: evaluate again"
        )
    if policy.get("weights_sha256") != hashes:
        raise InputError(
            f"{run} evaluated other weights than those in {folder}: evaluate this model, or name the one "
            "that was evaluated"
        )
    rows = tuple(
        (metric.label, value_text(summary[metric.name], metric.name), int(summary[metric.name]["n"]))
        for metric in ROWS
        if summary.get(metric.name)
    )
    return Evaluation(
        data=facts.data_files(manifest),
        is_drawn=facts.is_drawn(manifest.get("data")),
        examples=summary["n"],
        patients=summary["patients"],
        rows=rows,
    )
