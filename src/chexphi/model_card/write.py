"""A card written, and written again: the user's text around our marks and the settings on top stay."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chexphi import atomic, model_folder
from chexphi.files import read_object
from chexphi.model_card import facts as run_facts
from chexphi.model_card import lineage, pages, text
from chexphi.model_card.facts import STAGES, CardFacts
from chexphi.model_card.text import Evaluation
from chexphi.schema import InputError
from chexphi.yaml_files import dump_yaml


def compose(facts: CardFacts, evaluations: Sequence[Evaluation] = (), *, earlier: str = "") -> str:
    """A whole card.

    Args:
        facts: What is known of the model.
        evaluations: Its figures; without any, those of an earlier card stay.
        earlier: A card of ours that is written again. Its settings and the text around our marks are the
            user's, and stay.
    """
    header, below = pages.split(earlier)
    figures = text.figures_block(evaluations) if evaluations else pages.figures_of(earlier)
    card = text.card(facts, figures or text.figures_block(()))
    below = pages.replace_card(below, card) if pages.is_ours(below) else f"\n{card}\n"
    return f"---\n{_header(text.front_matter(facts), header)}---\n{below}"


def _header(values: dict[str, Any], earlier: str) -> str:
    """The settings on top: the user's as they are, with those of ours that they lack."""
    own_settings = lineage.front_matter(f"---\n{earlier}---\n")
    missing = {name: value for name, value in values.items() if name not in own_settings}
    return earlier + (dump_yaml(missing) if missing else "")


def folder_of(target: Path) -> Path:
    """The folder of weights that a path means: a run's is its `model/`.

    Raises:
        InputError: If there are no weights.
    """
    folder = target / "model" if (target / "manifest.json").is_file() else target
    if not any(folder.glob("*.safetensors")):
        if folder == target:
            raise InputError(f"{folder} has no weights: name a model's folder, or its run")
        stage = str(read_object(target / "manifest.json").get("stage"))
        if stage not in STAGES:
            raise InputError(
                f"{target} is a run of {stage}, which trains no model: give a run of sft or grpo"
            )
        raise InputError(f"{folder} has no weights: its training has not ended")
    return folder


def of_folder(folder: Path, evaluations: Sequence[Evaluation] = (), *, overwrite: bool = False) -> str:
    """The card of a folder of weights, from the run around it or from its earlier card.

    Raises:
        InputError: If there is neither, or the folder has a card that is not ours and may not be replaced.
    """
    earlier = pages.read(folder)
    if earlier and not pages.is_ours(earlier):
        if not overwrite:
            raise InputError(
                f"{folder / pages.NAME} is a card that chexphi did not write: replace it with --overwrite, "
                "or write beside it with --out"
            )
        earlier = ""
    if is_trained(folder):
        return compose(run_facts.of_run(folder.parent), evaluations, earlier=earlier)
    if not earlier:
        raise InputError(
            f"{folder} has no run around it, and no card of chexphi: give the folder of a run of sft or grpo"
        )
    return pages.replace_figures(earlier, text.figures_block(evaluations)) if evaluations else earlier


def is_trained(folder: Path) -> bool:
    """Whether a folder of weights is in the folder of the run that trained it."""
    manifest = folder.parent / "manifest.json"
    return manifest.is_file() and run_facts.stage_of(manifest) in STAGES


def converted(source: Path, target: Path, conversion: str, *, kind: str, base: Path) -> None:
    """Write the card of weights that were made from others, unless the target has a card.

    Args:
        source: The folder that was converted.
        target: The new folder.
        conversion: `merge`, `import` or `export`.
        kind: The `model_type`.
        base: The folder of the source's base, which is the source itself if that is no adapter.
    """
    if (target / pages.NAME).exists():
        return
    facts = run_facts.of_run(source.parent) if is_trained(source) else CardFacts()
    facts = dataclasses.replace(
        facts,
        conversion=conversion,
        kind=kind,
        is_adapter=False,
        base_name=facts.base_name or lineage.base_name(source) or lineage.base_name(base),
        license=facts.license or lineage.license_of(source) or lineage.license_of(base),
        weights_sha256=model_folder.weights_sha256(target) if conversion == "merge" else {},
    )
    atomic.write_text(target / pages.NAME, compose(facts))


def after_training(run: Path, *, earlier: str = "") -> None:
    """Write the card of a policy that has just been trained.

    Args:
        run: The run's folder.
        earlier: The card that `model/` had before, if the run wrote it once already.
    """
    kept = earlier if pages.is_ours(earlier) else ""
    atomic.write_text(run / "model" / pages.NAME, compose(run_facts.of_run(run), earlier=kept))
