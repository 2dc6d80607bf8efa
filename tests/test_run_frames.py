"""`chexphi.load` on small folders: runs that go on, folders that are none, damaged files, missing pandas."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pandas
import pytest
import synthetic_predictions

import chexphi
from chexphi import InputError
from chexphi.installation import install_line
from chexphi.run_frames import NAMES, TYPE_OF_COLUMN
from chexphi.schema import Completion, Prediction

METRICS = [{"step": 1, "loss": 2.5, "rewards/a/mean": 0.25}, {"step": 2, "loss": float("nan"), "kl": 0.5}]
COMPLETION = Completion(
    step=1, id="q1", prompt="Is there a nodule?", completion="<think>A nodule.", token_ids=(5, 6),
    raw_completion_tokens=("A", " nodule"), per_token_logps=(-0.5, -0.25),
    rewards={"external_r1v_acc": 0.0, "external_kg_jac": None}, total=0.0, advantage=-1.0, truncated=True,
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run that has written two steps."""
    folder = tmp_path / "grpo"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"stage": "grpo", "seed": 3}))
    (folder / "config.yaml").write_text("model: runs/sft/model\nbeta: 0.1\n")
    write(folder, "metrics", METRICS)
    write(folder, "completions", [COMPLETION.to_dict()])
    return folder


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_run_says_what_is_in_it(run: Path) -> None:
    loaded = chexphi.load(str(run))
    assert (loaded.kind, loaded.config["beta"], loaded.manifest["seed"]) == ("grpo", 0.1, 3)
    assert loaded.summary is None
    assert repr(loaded) == f"Run({str(run)!r}, grpo: completions (1 row), metrics (2 rows))"
    (run / "summary.json").write_text('{"n": 4}')
    assert loaded.summary == {"n": 4}


def test_repr_and_messages_never_show_a_text(run: Path) -> None:
    loaded = chexphi.load(run)
    assert len(loaded.completions) == 1
    assert "nodule" not in repr(loaded)
    write(run, "completions", [{**COMPLETION.to_dict(), "total": "a nodule"}])
    with pytest.raises(InputError, match=r"completions.jsonl has a total that is no float64") as error:
        _ = chexphi.load(run).completions
    assert "nodule" not in str(error.value)


def test_columns_have_types(run: Path) -> None:
    loaded = chexphi.load(run)
    assert loaded.metrics.dtypes.astype(str).to_dict() == {
        "step": "int64", "loss": "float64", "rewards/a/mean": "float64", "kl": "float64",
    }  # fmt: skip
    assert pandas.isna(loaded.metrics.loc[0, "kl"])
    frame = loaded.completions
    assert frame["truncated"].dtype == "boolean"
    assert frame["rewards/external_r1v_acc"].tolist() == [0.0]
    assert frame["rewards/external_kg_jac"].isna().all()
    assert frame.loc[0, "token_ids"] == (5, 6)


def test_every_field_of_a_record_has_a_type_that_was_chosen() -> None:
    """A new field that is no number has to be named in `TYPES`."""
    for record in (Prediction, Completion):
        for field in dataclasses.fields(record):
            number = str(field.type) in ("float", "int", "float | None")
            assert number or field.name in TYPE_OF_COLUMN or field.name == "rewards", field.name


@pytest.mark.parametrize("end", ["", '{"step": 3, "lo', '{"step": 3, "loss": 1.0}'])
def test_a_run_that_goes_on_is_read_up_to_its_last_whole_line(run: Path, end: str) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write(end)
    whole_lines = 3 if end.endswith("}") else 2
    assert chexphi.load(run).metrics["step"].tolist() == [1, 2, 3][:whole_lines]


def test_a_run_that_has_just_begun_has_empty_frames_with_their_columns(run: Path) -> None:
    for name in NAMES:
        write(run, name, [])
    loaded = chexphi.load(run)
    assert "rewards" not in loaded.completions.columns
    assert {"id", "graph_f1", "subject_id"} <= set(loaded.predictions.columns)
    assert [len(getattr(loaded, name)) for name in NAMES] == [0] * 4
    assert loaded.scored["accuracy"].dtype == "float64"


def test_predictions_can_be_loaded_without_their_run(tmp_path: Path) -> None:
    predictions = synthetic_predictions.predictions(6)
    for name in ("arm.jsonl", "predictions.jsonl"):
        (tmp_path / name).write_text("".join(json.dumps(p.to_dict()) + "\n" for p in predictions))
    for path in (tmp_path / "arm.jsonl", tmp_path):
        loaded = chexphi.load(path)
        assert loaded.kind == "predictions"
        assert loaded.predictions["is_correct"].tolist() == [p.is_correct for p in predictions]
        assert loaded.predictions["subject_id"].tolist() == [str(p.subject_id) for p in predictions]


def test_what_is_no_run_is_refused_in_a_sentence(tmp_path: Path, run: Path) -> None:
    for path, words in (
        (tmp_path / "away", "does not exist: give the folder of a run"),
        (tmp_path, f"is no run itself and holds several: load one of them, such as {run}"),
        (run / "nothing", "is not a run: it has no manifest.json"),
    ):
        (run / "nothing").mkdir(exist_ok=True)
        with pytest.raises(InputError, match=words):
            chexphi.load(path)


def test_a_file_that_holds_no_predictions_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# A page\n\nof text\n")
    (tmp_path / "other.jsonl").write_text('{"step": 1}\n')
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(InputError, match=r"README.md, line 1 is not JSON"):
        chexphi.load(tmp_path / "README.md")
    with pytest.raises(InputError, match=r"other.jsonl, line 1 has no id"):
        chexphi.load(tmp_path / "other.jsonl")
    assert len(chexphi.load(tmp_path / "empty.jsonl").predictions) == 0


def test_a_frame_that_a_stage_does_not_write_is_refused_with_those_it_wrote(run: Path) -> None:
    for there in ("completions, metrics", "no rows yet"):
        with pytest.raises(InputError) as refused:
            _ = chexphi.load(run).predictions
        assert str(refused.value) == (
            f"run {run} (grpo) has no predictions.jsonl: load a run that wrote it; this one has {there}"
        )
        for file in run.glob("*.jsonl"):
            file.unlink()


@pytest.mark.parametrize("text", ["", "[]", '{"n": 3'])
def test_a_damaged_summary_is_one_sentence(run: Path, text: str) -> None:
    (run / "summary.json").write_text(text)
    with pytest.raises(InputError, match=r"summary\.json is not (a )?JSON .*: copy it again"):
        _ = chexphi.load(run).summary


@pytest.mark.parametrize(("name", "text"), [("manifest.json", "[]"), ("config.yaml", "- beta")])
def test_a_manifest_or_settings_of_another_form_are_refused(run: Path, name: str, text: str) -> None:
    (run / name).write_text(text)
    with pytest.raises(InputError) as refused:
        chexphi.load(run)
    assert str(refused.value) == f"run {run} has a manifest or settings of another form: copy the run again"


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("metrics", '{"step": 1, "loss": 2}\n{"step"\n{}\n', "metrics.jsonl, line 2"),
        ("metrics", '{"loss": 2}\n', "metrics.jsonl has a step that is no int64"),
        ("completions", '{"schema": 1, "id": "q"}\n', "completions.jsonl, line 1 lacks a field"),
        ("completions", '{"schema": 9}\n', "line 1 has schema 9"),
        ("predictions", '{"id": "q"}\n', "line 1 has no image_ids"),
        ("scored", '{"id": "q"}\n', "has no `id`, or no `correct`"),
    ],
)
def test_a_damaged_file_is_one_sentence(run: Path, name: str, line: str, words: str) -> None:
    (run / f"{name}.jsonl").write_text(line)
    with pytest.raises(InputError, match=words):
        getattr(chexphi.load(run), name)


def test_without_pandas_the_line_that_installs_it_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)  # as where it is not installed
    loaded = chexphi.load(run)
    assert repr(loaded).startswith("Run(")
    with pytest.raises(InputError) as refused:
        _ = loaded.metrics
    assert str(refused.value) == f"data frames need pandas: {install_line('train')}"
