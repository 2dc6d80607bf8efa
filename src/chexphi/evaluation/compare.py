"""Two sets of predictions on the same examples, compared pair by pair: `chexphi compare`."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

from chexphi.data.importers.publish import shown_name
from chexphi.evaluation.film_controls.figures import answers_changed
from chexphi.evaluation.film_controls.names import CONTROLS_FOLDER, SHUFFLE, answer_files, folder_of, run_of
from chexphi.evaluation.predictions import read_predictions
from chexphi.evaluation.scored_predictions import ScoredPredictions
from chexphi.evaluation.summary import GROUP_KEYS, Slice, by_group, clusters, groups, nest
from chexphi.files import read_object
from chexphi.runs.commands import resume_command
from chexphi.runs.jsonl import line_count
from chexphi.schema import InputError, Prediction, shown
from chexphi.statistics.intervals import paired_ratios
from chexphi.statistics.ratio import Ratio
from chexphi.yaml_files import read_yaml


def mcnemar(wins: int, losses: int) -> float:
    """Two-sided exact McNemar p of the discordant pairs (a fair coin); it takes examples as independent."""
    total, tail = wins + losses, min(wins, losses)
    logs = [math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1) for k in range(tail + 1)]
    return min(1.0, 2 * math.fsum(math.exp(log - total * math.log(2)) for log in logs))


def match_by_id(
    a: Sequence[Prediction], b: Sequence[Prediction]
) -> tuple[list[Prediction], list[Prediction]]:
    """The predictions of A and those of B, both in the order of A.

    Raises:
        InputError: If the two do not answer the same examples. The message has the counts.
    """
    by_id_a, by_id_b = {p.id: p for p in a}, {p.id: p for p in b}
    if len(by_id_a) < len(a) or len(by_id_b) < len(b):
        raise InputError(
            f"an id occurs twice (lines too many: {len(a) - len(by_id_a)} in the first, "
            f"{len(b) - len(by_id_b)} in the second): keep one each"
        )
    only_a, only_b = len(by_id_a.keys() - by_id_b.keys()), len(by_id_b.keys() - by_id_a.keys())
    if only_a or only_b or not by_id_a:
        raise InputError(
            f"the two files do not hold the same examples: {len(by_id_a.keys() & by_id_b.keys())} in both, "
            f"{only_a} only in the first, {only_b} only in the second: evaluate both on the same file with "
            "the same --limit"
        )
    changed_count = sum(
        (p.question, sorted(p.answer)) != (by_id_b[p.id].question, sorted(by_id_b[p.id].answer)) for p in a
    )
    if changed_count:
        raise InputError(
            f"{changed_count} of {len(a)} examples have another question or reference answer in the second "
            "than in the first: evaluate both on the same data"
        )
    return list(a), [by_id_b[p.id] for p in a]


def compare_predictions(
    a: Sequence[Prediction], b: Sequence[Prediction], *, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """B against A on the same examples, matched by id.

    Returns:
        `n`, `patients`, `missing_subject`; every metric as `{"a", "b", "difference" (B - A), "low", "high",
        "n"}` over the examples that both sides can score; `wins` (right in B only), `losses`, `both_right`,
        `both_wrong`, `mcnemar_p`; `by_kind` and `by_question_type`; and `groups_left_out`, the groups that do
        not hold the same examples in A and in B.

    Raises:
        InputError: If the two do not hold the same examples.
    """
    a, b = match_by_id(a, b)
    patients, missing = clusters(a)
    figures_a, figures_b, left_out = _same_groups(a, b)
    estimates = paired_ratios(figures_a, figures_b, patients, seed=seed, resamples=resamples)
    right_pairs = [(p.is_correct, q.is_correct) for p, q in zip(a, b, strict=True)]
    wins, losses = right_pairs.count((False, True)), right_pairs.count((True, False))
    return {
        "n": len(a),
        "patients": len(set(patients)),
        "missing_subject": missing,
        "seed": seed,
        "resamples": resamples,
        **nest(estimates, "")[""],
        "wins": wins,
        "losses": losses,
        "both_right": right_pairs.count((True, True)),
        "both_wrong": right_pairs.count((False, False)),
        "mcnemar_p": mcnemar(wins, losses),
        "by_kind": nest(estimates, "kind"),
        "by_question_type": nest(estimates, "question_type"),
        "groups_left_out": left_out,
    }


def _same_groups(
    a: Sequence[Prediction], b: Sequence[Prediction]
) -> tuple[dict[Slice, Ratio], dict[Slice, Ratio], list[str]]:
    """The metrics of both sides, and the groups left out because they hold other examples in B than in A."""
    left_out, slices = [], set[tuple[str, str]]()
    for key in GROUP_KEYS:
        in_a, in_b = groups(a, key), groups(b, key)
        for value in sorted(in_a.keys() | in_b.keys()):
            if not (value in in_a and value in in_b and (in_a[value] == in_b[value]).all()):
                left_out.append(f"{key} {shown_name(value)}")
                slices.add((key, value))

    def comparable(side: Sequence[Prediction]) -> dict[Slice, Ratio]:
        return {
            name: figure
            for name, figure in by_group(ScoredPredictions(side)).items()
            if name[:2] not in slices
        }

    return comparable(a), comparable(b), left_out


def weights_of(path: str | os.PathLike[str]) -> dict[str, str]:
    """File -> hash of the weights that were evaluated, from the manifest beside predictions.

    It is empty where no manifest says it.
    """
    try:
        policy = read_object(run_of(path) / "manifest.json").get("policy")
    except InputError:
        return {}
    hashes = policy.get("weights_sha256") if isinstance(policy, dict) else None
    return hashes if isinstance(hashes, dict) else {}


def ontology_of(path: str | os.PathLike[str]) -> str | None:
    """The file of concepts that an evaluation was given, from the settings beside its predictions.

    Empty: it was given none. None: no settings say it.
    """
    file = run_of(path) / "config.yaml"
    try:
        settings = read_yaml(file) if file.is_file() else None
    except InputError:
        return None
    return None if settings is None else str(settings.get("ontology") or "")


def check_finished(path: str | os.PathLike[str]) -> None:
    """Refuse an evaluation that was stopped or still runs, by its folder or its `predictions.jsonl`.

    Raises:
        InputError: If it is one; the message has the command that goes on.
    """
    folder = run_of(path)
    try:
        manifest = read_object(folder / "manifest.json")
    except InputError:
        return
    if manifest.get("stage") != "evaluate" or (folder / "summary.json").exists():
        return
    answered = sum(line_count(file) for file in answer_files(folder, "predictions"))
    command = resume_command(manifest.get("command"), folder, process_count=manifest.get("processes"))
    total = manifest.get("answers", manifest.get("examples"))
    remedy = f"go on with `{command}`" if command else "go on with --resume"
    raise InputError(
        f"the evaluation in {folder} is not finished, {answered} of {shown(total)} questions are answered: "
        f"let it end, or {remedy}"
    )


def compare(
    a_path: str | os.PathLike[str], b_path: str | os.PathLike[str], *, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """Compare two evaluations, by their folders or `predictions.jsonl` files; see `compare_predictions`.

    `image_sensitivity` is the share of answers that change with the film of another patient, where both were
    evaluated with the control `shuffle`. `same_weights` says whether both are of one model, and
    `same_ontology` whether both were evaluated with the same file of concepts. All three are None where the
    files beside the predictions do not tell.

    >>> figures = compare("runs/test_sft", "runs/test_grpo")  # doctest: +SKIP
    >>> figures["graph_f1"]["difference"]  # doctest: +SKIP
    0.057

    Raises:
        InputError: If an evaluation is not finished, a file is broken, or the two do not hold the same
            examples.
    """
    for path in (a_path, b_path):
        check_finished(path)
    a, b = read_predictions(a_path), read_predictions(b_path)
    if any(prediction.film_control for prediction in (*a, *b)):  # which has the questions with films alone
        a, b = ([prediction for prediction in rows if prediction.image_ids] for rows in (a, b))
    weights_a, weights_b = weights_of(a_path), weights_of(b_path)
    ontologies = (ontology_of(a_path), ontology_of(b_path))
    return {
        "a": os.fspath(a_path),
        "b": os.fspath(b_path),
        "same_weights": weights_a == weights_b if weights_a and weights_b else None,
        "same_ontology": None if None in ontologies else ontologies[0] == ontologies[1],
        **compare_predictions(a, b, seed=seed, resamples=resamples),
        "image_sensitivity": sensitivity_change((a_path, b_path), (a, b), seed=seed, resamples=resamples),
    }


def sensitivity_change(
    paths: Sequence[str | os.PathLike[str]],
    predictions: Sequence[Sequence[Prediction]],
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any] | None:
    """The second policy's image sensitivity against the first's; None where `shuffle` was not run for both.

    Args:
        paths: The run folder of each, or its predictions.
        predictions: Of each, of the same examples.
        seed: Of the interval.
        resamples: Of the interval.

    Raises:
        InputError: If a file of the control is broken.
    """
    files = [folder_of(path) / CONTROLS_FOLDER / SHUFFLE / "predictions.jsonl" for path in paths]
    if not all(file.is_file() for file in files):
        return None
    by_id = [{prediction.id: prediction for prediction in rows} for rows in predictions]
    shuffled = [{prediction.id: prediction for prediction in read_predictions(file)} for file in files]
    ids = [name for name in by_id[0] if all(name in rows for rows in (*by_id, *shuffled))]
    changes_a, changes_b = (
        answers_changed([rows[name] for name in ids], [shuffled_rows[name] for name in ids])
        for rows, shuffled_rows in zip(by_id, shuffled, strict=True)
    )
    patients, _ = clusters([by_id[0][name] for name in ids])
    name = "image_sensitivity"
    return paired_ratios({name: changes_a}, {name: changes_b}, patients, seed=seed, resamples=resamples)[name]
