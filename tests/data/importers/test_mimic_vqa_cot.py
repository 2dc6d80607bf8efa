"""Rows here are made up; nothing of MIMIC is in the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from chexphi.data.importers import convert as importers
from chexphi.data.importers.mimic_vqa_cot import convert
from chexphi.data.read import image_root_of, read_examples, read_folder
from chexphi.schema import InputError

FILM = "p10/p10000001/s50000001/aa-bb"
PRIOR = "p10/p10000001/s50000000/cc-dd"
BASIC = {
    "question": "Is there an effusion?",
    "answer": "yes",
    "explanation": "<think>There is an effusion.</think><answer>yes</answer>",
    "image_ids": [FILM],
    "semantic_type": "verify",
}
COMPARE = {
    "id": "q7",
    "question": "What is new?",
    "answer": ["effusion", "edema"],
    "explanation": "Effusion and edema are new.",
    "image_ids": [PRIOR, FILM],
}
CHAT = {
    "messages": [
        {"role": "user", "content": "<image>Is the heart enlarged?"},
        {"role": "assistant", "content": "<think>The heart is not enlarged.</think><answer>no</answer>"},
    ],
    "image": f"./data/MIMIC-VQA-CoT/images/{FILM}.png",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "MIMIC-VQA-CoT"
    for name in (FILM, PRIOR):
        (root / "images" / name).parent.mkdir(parents=True)
        Image.new("L", (8, 8), 90).save(root / "images" / f"{name}.png")
    files: dict[str, list[dict[str, Any]]] = {
        "eval/test_basic_vqa": [BASIC, BASIC],
        "eval/test_compare_vqa": [COMPARE],
        "eval/test_region_vqa": [BASIC],
        "uniform/1000": [CHAT, BASIC],
    }
    for name, rows in files.items():
        path = root / "annotations" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows), encoding="utf-8")
    return root


def test_everything_into_one_file(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "mimic.json"
    summary = convert(source, out)
    examples = {example.id: example for example in read_examples(out)}  # finds the films by itself
    assert list(examples) == [
        "eval/test_basic_vqa/1",
        "eval/test_basic_vqa/2",
        "eval/test_compare_vqa/q7",
        "eval/test_region_vqa/1",
        "uniform/1000/1",
        "uniform/1000/2",
    ]
    assert [example.kind for example in examples.values()] == [
        "basic",
        "basic",
        "compare",
        "region",
        "basic",
        "basic",
    ]
    assert {example.split for example in examples.values()} == {"eval", "uniform"}
    assert (summary["rows"], summary["patients"], summary["images"]) == (6, 1, 2)
    assert summary["image_root"] == str(source / "images")
    assert not summary["image_root_needed"]


def test_fields_of_a_row(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "a.json")
    found = {example.id: example for example in read_examples(tmp_path / "a.json")}
    compare, chat = found["eval/test_compare_vqa/q7"], found["uniform/1000/1"]
    assert compare.answer == ("effusion", "edema")
    assert compare.explanation == "<think>Effusion and edema are new.</think><answer>effusion, edema</answer>"
    assert compare.images == (f"{PRIOR}.png", f"{FILM}.png")
    assert (compare.subject_id, compare.study_id) == ("10000001", "50000001")  # the current film's study
    assert (chat.question, chat.answer, chat.images) == ("Is the heart enlarged?", ("no",), (f"{FILM}.png",))
    assert found["eval/test_basic_vqa/1"].semantic_type == "verify"


@pytest.mark.parametrize(
    ("explanation", "stored"),
    [
        ("A nodule < 5 mm is seen.", "<think>A nodule < 5 mm is seen.</think><answer>yes</answer>"),
        ("<think>There is one.</think>", "<think>There is one.</think><answer>yes</answer>"),
        ("<think>There is one.", "<think>There is one."),  # malformed: kept, `data check` counts it
        ("", ""),
    ],
)
def test_explanations_get_their_tags(source: Path, tmp_path: Path, explanation: str, stored: str) -> None:
    path = source / "annotations" / "uniform" / "1000.json"
    path.write_text(json.dumps([BASIC | {"explanation": explanation}]))
    convert(path, tmp_path / "a.json")
    assert read_examples(tmp_path / "a.json")[0].explanation == stored


def test_a_folder_keeps_the_layout(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "data" / "mimic"
    summary = convert(source, out)
    assert [Path(name).relative_to(out).as_posix() for name in summary["files"]] == [
        "eval/test_basic_vqa.json",
        "eval/test_compare_vqa.json",
        "eval/test_region_vqa.json",
        "uniform/1000.json",
    ]
    rows = read_folder(out / "eval")
    assert {name: len(found) for name, found in rows.items()} == {
        "test_basic_vqa": 2,
        "test_compare_vqa": 1,
        "test_region_vqa": 1,
    }


@pytest.mark.parametrize(
    "part", ["", "annotations", "annotations/eval", "annotations/eval/test_compare_vqa.json"]
)
def test_ids_do_not_depend_on_where_one_points(source: Path, tmp_path: Path, part: str) -> None:
    convert(source / part, tmp_path / "a.jsonl")
    ids = {example.id for example in read_examples(tmp_path / "a.jsonl")}
    assert "eval/test_compare_vqa/q7" in ids


def test_a_split_and_a_limit(source: Path, tmp_path: Path) -> None:
    assert convert(source, tmp_path / "a.json", split="eval")["rows"] == 4
    assert convert(source, tmp_path / "a.json", limit=1)["rows"] == 4
    with pytest.raises(InputError, match="no split 'test': use one of eval, uniform"):
        convert(source, tmp_path / "b.json", split="test")
    with pytest.raises(InputError, match="limit 0"):
        convert(source, tmp_path / "b.json", limit=0)
    assert not (tmp_path / "b.json").exists()


def test_repeated_ids_of_one_file_are_told_apart(source: Path, tmp_path: Path) -> None:
    path = source / "annotations" / "uniform" / "2000.json"
    path.write_text(json.dumps([COMPARE, COMPARE]))
    convert(path, tmp_path / "a.json")
    assert [example.id for example in read_examples(tmp_path / "a.json")] == [
        "uniform/2000/q7",
        "uniform/2000/q7#2",
    ]


def test_the_layout_is_read_without_import_as_well(source: Path) -> None:
    found = read_folder(source / "annotations" / "eval")
    assert {row.kind for rows in found.values() for row in rows} == {"basic", "compare", "region"}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**BASIC, "image_ids": ["p10/nine"]}, "'p10/nine.png' is missing"),
        ({**BASIC, "image_ids": ["../../x.png"]}, "outside the image root"),
        ({**BASIC, "question": ""}, "row 1 has no question"),
        ("text", "row 1 is not an object"),
    ],
)
def test_nothing_is_written_if_a_row_is_bad(source: Path, tmp_path: Path, row: Any, words: str) -> None:
    (source / "annotations" / "uniform" / "1000.json").write_text(json.dumps([row]))
    with pytest.raises(InputError, match=words):
        convert(source, tmp_path / "out" / "a.json")
    assert not (tmp_path / "out").exists()


def test_a_source_without_annotations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        convert(tmp_path / "nine", tmp_path / "a.json")
    with pytest.raises(InputError, match="holds no annotations"):
        convert(tmp_path, tmp_path / "out" / "a.json")


def test_an_images_folder_of_something_else_is_left_alone(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "out" / "images"
    other.mkdir(parents=True)
    summary = convert(source, tmp_path / "out" / "a.json")
    assert summary["image_root_needed"]
    assert image_root_of(tmp_path / "out" / "a.json") == other
    assert len(read_examples(tmp_path / "out" / "a.json", image_root=summary["image_root"])) == 6


def test_what_is_read_is_not_written(source: Path) -> None:
    file = source / "annotations" / "eval" / "test_basic_vqa.json"
    before = file.read_bytes()
    for out in (file, source / "annotations"):
        with pytest.raises(InputError, match="holds the source"):
            importers.convert("mimic-vqa-cot", file, out, overwrite=True)
    with pytest.raises(InputError, match="does not exist"):
        importers.convert("vqa-rad", source / "nine", source / "out")
    assert file.read_bytes() == before


EMPTY = [
    BASIC | {"id": "list", "answer": [], "explanation": ""},
    BASIC | {"id": "text", "answer": "", "explanation": "<think>Nothing is seen.</think><answer></answer>"},
    BASIC | {"id": "blank", "answer": [" "], "explanation": "The lungs are clear."},
    BASIC | {"id": "own", "answer": []},  # its explanation says yes
    BASIC | {"id": "full"},
]


@pytest.mark.parametrize("form", ["json", "jsonl", "parquet"])
def test_an_empty_answer_is_refused_kept_or_left_out(source: Path, tmp_path: Path, form: str) -> None:
    path = source / "annotations" / "eval" / f"empty.{form}"
    if form == "parquet":
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        rows = [row | {"answer": [row["answer"]] if row["answer"] in ("", "yes") else row["answer"]}
                for row in EMPTY]  # fmt: skip
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        lines = [json.dumps(row) for row in EMPTY]
        path.write_text("\n".join(lines) if form == "jsonl" else "[" + ",".join(lines) + "]")
    with pytest.raises(InputError, match=r"has no answer: .*--empty-answer none .*--empty-answer skip"):
        convert(path, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()

    summary = convert(path, tmp_path / "out.json", empty_answer="none")
    found = {e.id.rpartition("/")[2]: e for e in read_examples(tmp_path / "out.json")}
    assert {name: example.answer for name, example in found.items()} == {
        "list": ("none",),
        "text": ("none",),
        "blank": ("none",),
        "own": ("yes",),
        "full": ("yes",),
    }
    assert found["text"].explanation == "<think>Nothing is seen.</think><answer>none</answer>"
    assert found["blank"].explanation == "<think>The lungs are clear.</think><answer>none</answer>"
    assert (summary["rows"], summary["rows_read"], summary["left_out"]) == (5, 5, {})

    summary = convert(path, tmp_path / "out.json", empty_answer="skip")
    assert (summary["rows"], summary["rows_read"]) == (2, 5)
    assert summary["left_out"] == {"the answer is empty": 3}


@pytest.mark.parametrize("answer", [None, float("nan"), "nan", [None]])
@pytest.mark.parametrize("empty_answer", ["none", "skip"])
def test_an_answer_that_is_missing_is_not_an_empty_one(
    source: Path, tmp_path: Path, answer: Any, empty_answer: str
) -> None:
    path = source / "annotations" / "eval" / "missing.json"
    path.write_text(json.dumps([BASIC, BASIC | {"answer": answer, "explanation": ""}]))
    with pytest.raises(InputError, match="row 2"):
        convert(path, tmp_path / "out.json", empty_answer=empty_answer)


def test_rows_without_their_film_are_left_out_if_asked(source: Path, tmp_path: Path) -> None:
    path = source / "annotations" / "eval" / "part.json"
    path.write_text(json.dumps([BASIC, BASIC | {"image_ids": [FILM, "p10/nine"]}]))
    with pytest.raises(InputError, match=r"'p10/nine\.png' is missing.*1 of 2 films.*--missing-films skip"):
        convert(path, tmp_path / "out.json")
    summary = convert(path, tmp_path / "out.json", missing_films="skip")
    assert (summary["rows"], summary["left_out"]) == (1, {"a film is missing": 1})


def test_films_may_lie_elsewhere(source: Path, tmp_path: Path) -> None:
    (source / "images").rename(tmp_path / "films")
    summary = convert(source, tmp_path / "out", image_root=tmp_path / "films")
    assert summary["rows"] == 6
    assert len(read_examples(tmp_path / "out" / "uniform" / "1000.json")) == 2
