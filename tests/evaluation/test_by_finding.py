"""Findings that are present: counted by hand, by finding, and beside the commonest answer."""

from __future__ import annotations

import dataclasses
import random
from io import StringIO

import pytest
from rich.console import Console
from synthetic_predictions import FINDINGS, predictions

from chexphi.evaluation.by_finding import MOST_ROWS, by_finding, finding_table
from chexphi.evaluation.summary import summarize
from chexphi.schema import Prediction


def rows(*pairs: tuple[str, str], **fields: object) -> list[Prediction]:
    """A prediction for each pair of what the reference and the reasoning have, names with spaces between."""
    samples = predictions(len(pairs))
    return [
        dataclasses.replace(
            sample,
            subject_id=str(number),
            present_findings={"reference": reference.split(), "predicted": predicted.split()},
            **fields,
        )
        for number, (sample, (reference, predicted)) in enumerate(zip(samples, pairs, strict=True))
    ]


def test_counts_are_those_by_hand() -> None:
    given = rows(("opacity nodule", "opacity"), ("opacity", "effusion"), ("", ""), ("", "opacity"))
    found = summarize(given, resamples=5)
    assert found["present_precision"]["value"] == pytest.approx(1 / 3)
    assert found["present_recall"]["value"] == pytest.approx(1 / 3)
    assert found["present_f1"]["value"] == pytest.approx(1 / 3)
    table = by_finding(given)
    assert list(table) == ["opacity", "nodule", "effusion"]
    assert (table["opacity"]["in_references"], table["opacity"]["claimed"]) == (2, 2)
    assert table["opacity"]["recall"]["value"] == table["opacity"]["precision"]["value"] == 0.5
    assert table["nodule"]["recall"]["value"] == 0
    assert table["nodule"]["precision"] is None
    assert table["effusion"]["recall"] is None
    assert table["effusion"]["precision"]["value"] == 0


def test_a_table_by_finding_adds_up_to_the_figures() -> None:
    given = predictions(300, skill=0.7)
    found, table = summarize(given, resamples=5), by_finding(given)
    assert set(table) <= set(FINDINGS)
    hits = sum(row["in_references"] * row["recall"]["value"] for row in table.values())
    assert hits / sum(row["in_references"] for row in table.values()) == pytest.approx(
        found["present_recall"]["value"]
    )
    assert hits / sum(row["claimed"] for row in table.values()) == pytest.approx(
        found["present_precision"]["value"]
    )


def test_older_predictions_have_no_findings() -> None:
    older = [dataclasses.replace(row, present_findings=None) for row in predictions(5)]
    assert by_finding(older) == {}
    assert summarize(older, resamples=5)["present_f1"] is None


@pytest.mark.parametrize("number", [3, MOST_ROWS + 4])
def test_the_terminal_shows_the_commonest(number: int) -> None:
    names = [f"name_{letter}" for letter in range(number)]
    given = rows(*((" ".join(names[: k + 1]), names[0]) for k in range(number)))
    out = StringIO()
    Console(file=out, width=80).print(finding_table(by_finding(given)))
    text = out.getvalue()
    assert text.count("name ") == min(number, MOST_ROWS)
    assert ("4 more findings are in summary.json" in text) is (number > MOST_ROWS)


def test_the_commonest_answer_is_that_of_the_type_of_question() -> None:
    answers = ["yes", "yes", "no", "left", "Left.", "right", "right", "left"]
    types = ["presence"] * 3 + ["location"] * 5
    given = [
        dataclasses.replace(row, answer=(answer,), question_type=question_type, kind="")
        for row, answer, question_type in zip(predictions(8), answers, types, strict=True)
    ]
    for _ in range(3):
        random.shuffle(given)
        found = summarize(given, resamples=5)
        assert found["accuracy_majority"]["value"] == 5 / 8
        assert found["by_question_type"]["presence"]["accuracy_majority"]["value"] == pytest.approx(2 / 3)
