"""Empty cells and whole numbers with a decimal point, as pandas writes them, through every reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chexphi.data import cells
from chexphi.data.check import check
from chexphi.data.importers.mimic_vqa_cot import convert
from chexphi.data.read import read_examples
from chexphi.schema import Example, InputError

ROW: dict[str, Any] = {"image": "1.png", "question": "Is a tube seen?", "answer": "no"}
NAN = float("nan")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("1.png", "2.png", "40.png"):
        Image.linear_gradient("L").save(tmp_path / "images" / name)
    return tmp_path


def written(folder: Path, rows: list[dict[str, Any]], form: str = "json") -> Path:
    path = folder / f"data.{form}"
    if form == "parquet":
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        lines = [json.dumps(row) for row in rows]  # NaN and Infinity as Python and pandas write them
        path.write_text("\n".join(lines) if form == "jsonl" else "[" + ",".join(lines) + "]")
    return path


def one(folder: Path, form: str = "json", **changes: Any) -> Example:
    return read_examples(written(folder, [ROW | changes], form))[0]


FORMS = ("json", "jsonl", "parquet")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("empty", [None, NAN, "nan", "NaN", "<NA>", "NaT", " nan "])
def test_an_empty_cell_is_absent_where_it_may_be(folder: Path, form: str, empty: Any) -> None:
    fields = dict.fromkeys(("id", "explanation", "subject_id", "study_id", "split", "question_type"), empty)
    example = one(folder, form, **fields, graph=None)
    assert example == Example(
        id="data-1", images=("1.png",), question="Is a tube seen?", answer=("no",), kind="basic"
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("empty", [NAN, "nan", "<NA>"])
@pytest.mark.parametrize(
    ("field", "words"),
    [("answer", "has no answer"), ("image", "has no image"), ("question", "has no question")],
)
def test_an_empty_cell_is_refused_where_a_value_is_needed(
    folder: Path, form: str, empty: Any, field: str, words: str
) -> None:
    rows = [ROW, ROW | {field: empty}]
    if form == "parquet" and isinstance(empty, float):
        rows = rows[1:] * 2  # a column has one type
    with pytest.raises(InputError, match=rf"(row|line) \d {words}"):
        read_examples(written(folder, rows, form))


@pytest.mark.parametrize("text", ["None", "none", "null", "N/A", "NA", "nana", "nan mass", "inf", "0", "2.0"])
def test_a_text_that_may_be_an_answer_is_kept(folder: Path, text: str) -> None:
    assert one(folder, answer=text).answer == one(folder, answer=[text]).answer == (text,)


@given(st.text(st.characters(exclude_characters="\0"), min_size=1).map(str.strip).filter(bool))
def test_only_the_marks_of_an_empty_cell_are_no_answer(text: str) -> None:
    kept = cells.clean({"answer": text})
    assert kept == ({} if text in ("nan", "NaN", "NAN", "-nan", "<NA>", "NaT") else {"answer": text})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"subject_id": 10000032.0}, "subject_id", "10000032"),
        ({"subject_id": "10000032.0"}, "subject_id", "10000032"),
        ({"study_id": 50414267.0}, "study_id", "50414267"),
        ({"id": 7.0}, "id", "7"),
        ({"image": 40.0}, "images", ("40.png",)),
        ({"image": None, "image_ids": [1.0, 2.0]}, "images", ("1.png", "2.png")),
        ({"answer": 2.0}, "answer", ("2",)),
        ({"answer": [3.0]}, "answer", ("3",)),
        ({"answer": 2.5}, "answer", ("2.5",)),
        ({"subject_id": "p10.0"}, "subject_id", "p10.0"),
        ({"id": "1.0"}, "id", "1.0"),  # a name of somebody's own
    ],
)
def test_a_whole_number_loses_its_decimal_point(
    folder: Path, form: str, changes: dict[str, Any], field: str, value: Any
) -> None:
    assert getattr(one(folder, form, **changes), field) == value


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"answer": ["yes", NAN]}, "field answer holds nan, an empty cell, at place 2 of 2"),
        ({"answer": ["yes", None]}, "field answer holds None"),
        ({"image": ["1.png", NAN]}, "field image holds nan"),
        ({"image": None, "image_ids": ["1", "None"]}, "field image_ids holds 'None'"),
        ({"answer": float("inf")}, "field answer is inf"),
        ({"subject_id": float("-inf")}, "field subject_id is -inf"),
        ({"study_id": 1.234e17}, "last digits are lost"),
        ({"explanation": "<think>nan</think><answer>no</answer>"}, "an empty cell between its tags"),
        ({"explanation": "<think>None</think><answer>no</answer>"}, "an empty cell between its tags"),
        (
            {"answer": NAN, "explanation": "<think>Clear.</think><answer>nan</answer>"},
            "<answer>nan</answer>, an empty cell",
        ),
    ],
)
def test_what_cannot_be_repaired_is_refused_with_its_row(
    folder: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_examples(written(folder, [ROW, ROW | {"id": "b"} | changes]))
    assert str(caught.value).startswith(f"{folder / 'data.json'}, row 2 (id 'b')")
    assert words in str(caught.value)


def test_none_between_the_tags_of_an_answer_is_an_answer(folder: Path) -> None:
    text = "<think>No finding is seen.</think><answer>None</answer>"
    assert one(folder, answer=None, explanation=text).answer == ("None",)


def test_an_answer_that_is_missing_may_stand_in_the_explanation(folder: Path) -> None:
    text = "<think>A tube is seen.</think><answer>yes</answer>"
    assert one(folder, answer=NAN, explanation=NAN, solution=text).answer == ("yes",)


def test_repairs_are_said_with_the_first_row_and_without_the_value(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [ROW | {"id": str(n), "subject_id": n if n < 2 else 123456.0 + n} for n in range(5)]
    path = written(folder, rows)
    (warning,) = [line for line in check(path)["warnings"] if "decimal point" in line]
    assert "row 3: field subject_id" in warning
    assert warning.endswith("rows like it: 3")
    read_examples(path)
    assert caplog.messages == [warning]
    assert "12345" not in warning


def test_the_importer_of_annotations_repairs_as_well(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(folder, [ROW | {"subject_id": 10000032.0, "explanation": NAN}])
    convert(path, folder / "out.jsonl")
    (example,) = read_examples(folder / "out.jsonl")
    assert (example.subject_id, example.explanation) == ("10000032", "")
    assert "subject_id" in caplog.text
