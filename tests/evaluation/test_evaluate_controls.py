"""`evaluate --controls` with a small model: files, going on after a kill, and what `compare` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chexphi.data.phantom import build as phantom
from chexphi.data.read import read_examples
from chexphi.evaluation import evaluate
from chexphi.evaluation.compare import compare
from chexphi.evaluation.film_controls.names import CONTROLS
from chexphi.evaluation.predictions import read_predictions
from chexphi.evaluation.tables import table
from chexphi.schema import InputError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("controls") / "data"
    phantom.build(folder, counts=phantom.Sizes(sight=4, sft=4, pool=4, valid=4, test=20), seed=2)
    return folder


def run(model: Path, data: Path, out: Path, *flags: object) -> dict[str, Any]:
    argv = ["--model", model, "--data", data / "annotations" / "eval", "--out", out, "--max_new_tokens", 8]
    return evaluate.main(evaluate.parse([str(word) for word in (*argv, "--batch_size", 6, *flags)]))


@pytest.fixture(scope="module")
def controlled(tiny_model_dir: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("controlled") / "run"
    run(tiny_model_dir, data, out, "--controls", "all")
    return out


def test_each_control_has_its_predictions(
    controlled: Path, data: Path, tiny_model_dir: Path, tmp_path: Path
) -> None:
    plain = read_predictions(controlled)
    run(tiny_model_dir, data, tmp_path / "plain")
    assert (tmp_path / "plain/predictions.jsonl").read_bytes() == (
        controlled / "predictions.jsonl"
    ).read_bytes()
    summary = json.loads((controlled / "summary.json").read_text())
    assert list(summary["controls"]) == [
        "n", "as_shown", *CONTROLS, "image_sensitivity", "hallucinated_reasoning"
    ]  # fmt: skip
    assert summary["controls"]["as_shown"]["accuracy"]["value"] == summary["accuracy"]["value"]
    for control in CONTROLS:
        rows = read_predictions(controlled / "controls" / control)
        assert [row.id for row in rows] == [row.id for row in plain]
        assert [row.question for row in rows] == [row.question for row in plain]
        assert {row.film_control for row in rows} == {control}
        exchanged = sum(row.image_ids != own.image_ids for row, own in zip(rows, plain, strict=True))
        assert exchanged == (len(plain) if control == "shuffle" else 0)


def test_other_films_are_of_other_patients(controlled: Path, data: Path) -> None:
    files = (data / "annotations" / "eval").glob("*.json")
    patients = {
        Path(image).stem: example.subject_id
        for file in files
        for example in read_examples(file)
        for image in example.images
    }
    for row in read_predictions(controlled / "controls/shuffle"):
        assert str(row.subject_id) not in {patients[name] for name in row.image_ids}


def test_a_control_that_was_killed_goes_on(
    tiny_model_dir: Path, data: Path, controlled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run(tiny_model_dir, data, out, "--controls", "blank,flip")
    whole = {name: (out / name).read_bytes() for name in ("summary.json", "controls/flip/predictions.jsonl")}
    lines = whole["controls/flip/predictions.jsonl"].splitlines(keepends=True)
    (out / "controls/flip/predictions.jsonl").write_bytes(b"".join(lines[:7]) + lines[7][:30])
    (out / "summary.json").unlink()
    run(tiny_model_dir, data, out, "--controls", "blank,flip", "--resume", "true")
    assert {name: (out / name).read_bytes() for name in whole} == whole
    expected = (controlled / "controls/flip/predictions.jsonl").read_bytes()
    assert whole["controls/flip/predictions.jsonl"] == expected


def test_compare_says_what_became_of_the_sensitivity(controlled: Path, tmp_path: Path) -> None:
    found = compare(controlled, controlled)
    assert found["image_sensitivity"]["difference"] == 0
    summary = json.loads((controlled / "summary.json").read_text())
    assert found["image_sensitivity"]["a"] == summary["controls"]["image_sensitivity"]["value"]
    assert "no difference is shown" in str(table(found).caption)
    against_blank = compare(controlled, controlled / "controls/blank")
    assert against_blank["image_sensitivity"] is None
    assert against_blank["n"] == summary["n"]


def test_a_control_is_compared_without_the_questions_that_have_no_film(
    tiny_model_dir: Path, data: Path, tmp_path: Path
) -> None:
    rows = json.loads((data / "annotations/eval/test_basic_vqa.json").read_text())[:6]
    rows[2] |= {"images": [], "image_ids": [], "scene": []}
    file, out = tmp_path / "rows.json", tmp_path / "run"
    file.write_text(json.dumps(rows))
    flags = ("--data", file, "--image_root", data / "images", "--controls", "blank,noise")
    run(tiny_model_dir, data, out, *flags)
    blank, noise = out / "controls/blank", out / "controls/noise/predictions.jsonl"
    for pair in ((out, blank), (noise, out), (blank, noise)):
        found = compare(*pair)
        assert (found["n"], found["same_weights"], found["same_ontology"]) == (5, True, True)
    assert compare(out, out)["n"] == 6
    noise.write_text("".join(noise.read_text().splitlines(keepends=True)[:2]))
    (out / "summary.json").unlink()
    for pair in ((out, out), (blank, out), (blank, noise)):
        with pytest.raises(InputError, match="is not finished, 13 of 16 questions are answered: let it end"):
            compare(*pair)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--controls", "grey"), "controls names 'grey', which is no control: use all"),
        (("--controls", "shuffle", "--limit", 1), "the basic questions with 1 film are all of one patient"),
    ],
)
def test_bad_controls_are_refused_before_the_model_is_loaded(
    data: Path, tmp_path: Path, tiny_model_dir: Path, flags: tuple[object, ...], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        run(tiny_model_dir, data, tmp_path / "run", *flags)
    assert not (tmp_path / "run").exists()


def test_controls_need_films(tmp_path: Path, tiny_model_dir: Path) -> None:
    rows = [{"id": "1", "images": [], "question": "Is there an opacity?", "answer": ["yes"]}]
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(rows))
    argv = ["--model", str(tiny_model_dir), "--data", str(file), "--out", str(tmp_path / "run")]
    with pytest.raises(InputError, match="controls is blank, and no example has a film: leave it out"):
        evaluate.main(evaluate.parse([*argv, "--controls", "blank"]))
