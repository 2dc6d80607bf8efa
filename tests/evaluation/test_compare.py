"""Reading predictions, and comparing two sets of them pair by pair."""

from __future__ import annotations

import dataclasses
import io
import json
import random
import re
from fractions import Fraction
from math import comb
from pathlib import Path

import pytest
from fuzz.predictions import mutated_predictions
from rich.console import Console
from synthetic_predictions import predictions, write

from chexphi.evaluation import tables
from chexphi.evaluation.compare import compare, compare_predictions, mcnemar, ontology_of
from chexphi.evaluation.predictions import read_predictions
from chexphi.evaluation.summary import summarize
from chexphi.schema import InputError
from chexphi.statistics.shares import wilson


def test_predictions_survive_the_disk(tmp_path: Path) -> None:
    rows = predictions(5)
    assert read_predictions(write(tmp_path / "p.jsonl", rows)) == rows


def test_a_line_has_its_keys_in_the_order_of_all_versions() -> None:
    row = predictions(1)[0].to_dict()
    assert list(row)[-3:] == ["graph_reference", "graph_predicted", "extra"]
    always = ["kind", "question_type", "semantic_type", "subject_id", "predicted_answer", "reasoning_words"]
    assert list(row["extra"]) == [*always, "consistency", "scene_counts", "clinical", "present_findings"]
    photo = dataclasses.replace(
        predictions(1)[0],
        scene_counts=None,
        clinical=None,
        present_findings=None,
        answer_probabilities={"no": 0.25, "yes": 0.75},
    )
    assert list(photo.to_dict()["extra"]) == [*always, "consistency", "answer_probabilities"]


def test_what_the_figures_use_is_read_from_extra_or_beside_it_and_null_is_nothing(tmp_path: Path) -> None:
    row = predictions(1)[0].to_dict()
    row["extra"] = {"kind": "region", "subject_id": 7, "scene_counts": None, "own": [1]}
    (tmp_path / "p.jsonl").write_text(json.dumps(row | {"question_type": "view"}) + "\n")
    (prediction,) = read_predictions(tmp_path / "p.jsonl")
    assert (prediction.kind, prediction.question_type, prediction.subject_id) == ("region", "view", 7)
    assert (prediction.scene_counts, prediction.extra) == (None, {"own": [1]})


def test_unknown_fields_go_into_extra(tmp_path: Path) -> None:
    row = predictions(1)[0].to_dict() | {"radgraph_f1": 0.4}
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(row) + "\n\n")
    assert read_predictions(path)[0].extra["radgraph_f1"] == 0.4


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{broken", "line 2 is not JSON"),
        ("[1, 2]", "line 2 is not a JSON object"),
        ("{}", "line 2 has no id, image_ids"),
        ({"is_correct": "yes"}, "line 2: is_correct is not true or false"),
        ({"answer": "yes"}, "line 2: answer is not a list of texts"),
        ({"id": 7}, "line 2: id is not a text"),
        ({"id": "q0"}, "1 line with an id that is there already"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str | dict[str, object], message: str) -> None:
    rows = predictions(2)
    bad = line if isinstance(line, str) else json.dumps(rows[1].to_dict() | line)
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(rows[0].to_dict()) + "\n" + bad + "\n")
    with pytest.raises(InputError, match=message):
        read_predictions(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl does not exist"):
        read_predictions(tmp_path / "nowhere.jsonl")


def test_a_torn_tail_is_left_out_only_when_allowed(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", predictions(3))
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.raises(InputError, match="line 3"):
        read_predictions(path)
    assert [p.id for p in read_predictions(path, allow_torn_tail=True)] == ["q0", "q1"]
    path.write_bytes(whole[:-1])  # only the end of the line is missing: nothing is lost
    assert len(read_predictions(path, allow_torn_tail=True)) == 3
    path.write_bytes(whole[:-40] + b"\n")  # a broken line that is not the tail
    with pytest.raises(InputError, match="line 3"):
        read_predictions(path, allow_torn_tail=True)


def test_differences_are_b_minus_a_whatever_the_order_of_the_lines(tmp_path: Path) -> None:
    a, b = predictions(200, skill=0.5), predictions(200, skill=0.85)
    shuffled = random.Random(0).sample(b, len(b))
    found = compare(write(tmp_path / "a.jsonl", a), write(tmp_path / "b.jsonl", shuffled), resamples=300)
    left, right = summarize(a, resamples=5), summarize(b, resamples=5)
    for name in (metric.name for metric in tables.ROWS):
        assert found[name]["a"] == pytest.approx(left[name]["value"])
        assert found[name]["b"] == pytest.approx(right[name]["value"])
        assert found[name]["difference"] == pytest.approx(found[name]["b"] - found[name]["a"])
    assert found["accuracy"]["low"] > 0
    assert found["graph_f1"]["low"] > 0
    wins = sum(q.is_correct and not p.is_correct for p, q in zip(a, b, strict=True))
    assert found["wins"] == wins
    assert found["wins"] + found["losses"] + found["both_right"] + found["both_wrong"] == 200
    assert (found["wins"] - found["losses"]) / 200 == pytest.approx(found["accuracy"]["difference"])
    assert set(found["by_kind"]) == {"basic", "region", "compare"}
    json.dumps(found, allow_nan=False)


def test_a_set_against_itself_does_not_differ() -> None:
    rows = predictions(40)
    found = compare_predictions(rows, rows, resamples=50)
    assert (found["wins"], found["losses"], found["mcnemar_p"]) == (0, 0, 1.0)
    graph, patients = found["graph_f1"], found["patients"]
    assert graph["difference"] == 0
    assert -graph["low"] == graph["high"] == pytest.approx(wilson(0.0, patients)[1])  # of so few patients
    assert found["reasoning_words"]["low"] is None


def test_swapping_the_sides_turns_the_sign() -> None:
    a, b = predictions(60, skill=0.5), predictions(60, skill=0.8)
    forth, back = compare_predictions(a, b, resamples=100), compare_predictions(b, a, resamples=100)
    assert forth["accuracy"]["difference"] == pytest.approx(-back["accuracy"]["difference"])
    assert forth["accuracy"]["low"] == pytest.approx(-back["accuracy"]["high"])
    assert forth["mcnemar_p"] == back["mcnemar_p"]


def test_other_examples_are_refused_with_counts() -> None:
    rows = predictions(10)
    with pytest.raises(InputError, match="8 in both, 1 only in the first, 1 only in the second"):
        compare_predictions(rows[:9], rows[:8] + rows[9:])
    with pytest.raises(InputError, match="0 in both"):
        compare_predictions([], [])
    with pytest.raises(InputError, match="an id occurs twice"):
        compare_predictions(rows, [*rows, rows[0]])


def test_an_evaluation_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for folder, rows in ((whole, predictions(20)), (stopped, predictions(7))):
        folder.mkdir()
        write(folder / "predictions.jsonl", rows)
        command = ["chexphi", "evaluate", "--out", str(folder)]
        manifest = {"stage": "evaluate", "examples": 20, "command": command}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    write(stopped / "predictions.part1.jsonl", predictions(3))  # of another process
    (whole / "summary.json").write_text("{}")
    sentence = re.escape(
        f"the evaluation in {stopped} is not finished, 10 of 20 questions are answered: let it end, or go on "
        f"with `chexphi evaluate --out {stopped} --resume auto`"
    )
    for pair in ((whole, stopped), (stopped / "predictions.jsonl", whole)):
        with pytest.raises(InputError, match=sentence):
            compare(*pair)
    (stopped / "predictions.jsonl").unlink()  # just begun
    with pytest.raises(InputError, match="is not finished, 3 of 20"):
        compare(whole, stopped)
    (stopped / "manifest.json").write_text(json.dumps({"stage": "evaluate", "examples": 20}))
    with pytest.raises(
        InputError, match="3 of 20 questions are answered: let it end, or go on with --resume"
    ):
        compare(whole, stopped)
    compare(whole, whole)


def test_a_table_counts_one_patient(tmp_path: Path) -> None:
    rows = [dataclasses.replace(row, subject_id="1") for row in predictions(3)]
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(tables.table(compare_predictions(rows, rows)))
    console.print(tables.table(summarize(rows)))
    assert console.export_text().count("3 examples, 1 patient;") == 2


def test_another_reference_under_the_same_id_is_refused() -> None:
    rows = predictions(4)
    other = [dataclasses.replace(rows[0], answer=("maybe",)), *rows[1:]]
    with pytest.raises(InputError, match="1 of 4 examples"):
        compare_predictions(rows, other)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (5, 5), (10, 3), (3, 10), (40, 80), (700, 650)])
def test_mcnemar_equals_exact_fractions(wins: int, losses: int) -> None:
    total = wins + losses
    tail = sum(comb(total, k) for k in range(min(wins, losses) + 1))
    assert mcnemar(wins, losses) == pytest.approx(float(min(Fraction(1), Fraction(2 * tail, 2**total))))


def test_table_of_a_comparison_names_gains_and_losses() -> None:
    found = compare_predictions(predictions(40, skill=0.5), predictions(40, skill=0.9), resamples=50)
    console = Console(width=140)
    with console.capture() as shown:
        console.print(tables.table(found))
    assert tables.number(found["graph_f1"]["difference"], "graph_f1", sign=True) in shown.get()
    assert f"gained {found['wins']}, lost {found['losses']}" in " ".join(shown.get().split())


def test_a_comparison_is_told_by_the_names_of_its_runs(tmp_path: Path) -> None:
    skills = {"test_sft": 0.2, "test_grpo": 0.95}
    paths = [
        write(tmp_path / name / "predictions.jsonl", predictions(200, skill=skill))
        for name, skill in skills.items()
    ]
    console = Console(width=160, record=True, file=io.StringIO())
    found = compare(*paths, resamples=50)
    console.print(tables.table(found))
    shown = " ".join(console.export_text().split())
    assert "figure test_sft test_grpo difference [95 %] verdict" in shown
    assert re.search(r"graph F1 [\d.]+ [\d.]+ \+[\d.]+ \[\+[\d.]+, \+[\d.]+\] better", shown)
    assert "The difference is test_grpo minus test_sft: above 0, test_grpo has more." in shown
    narrow = Console(width=80, record=True, file=io.StringIO())
    narrow.print(tables.table(found))
    shown = narrow.export_text()
    assert "…" not in shown
    assert re.search(r"graph F1 +[\d.]+ +[\d.]+ +\+[\d.]+ \[\+[\d.]+, \+[\d.]+\] +better", shown)


@pytest.mark.parametrize(("other", "is_same"), [("ab", True), ("cd", False), (None, None)])
def test_a_model_compared_with_itself_is_said(
    tmp_path: Path, other: str | None, is_same: bool | None
) -> None:
    for name, sha256 in (("first", "ab"), ("second", other)):
        write(tmp_path / name / "predictions.jsonl", predictions(30))
        policy = {"policy": {"weights_sha256": {"model.safetensors": sha256}}} if sha256 else {}
        (tmp_path / name / "manifest.json").write_text(json.dumps(policy))
    found = compare(tmp_path / "first", tmp_path / "second" / "predictions.jsonl", resamples=50)
    assert found["same_weights"] is is_same
    table = tables.table(found)
    assert (tables.SAME_WEIGHTS in str(table.caption)) == bool(is_same)
    assert tables.NO_DIFFERENCE in str(table.caption)
    assert table.columns[-1].header == "difference [95 %]"


@pytest.mark.parametrize(("other", "is_same"), [("own.toml", True), ("", False), (None, None)])
def test_different_files_of_concepts_are_said(
    tmp_path: Path, other: str | None, is_same: bool | None
) -> None:
    for name, ontology in (("first", "own.toml"), ("second", other)):
        write(tmp_path / name / "predictions.jsonl", predictions(30))
        if ontology is not None:
            (tmp_path / name / "config.yaml").write_text(f"ontology: '{ontology}'\n")
    found = compare(tmp_path / "first", tmp_path / "second" / "predictions.jsonl", resamples=50)
    assert found["same_ontology"] is is_same
    sentence = tables.OTHER_ONTOLOGY.format("first", "second")
    assert (sentence in str(tables.table(found).caption)) == (is_same is False)


def test_settings_that_cannot_be_read_say_nothing_of_concepts(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("[")
    assert ontology_of(tmp_path) is None


GRAPH_OF_TEXTS = {"entities": [["effusion", "nonsense"]], "relations": []}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answer": [1]}, "answer is not a list of texts"),
        ({"answer": []}, "has an empty id or answer"),
        ({"image_paths": [None]}, "image_paths is not a list of texts"),
        ({"token_ids": [1, True]}, "token_ids is not a list of whole numbers"),
        ({"token_logprobs": ["-0.1"]}, "token_logprobs is not a list of numbers"),
        ({"token_logprobs": [1000.0]}, "token_logprobs is not a list of numbers"),
        ({"graph_reference": 3}, "graph_reference is not a graph or null"),
        ({"graph_predicted": GRAPH_OF_TEXTS}, "graph_predicted is not a graph or null"),
        ({"extra": []}, "extra is not an object"),
        ({"extra": {"kind": ["basic"]}}, "kind is not a text"),
        ({"extra": {"question_type": True}}, "question_type is not a text"),
        ({"extra": {"subject_id": [1]}}, "subject_id is not a text or a number"),
        (
            {"extra": {"present_findings": {"reference": []}}},
            "present_findings is not an object with the lists of texts reference, predicted",
        ),
        ({"extra": {"scene_counts": [1, 2]}}, "scene_counts is not a list of three whole numbers"),
        ({"extra": {"scene_counts": ["1", 2, 3]}}, "scene_counts is not a list of three whole numbers"),
        ({"extra": {"reasoning_words": "many"}}, "reasoning_words is not a whole number"),
        ({"extra": {"answer_probabilities": {"yes": 7}}}, "answer_probabilities is not an object"),
        ({"question": "\ud800"}, "question is not a text"),
        ({"parse_status": 1}, "parse_status is not a text"),
    ],
)
def test_what_the_figures_use_is_checked_when_it_is_read(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    rows = predictions(2)
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(rows[0].to_dict()) + "\n" + json.dumps(rows[1].to_dict() | changes) + "\n")
    with pytest.raises(InputError, match=f"line 2.*{message}") as caught:
        read_predictions(path)
    assert "effusion" not in str(caught.value)


def test_a_key_twice_in_a_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(predictions(1)[0].to_dict())[:-1] + ', "is_correct": true}\n')
    with pytest.raises(InputError, match="the key 'is_correct' is there twice"):
        read_predictions(path)


def test_the_probabilities_of_a_policy_that_diverged_are_read(tmp_path: Path) -> None:
    row = dataclasses.replace(predictions(1)[0], token_logprobs=(float("nan"), -1.0))
    assert str(read_predictions(write(tmp_path / "p.jsonl", [row]))[0].token_logprobs) == "(nan, -1.0)"


def test_groups_that_differ_are_left_out_and_named() -> None:
    """Another kind of one example: its two groups cannot be paired, all other figures can."""
    a, b = predictions(40, skill=0.5), predictions(40, skill=0.8)
    moved = next(row for row in b if row.kind == "region")
    other = [dataclasses.replace(row, kind="compare") if row is moved else row for row in b]
    whole, found = compare_predictions(a, b, resamples=20), compare_predictions(a, other, resamples=20)
    assert whole["groups_left_out"] == []
    assert found["groups_left_out"] == ["kind compare", "kind region"]
    assert set(found["by_kind"]) == {"basic"}
    assert found["by_kind"]["basic"] == whole["by_kind"]["basic"]
    assert found["by_question_type"] == whole["by_question_type"]
    assert found["accuracy"] == whole["accuracy"]
    assert "left out: kind compare, kind region." in tables.left_out_text(found)
    assert tables.left_out_text(whole) == ""
    assert tables.table(found).caption


def test_damaged_predictions_end_in_figures_or_a_sentence(tmp_path: Path) -> None:
    good = {row.id: row for row in predictions(12)}
    outcomes, sentences = [0, 0], []
    for content in mutated_predictions(random.Random(1), 120):
        (tmp_path / "p.jsonl").write_bytes(content)
        try:
            found = read_predictions(tmp_path / "p.jsonl")
            assert summarize(found, resamples=5)["n"] == len(found)
            pairs = [row for row in found if row.id in good]
            compare_predictions([good[row.id] for row in pairs], pairs, resamples=5)
            outcomes[0] += 1
        except InputError as error:
            outcomes[1] += 1
            sentences.append(str(error))
    assert max(map(len, sentences)) <= 1000
    assert min(outcomes) > 10
