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
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chexphi import config, ranges
from chexphi.data.read import image_root_of, read_examples, read_folder
from chexphi.evaluation.auroc import answer_aurocs
from chexphi.evaluation.by_finding import by_finding
from chexphi.evaluation.evaluate_recipe import RANGES, EvaluateRecipe
from chexphi.evaluation.passes import answer_pass, figures_of_passes, passes_of
from chexphi.evaluation.predictions import read_predictions
from chexphi.evaluation.summary import summarize
from chexphi.graph.findings.ontology import open_ontology
from chexphi.graph.open import check_extractor, open_extractor
from chexphi.models.run_check import check_run
from chexphi.number_text import counted
from chexphi.runs import processes, run_folder, terminal
from chexphi.schema import Example, InputError

logger = logging.getLogger(__name__)


def parse(argv: Sequence[str]) -> EvaluateRecipe:
    """Read the recipe from the command line."""
    return config.parse(argv, EvaluateRecipe, prog="chexphi evaluate", number_ranges=RANGES)[0]


def check(recipe: EvaluateRecipe) -> tuple[Path, Path]:
    """Refuse settings that nothing can be evaluated with.

    Returns:
        The path of the data and the image root.

    Raises:
        InputError: For the first of them.
    """
    source = recipe.annotation_file or recipe.data
    config.check_required("evaluate", recipe)
    if recipe.image_root and recipe.img_root:
        raise InputError("evaluate has both --image_root and --img_root: give one of them")
    ranges.check(vars(recipe), RANGES, "evaluate")
    check_extractor(recipe.extractor)
    open_ontology(recipe.ontology)
    return Path(source), image_root_of(Path(source), recipe.image_root or recipe.img_root)


def read_all(path: Path, root: Path, *, limit: int | None = None) -> list[Example]:
    """The examples of a file, or of all files of a folder.

    Raises:
        InputError: If the data are missing or an id occurs in two files of a folder.
    """
    if not path.is_dir():
        return read_examples(path, image_root=root, limit=limit)
    files = read_folder(path, image_root=root, limit=limit)
    examples = [example for rows in files.values() for example in rows]
    if len({example.id for example in examples}) < len(examples):
        raise InputError(f"{path}: an id occurs in two of its files: make the ids unique")
    return examples


def main(recipe: EvaluateRecipe) -> dict[str, Any]:
    """Evaluate; returns the summary, which is also written to the run folder's `summary.json`.

    Raises:
        InputError: For bad data, settings or folders, before the model is loaded.
    """
    processes.join()
    out = Path(recipe.out) if recipe.out else run_folder.default_folder("evaluate")
    with processes.fail_together():
        path, root = check(recipe)
        run = check_run(recipe, out, data=path)
        examples = read_all(path, root, limit=recipe.limit)
        passes = passes_of(recipe, examples, root, out)
        answer_count = sum(len(film_pass.examples) for film_pass in passes)
        run = replace(run, facts=run.facts | {"answers": answer_count})
    with terminal.waiting("loading libraries"):  # torch takes seconds: only after the checks
        from chexphi.evaluation.answer_probability import answer_options
        from chexphi.evaluation.answering import Answering
        from chexphi.models.rollout.drafting import fed_drafter
        from chexphi.models.stage import begin

    with processes.fail_together(), terminal.loading_extractor(recipe.extractor):
        extractor = open_extractor(recipe.extractor, ontology=recipe.ontology)
    model, processor = begin(recipe, run, stage="evaluate", seed=recipe.seed, examples=len(examples))
    texts = (example.explanation for example in examples)
    drafter = fed_drafter(processor.tokenizer, texts, model.device.type)
    options = answer_options(examples) if recipe.answer_samples else {}
    answering = Answering(recipe, model, processor, extractor, root, drafter, options)
    for film_pass in passes:
        answer_pass(film_pass, replace(answering, options={}) if film_pass.control else answering)
    predictions = read_predictions(out)
    summary = summarize(predictions, seed=recipe.seed)
    summary["by_finding"] = by_finding(predictions, seed=recipe.seed)
    if recipe.answer_samples:
        summary["answer_auroc"] = answer_aurocs(predictions, seed=recipe.seed)
    if len(passes) > 1:
        summary["controls"] = figures_of_passes(passes, predictions, extractor, recipe)
    if processes.is_main():
        run_folder.write_json(out / "summary.json", summary)
    logger.info("evaluated %s", counted(len(examples), "example"))
    return {"out": str(out), **summary}
