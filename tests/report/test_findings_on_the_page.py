"""The findings under a film are those that the run's own ontology weighs."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_predictions import predictions

from chexphi.evaluation.tables import OTHER_ONTOLOGY
from chexphi.report.collect import Run, read_arms
from chexphi.report.films import card
from chexphi.report.parts import choose_films
from chexphi.runs import jsonl

URGENT = """[pleural_effusion]
terms = ["effusion", "pleura effusion"]
significance = "urgent"
"""


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """An evaluation of one film, whose reference has an effusion that the policy missed."""
    (one,) = predictions(1)
    reference = "<think>There is a left pleural effusion.</think><answer>yes</answer>"
    row = one.to_dict() | {"explanation": reference, "generated_text": "<think>-</think><answer>yes</answer>"}
    lines = jsonl.JsonLines(tmp_path / "predictions.jsonl")
    lines.write(row)
    lines.close()
    return tmp_path


def findings_of(folder: Path, ontology: str | None) -> tuple[list[dict[str, str]], list[str]]:
    """The list under the film, and the notes of the report."""
    config = {} if ontology is None else {"ontology": ontology}
    arms, notes = read_arms([Run("own", folder, {}, config)])
    (film,) = choose_films(arms)
    (reading,) = card(film, 1)["readings"]
    return reading["findings"], notes


def test_weights_are_those_of_the_run(run_folder: Path) -> None:
    file = run_folder / "urgent.toml"
    file.write_text(URGENT)
    (shipped,), no_notes = findings_of(run_folder, None)
    (own,), notes = findings_of(run_folder, str(file))
    assert (shipped["kind"], shipped["weight"], own["kind"], own["weight"]) == (
        "missed",
        "0.6",
        "missed",
        "1",
    )
    assert no_notes == notes == []


def test_an_ontology_that_is_gone_is_a_note(run_folder: Path) -> None:
    (finding,), (note,) = findings_of(run_folder, str(run_folder / "gone.toml"))
    assert finding["weight"] == "0.6"
    assert note.startswith("own: findings of films are compared without its ontology. ")
    assert "gone.toml" in note


def test_runs_with_different_ontologies_are_a_note(run_folder: Path, tmp_path: Path) -> None:
    file = run_folder / "urgent.toml"
    file.write_text(URGENT)
    runs = [
        Run(name, run_folder, {}, {"ontology": own}) for name, own in (("a", ""), ("b", str(file)), ("c", ""))
    ]
    _, notes = read_arms(runs)
    assert [note for note in notes if "on one scale" in note] == [OTHER_ONTOLOGY.format("a", "b")]
