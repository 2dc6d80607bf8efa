"""The passes of an evaluation over its examples: with the films themselves, and with those of each control.

Predictions are appended as they come, so that an interrupted pass goes on where it stopped; at its end they
are put in the order of the examples. Each of several processes takes a share of the batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chexphi.data.film_loader import FilmLoader, with_films
from chexphi.data.images import load_image
from chexphi.evaluation.evaluate_recipe import EvaluateRecipe
from chexphi.evaluation.film_controls.figures import control_figures
from chexphi.evaluation.film_controls.names import CONTROLS_FOLDER, SHUFFLE, chosen_controls
from chexphi.evaluation.film_controls.partners import with_other_films
from chexphi.evaluation.film_controls.pictures import OpenFilm, picture_of
from chexphi.evaluation.predictions import read_predictions
from chexphi.graph.types import Extractor
from chexphi.models.question_batches import films_together, unfinished_batches
from chexphi.runs import jsonl, processes
from chexphi.runs.progress_display import rows_display
from chexphi.schema import Example, InputError, Prediction

if TYPE_CHECKING:
    from chexphi.evaluation.answering import Answering


@dataclass(frozen=True)
class Pass:
    """All questions once."""

    control: str
    """Empty for the films themselves."""
    examples: Sequence[Example]
    open_film: OpenFilm
    path: Path
    """Of its predictions."""


def passes_of(recipe: EvaluateRecipe, examples: Sequence[Example], root: Path, out: Path) -> list[Pass]:
    """The passes of a recipe, the one with the films themselves first; controls have the examples with films.

    Raises:
        InputError: If a control is none, no example has a film, or there are films of one patient alone.
    """
    controls = chosen_controls(recipe.controls)
    passes = [Pass("", examples, load_image, out / "predictions.jsonl")]
    on_films = [example for example in examples if example.images]
    if controls and not on_films:
        raise InputError(f"controls is {recipe.controls}, and no example has a film: leave it out")
    for control in controls:
        rows = with_other_films(on_films, seed=recipe.seed) if control == SHUFFLE else on_films
        path = out / CONTROLS_FOLDER / control / "predictions.jsonl"
        passes.append(Pass(control, rows, picture_of(control, seed=recipe.seed), path))
    return passes


def answer_pass(film_pass: Pass, answering: Answering) -> None:
    """Answer the questions of a pass that are not answered yet."""
    examples, recipe = film_pass.examples, answering.recipe
    with processes.fail_together():
        film_pass.path.parent.mkdir(parents=True, exist_ok=True)
    jsonl.join_parts(film_pass.path)
    with processes.fail_together():  # all processes read before one writes
        done_ids = {prediction.id for prediction in read_predictions(film_pass.path)}
    lines = jsonl.JsonLines(processes.own_part(film_pass.path))
    batches = processes.own_share(unfinished_batches(films_together(examples), done_ids, recipe.batch_size))
    film_loader = FilmLoader(answering.root, answering.processor.prepare_film, film_pass.open_film)
    new_count = right_count = 0
    label = f"evaluate, {film_pass.control} films" if film_pass.control else "evaluate"
    with rows_display(label, len(examples), done=len(done_ids)) as display:
        for batch, films in with_films(batches, film_loader):
            for prediction in answering.batch(batch, films):
                if prediction.id not in done_ids:
                    lines.write(replace(prediction, film_control=film_pass.control or None).to_dict())
                    new_count, right_count = new_count + 1, right_count + prediction.is_correct
            accuracy = {"accuracy": f"accuracy {right_count / new_count:.3f}"} if new_count else {}
            display.update(len(done_ids) + new_count * processes.count(), accuracy)
    lines.close()
    jsonl.join_parts(film_pass.path, [example.id for example in examples])


def figures_of_passes(
    passes: Sequence[Pass], predictions: Sequence[Prediction], extractor: Extractor, recipe: EvaluateRecipe
) -> dict[str, Any]:
    """What `control_figures` says of finished passes, over the examples that have films.

    Args:
        passes: As `passes_of` returns them, with a control.
        predictions: Of the first pass.
        extractor: What reads the reasonings.
        recipe: Of the evaluation.
    """
    control_passes = passes[1:]
    ids = {example.id for example in control_passes[0].examples}
    with_own_films = [prediction for prediction in predictions if prediction.id in ids]
    by_control = {
        film_pass.control: [row for row in read_predictions(film_pass.path) if row.id in ids]
        for film_pass in control_passes
    }
    return control_figures(with_own_films, by_control, extractor, ontology=recipe.ontology, seed=recipe.seed)
