"""Answer every example with a policy and score it: `chexphi evaluate`.

The original's three modes: a folder of annotation files, one file (`--annotation_file`, `--img_root`),
and `--tokens` for the log-probability of every generated token. Decoding is greedy, in batches of questions
about the same films. Predictions are appended as they come, so an interrupted evaluation goes on where it
stopped; at the end they are put in the order of the examples. Each of several processes takes a share of the
batches.

An answer is right where it earns a reward of 1 (`rewards.score.is_right`, with the format gate): never in a
malformed completion. Figures without the gate, and with answers compared as meanings, are given too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.progress import track

from chexphi import config, ranges
from chexphi.data.film_loader import FilmLoader, with_films
from chexphi.data.read import image_root_of, read_examples, read_folder
from chexphi.evaluation.answer_probability import answer_options, answer_probabilities
from chexphi.evaluation.auroc import answer_aurocs
from chexphi.evaluation.predictions import read_predictions
from chexphi.evaluation.scoring import graph_pairs, make_prediction
from chexphi.evaluation.summary import summarize
from chexphi.graph.open import open_extractor
from chexphi.graph.types import Extractor
from chexphi.models.generate import generate
from chexphi.models.stage import (
    MODEL_RANGES,
    ModelFields,
    begin,
    check_run,
    films_together,
    unfinished_batches,
)
from chexphi.ranges import COUNT, COUNT_OR_NONE, SEED
from chexphi.runs import jsonl, processes, run_folder, terminal
from chexphi.schema import Example, InputError, Prediction

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluateRecipe(ModelFields):
    """Answer every example and score it. As in the reward, no answer is right in a malformed completion.

    Figures without that gate, and with answers compared as meanings (clinical), are given too.
    """

    data: str | None = field(default=None, metadata={"help": "a folder of annotation files, or one file"})
    annotation_file: str | None = field(default=None, metadata={"help": "one file (the original's flag)"})
    image_root: str | None = field(
        default=None, metadata={"help": "folder of the images (default: beside the data)"}
    )
    img_root: str | None = field(
        default=None, metadata={"help": "the same as image_root (the original's flag)"}
    )
    out: str | None = field(default=None, metadata={"help": "run folder (default runs/<timestamp>_evaluate)"})
    limit: int | None = field(
        default=None, metadata={"help": "evaluate the first N examples of each file only"}
    )
    batch_size: int = field(default=32, metadata={"help": "questions a batch"})
    max_new_tokens: int = field(default=256, metadata={"help": "longest completion in tokens"})
    tokens: bool = field(
        default=False, metadata={"help": "write each token's log-probability and probability"}
    )
    answer_samples: int = field(
        default=0,
        metadata={
            "help": "samples of reasoning for the probability of each answer to a question with two (0: none)"
        },
    )
    extractor: str = field(
        default="lexicon", metadata={"help": "the extractor of graphs: lexicon, rexkg:FOLDER or radgraph"}
    )
    seed: int = field(default=0, metadata={"help": "seed of the intervals and of the samples"})


RANGES = MODEL_RANGES | {
    "batch_size": COUNT, "max_new_tokens": COUNT, "answer_samples": COUNT_OR_NONE, "seed": SEED,
}  # fmt: skip


def parse(argv: Sequence[str]) -> EvaluateRecipe:
    """Read the recipe from the command line."""
    return config.parse(argv, EvaluateRecipe, prog="chexphi evaluate", number_ranges=RANGES)[0]


def read_all(recipe: EvaluateRecipe) -> tuple[list[Example], Path, Path]:
    """The examples, the path they came from and their image root.

    Raises:
        InputError: If the data are missing or an id occurs in two files of a folder.
    """
    source = recipe.annotation_file or recipe.data
    if not recipe.model or not source:
        raise InputError("evaluate needs --model and --data (or --annotation_file): give both")
    if recipe.image_root and recipe.img_root:
        raise InputError("evaluate has both --image_root and --img_root: give one of them")
    ranges.check(vars(recipe), RANGES, "evaluate")
    path, image_root = Path(source), recipe.image_root or recipe.img_root
    if not path.is_dir():
        return (
            read_examples(path, image_root=image_root, limit=recipe.limit),
            path,
            image_root_of(path, image_root),
        )
    files = read_folder(path, image_root=image_root, limit=recipe.limit)
    examples = [example for rows in files.values() for example in rows]
    if len({example.id for example in examples}) < len(examples):
        raise InputError(f"{path}: an id occurs in two of its files: make the ids unique")
    return examples, path, image_root_of(path, image_root)


def main(recipe: EvaluateRecipe) -> dict[str, Any]:
    """Evaluate; returns the summary, which is also written to the run folder's `summary.json`.

    Raises:
        InputError: For bad data, settings or folders, before the model is loaded.
    """
    processes.join()
    with processes.fail_together():
        examples, path, root = read_all(recipe)
        extractor = open_extractor(recipe.extractor)
    out = Path(recipe.out) if recipe.out else run_folder.default_folder("evaluate")
    with processes.fail_together():
        run = check_run(recipe, out, data=path)
    model, processor = begin(recipe, run, stage="evaluate", seed=recipe.seed, examples=len(examples))
    predictions_path = out / "predictions.jsonl"
    jsonl.join_parts(predictions_path)
    with processes.fail_together():  # all processes read before one writes
        done_ids = {prediction.id for prediction in read_predictions(predictions_path)}
    lines = jsonl.JsonLines(processes.own_part(predictions_path))
    # samples depend on the batch they are drawn in, so their batches do not change
    ordered_examples = examples if recipe.answer_samples else films_together(examples)
    batches = processes.own_share(unfinished_batches(ordered_examples, done_ids, recipe.batch_size))
    options = answer_options(examples) if recipe.answer_samples else {}
    film_loader = FilmLoader(root, processor.prepare_film)
    progress = track(
        with_films(batches, film_loader), "evaluate", len(batches), transient=True, console=terminal.console()
    )
    for _, batch, films in progress:
        for prediction in _answer_batch(recipe, model, processor, extractor, batch, films, root, options):
            if prediction.id not in done_ids:
                lines.write(prediction.to_dict())
    lines.close()
    jsonl.join_parts(predictions_path, [example.id for example in examples])
    predictions = read_predictions(predictions_path)
    summary = summarize(predictions, seed=recipe.seed)
    if recipe.answer_samples:
        summary["answer_auroc"] = answer_aurocs(predictions, seed=recipe.seed)
    if processes.is_main():
        run_folder.write_json(out / "summary.json", summary)
    logger.info("evaluated %d examples", len(examples))
    return {"out": str(out), **summary}


def _answer_batch(
    recipe: EvaluateRecipe,
    model: Any,
    processor: Any,
    extractor: Extractor,
    batch: Sequence[Example],
    films: Sequence[Sequence[Any]],
    root: Path,
    options: Mapping[str, tuple[str, str]],
) -> Iterator[Prediction]:
    """Generate the answers to a batch of questions, and score each of them."""
    questions = [example.question for example in batch]
    generations = generate(model, processor, questions, films, max_new_tokens=recipe.max_new_tokens)
    texts, opened_think = [samples[0].text for samples in generations], generations[0][0].opened_think
    graphs = graph_pairs(batch, texts, extractor, opened_think=opened_think)
    probabilities = _probabilities(recipe, model, processor, batch, films, options)
    for example, (generation,), pair, chances in zip(batch, generations, graphs, probabilities, strict=True):
        yield make_prediction(
            example, generation, *pair, root, tokens=recipe.tokens, probabilities=chances or None
        )


def _probabilities(
    recipe: EvaluateRecipe,
    model: Any,
    processor: Any,
    batch: Sequence[Example],
    films: Sequence[Sequence[Any]],
    options: Mapping[str, tuple[str, str]],
) -> list[dict[str, float] | None]:
    if not options:
        return [None] * len(batch)
    return answer_probabilities(
        model,
        processor,
        batch,
        films,
        options,
        samples=recipe.answer_samples,
        max_new_tokens=recipe.max_new_tokens,
        seed=recipe.seed,
    )
