"""Figures of predictions against counts made by hand."""

from __future__ import annotations

import dataclasses
import io
import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from synthetic_predictions import graph, predictions

from chexphi.evaluation import metrics, tables
from chexphi.evaluation.auroc import auroc, auroc_value
from chexphi.evaluation.summary import summarize
from chexphi.graph import match
from chexphi.graph.types import Graph
from chexphi.schema import InputError, Prediction


def one(**fields: object) -> Prediction:
    base = predictions(1)[0]
    return dataclasses.replace(base, **fields)


def text(renderable: object, width: int = 160) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_a_metric_is_one_record_that_summary_and_tables_take_up() -> None:
    summary = summarize(predictions(40), resamples=5)
    assert [name for name in summary if name in metrics.METRIC] == list(metrics.METRIC)
    assert len({metric.label for metric in metrics.METRICS}) == len(metrics.METRICS) == len(metrics.METRIC)
    assert all(metric.meaning for metric in metrics.METRICS)
    assert {metric.below for metric in metrics.METRICS} - {""} <= set(metrics.METRIC)
    grouped = [metric.name for metric in metrics.METRICS if metric.by_group]
    assert all(list(group) == grouped for group in summary["by_kind"].values())
    shown = text(tables.table(summary))
    assert all(metric.label in shown for metric in metrics.METRICS if summary[metric.name])


def test_figures_equal_plain_counts() -> None:
    rows = predictions(120)
    found = summarize(rows, resamples=50)
    matches = [
        match.compare(Graph.from_dict(r.graph_predicted), Graph.from_dict(r.graph_reference)) for r in rows
    ]
    entities = sum((m.entities for m in matches), start=match.Counts())
    relations = sum((m.relations for m in matches), start=match.Counts())
    assert found["n"] == 120
    assert found["patients"] == 30
    assert found["accuracy"]["value"] == pytest.approx(sum(r.is_correct for r in rows) / 120)
    assert found["accuracy_substring"]["value"] == pytest.approx(sum(r.correct_substring for r in rows) / 120)
    assert found["entity_precision"]["value"] == pytest.approx(entities.precision)
    assert found["entity_recall"]["value"] == pytest.approx(entities.recall)
    assert found["relation_f1"]["value"] == pytest.approx(relations.f1)
    assert found["graph_f1"]["value"] == pytest.approx(sum(m.f1 for m in matches) / 120)
    right = [m for m, r in zip(matches, rows, strict=True) if r.is_correct]
    expected = sum(m.f1 < 0.5 for m in right) / len(right)
    assert found["right_for_wrong_reason"]["value"] == pytest.approx(expected)
    scene = sum((match.Counts(*(r.scene_counts or ())) for r in rows), start=match.Counts())
    assert found["scene_f1"]["value"] == pytest.approx(scene.f1)
    assert sum(found["parse_status"].values()) == 120
    assert found["malformed"]["value"] == pytest.approx(1 - found["parse_status"]["ok"] / 120)
    json.dumps(found, allow_nan=False)


def test_groups_partition_the_examples() -> None:
    rows = predictions(80)
    found = summarize(rows, resamples=20)
    assert sorted(found["by_kind"]) == ["basic", "compare", "region"]
    assert sum(figures["accuracy"]["n"] for figures in found["by_kind"].values()) == 80
    basic = [r for r in rows if r.kind == "basic"]
    expected = sum(r.is_correct for r in basic) / len(basic)
    assert found["by_kind"]["basic"]["accuracy"]["value"] == pytest.approx(expected)
    assert set(found["by_question_type"]) == {"presence", "location"}


def test_every_interval_holds_its_value() -> None:
    found = summarize(predictions(100), resamples=300)
    estimates = [value for value in found.values() if isinstance(value, dict) and "low" in value]
    assert len(estimates) == 26
    assert all(e["low"] <= e["value"] <= e["high"] for e in estimates)


def test_scored_malformed_and_unscorable_are_three_things() -> None:
    perfect = one(is_correct=True, parse_status="ok")
    perfect = dataclasses.replace(perfect, graph_predicted=perfect.graph_reference)
    nothing_to_compare = dataclasses.replace(perfect, id="u", graph_reference=Graph().to_dict())
    not_extracted = dataclasses.replace(perfect, id="x", graph_predicted=None)
    malformed = dataclasses.replace(
        perfect, id="m", parse_status="truncated", is_correct=False, graph_predicted=Graph().to_dict()
    )
    found = summarize([perfect, nothing_to_compare, not_extracted, malformed], resamples=10)
    assert found["unscorable"] == 2
    assert (found["graph_f1"]["n"], found["graph_f1"]["value"]) == (2, 0.5)
    assert found["malformed"]["value"] == 0.25
    assert found["parse_status"] == {"ok": 3, "truncated": 1}


def test_an_invented_entity_under_an_empty_reference_costs_no_precision() -> None:
    good = one(
        graph_predicted=graph({"nodule": None}).to_dict(), graph_reference=graph({"nodule": None}).to_dict()
    )
    stray = dataclasses.replace(good, id="s", graph_reference=Graph().to_dict())
    assert summarize([good, stray], resamples=5)["entity_precision"]["value"] == 1.0


def test_figures_that_do_not_apply_are_none() -> None:
    plain = one(
        graph_reference=None,
        graph_predicted=None,
        is_correct=False,
        kind="",
        question_type="",
        scene_counts=None,
        present_findings=None,
    )
    found = summarize([plain], resamples=5)
    missing = (
        "graph_f1",
        "entity_f1",
        "relation_precision",
        "scene_f1",
        "right_for_wrong_reason",
        "present_f1",
    )
    for name in missing:
        assert found[name] is None
    assert found["by_kind"] == {}
    assert "graph F1" not in text(tables.table(found))


def test_a_missing_patient_is_a_cluster_of_its_own_and_flagged() -> None:
    rows = [dataclasses.replace(r, subject_id="") for r in predictions(8)]
    rows[0] = dataclasses.replace(rows[0], subject_id="p")
    rows[1] = dataclasses.replace(rows[1], subject_id="p")
    found = summarize(rows, resamples=5)
    assert (found["patients"], found["missing_subject"]) == (7, 6)


def test_no_predictions_is_an_input_error() -> None:
    with pytest.raises(InputError, match="no predictions"):
        summarize([])


def test_reasoning_length_is_read_from_the_text_or_taken_as_given() -> None:
    assert metrics.reasoning_words(one(generated_text="<think>two words</think><answer>no</answer>")) == 2
    assert metrics.reasoning_words(one(generated_text="no tags at all")) == 0
    assert metrics.reasoning_words(one(reasoning_words=7)) == 7


def test_tables_show_the_summary_and_escape_markup() -> None:
    rows = [dataclasses.replace(r, kind="[red]odd") for r in predictions(40)]
    found = summarize(rows, resamples=50)
    shown = text(tables.table(found))
    assert tables.number(found["graph_f1"]["value"], "graph_f1") in shown
    assert "[red]odd" in shown
    assert tables.interval(found["accuracy"], "accuracy") in shown


def test_arms_table_shows_values_and_differences() -> None:
    start, arm = summarize(predictions(40), resamples=50), summarize(predictions(40, skill=0.9), resamples=50)
    change = {"a": 0.1, "b": 0.3, "difference": 0.2, "low": 0.1, "high": 0.3, "n": 40}
    shown = text(tables.arms_table({"SFT": start, "[both]": arm}, {"[both]": {"accuracy": change}}), 80)
    assert "+0.200 [+0.100, +0.300]" in shown
    assert "[both]" in shown
    assert tables.value_text(start["accuracy"], "accuracy") in shown
    assert "…" not in shown


@pytest.mark.parametrize(
    ("name", "low", "high", "expected"),
    [
        ("accuracy", 0.01, 0.2, "better"),
        ("accuracy", -0.2, -0.01, "worse"),
        ("accuracy", -0.01, 0.2, ""),
        ("accuracy", 0.0, 0.2, ""),  # touching 0 is no difference
        ("malformed", 0.01, 0.2, "worse"),
        ("malformed", -0.2, -0.01, "better"),
        ("reasoning_words", 1.0, 2.0, ""),  # longer is neither
        ("accuracy", None, None, ""),
    ],
)
def test_verdict_needs_the_whole_interval_on_one_side(
    name: str, low: float | None, high: float | None, expected: str
) -> None:
    assert tables.verdict({"difference": 0.1, "low": low, "high": high}, name) == expected


def pairs_auroc(scores: list[float], labels: list[bool]) -> float:
    """O(n^2): every positive against every negative."""
    positives = [s for s, label in zip(scores, labels, strict=True) if label]
    negatives = [s for s, label in zip(scores, labels, strict=True) if not label]
    wins = sum((p > n) + 0.5 * (p == n) for p in positives for n in negatives)
    return wins / (len(positives) * len(negatives))


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40))
def test_auroc_equals_counting_pairs(rows: list[tuple[int, bool]]) -> None:
    scores, labels = [float(s) for s, _ in rows], [label for _, label in rows]
    found = auroc_value(scores, labels)
    if len(set(labels)) < 2:
        assert found is None
    else:
        assert found == pytest.approx(pairs_auroc(scores, labels))


def test_auroc_interval_equals_counting_pairs_in_every_resample() -> None:
    from chexphi.statistics.intervals import draws

    rng = random.Random(0)
    labels = [rng.random() < 0.4 for _ in range(40)]
    scores = [round(rng.gauss(0.8 * label, 1), 1) for label in labels]
    patients = [f"p{i // 4}" for i in range(40)]
    found = auroc(scores, labels, patients, seed=1, resamples=60)
    expected = []
    for counts in np.concatenate(list(draws(10, seed=1, resamples=60))):
        rows = [i for i in range(40) for _ in range(int(counts[i // 4]))]
        expected.append(pairs_auroc([scores[i] for i in rows], [labels[i] for i in rows]))
    assert found is not None
    assert (found["low"], found["high"]) == pytest.approx(tuple(np.quantile(expected, [0.025, 0.975])))


def test_auroc_hard_cases() -> None:
    assert auroc([], []) is None
    assert auroc([0.1, 0.2], [True, True]) is None
    perfect = auroc([0.1, 0.2, 0.8, 0.9], [False, False, True, True])
    assert perfect is not None
    assert (perfect["value"], perfect["low"], perfect["high"]) == (1.0, None, None)  # no resample differs
    constant = auroc([1.0] * 6, [True, False] * 3)
    assert constant is not None
    assert (constant["value"], constant["low"]) == (0.5, None)
    one_patient = auroc([0.1, 0.9], [False, True], ["p", "p"])
    assert one_patient is not None
    assert one_patient["low"] is None
    with pytest.raises(ValueError, match="not finite"):
        auroc([float("nan"), 1.0], [True, False])


FIGURES = {"score": 0.6, "reward": 0.5, "possible": 2.0, "earned": 1.0, "invented": 0.25, "is_wrong": 1.0}


def test_figures_of_findings_are_ratios_of_weights() -> None:
    silent = FIGURES | {"reward": 0.0, "possible": 1.0, "earned": 0.0, "invented": 0.0, "is_wrong": 0.0}
    first, second, unscorable = predictions(3)
    rows = [
        dataclasses.replace(first, clinical=FIGURES, consistency="entails", is_correct=True),
        dataclasses.replace(second, clinical=silent, consistency="silent", is_correct=True),
        dataclasses.replace(unscorable, clinical=None, consistency=None, is_correct=True),
    ]
    found = {name: estimate and estimate["value"] for name, estimate in values_of(rows).items()}
    assert found["clinical"] == 0.25
    assert found["omission"] == pytest.approx(2 / 3)
    assert found["hallucination"] == pytest.approx(0.25 / 1.25)
    assert (found["wrong_findings"], found["inconsistent"]) == (0.5, 0.0)


@pytest.mark.parametrize(
    ("is_wrong", "consistency", "is_correct", "share"),
    [
        (0.0, "entails", True, 0.0),
        (0.0, "silent", True, 0.0),
        (0.0, "contradicts", True, 1.0),
        (1.0, "entails", True, 1.0),
        (1.0, "entails", False, None),
    ],
)
def test_a_right_answer_has_a_wrong_reason_by_what_its_reasoning_says(
    is_wrong: float, consistency: str, is_correct: bool, share: float | None
) -> None:
    row = dataclasses.replace(
        predictions(1)[0],
        clinical=FIGURES | {"is_wrong": is_wrong},
        consistency=consistency,
        is_correct=is_correct,
    )
    estimate = values_of([row])["wrong_findings"]
    assert (estimate and estimate["value"]) == share


def values_of(rows: list[Prediction]) -> dict[str, Any]:
    """The figures of a summary by name."""
    summary = summarize(rows, resamples=5)
    return {metric.name: summary[metric.name] for metric in metrics.METRICS}
