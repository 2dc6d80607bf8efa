"""What stages that run a model share: folder, model and manifest at the start, batches to go on with."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any, Protocol

from chexphi import runs
from chexphi.models import phi4
from chexphi.schema import Example


class ModelRecipe(Protocol):
    """The fields that all recipes with a model share."""

    model: str
    attn_implementation: str
    dynamic_hd: int | None
    resume: bool
    overwrite: bool


def begin(
    recipe: ModelRecipe, out: Path, *, stage: str, data: Path, seed: int, examples: int, trainer: Any = None
) -> tuple[Any, Any]:
    """Load the model, then make the run folder with its settings; a bad model leaves no folder behind.

    Args:
        recipe: The stage's settings.
        out: The run folder.
        stage: Name of the stage in the manifest.
        data: The dataset, for its hash.
        seed: Seed of the stage, for the manifest.
        examples: How many examples are used.
        trainer: TRL's config, where the stage trains.

    Returns:
        The model and its processor.

    Raises:
        InputError: If the folder is taken or the model cannot be loaded.
    """
    runs.check_folder(out, resume=recipe.resume, overwrite=recipe.overwrite)
    model, processor = phi4.load(
        recipe.model, attn_implementation=recipe.attn_implementation, dynamic_hd=recipe.dynamic_hd
    )
    runs.open_run(out, resume=recipe.resume, overwrite=recipe.overwrite)
    runs.log_to(out)
    config = runs.plain(recipe) | ({"trainer": runs.plain(trainer)} if trainer is not None else {})
    crops = processor.image_processor.dynamic_hd
    runs.write_manifest(
        out, config=config, data=data, seed=seed, stage=stage, examples=examples, dynamic_hd=crops
    )
    return model, processor


def open_batches(
    examples: Sequence[Example], done: Container[str], size: int
) -> list[tuple[int, Sequence[Example]]]:
    """(number of its first example, batch) of each batch that is not wholly done.

    The cut is that of all examples, so that a resumed run makes the batches, and draws the samples, of an
    unbroken one; a batch that was stopped half-way comes whole.
    """
    batches = [(start, examples[start : start + size]) for start in range(0, len(examples), size)]
    return [(start, batch) for start, batch in batches if any(example.id not in done for example in batch)]
