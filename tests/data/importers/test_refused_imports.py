"""Datasets that are not imported, each with what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from chexphi.data.importers import vqa_rad as importer
from chexphi.data.importers.convert import convert
from chexphi.data.importers.nih_tables import read_table
from chexphi.schema import InputError

VQA_ROW: dict[str, Any] = {
    "qid": 1, "image_case_url": "https://x/case/7", "image_name": "1.jpg", "image_organ": "CHEST",
    "question": "Is there an effusion?", "answer": "no", "answer_type": "CLOSED", "question_type": "PRES",
}  # fmt: skip
LABELS = "image,split,patient_id,age,gender,view,findings\n1.png,train,1,60,F,PA,No Finding\n"


def refusal(form: str, source: Path, out: Path, **choices: Any) -> str:
    with pytest.raises(InputError) as refused:
        convert(form, source, out, **choices)
    assert not out.is_dir() or not list(out.rglob("*.json"))
    return str(refused.value)


@pytest.fixture
def vqa_rad(tmp_path: Path) -> Path:
    (tmp_path / "src" / "images").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "src" / "images" / "1.jpg")
    (tmp_path / "src" / "VQA_RAD Dataset Public.json").write_text(json.dumps([VQA_ROW]))
    return tmp_path / "src"


@pytest.mark.parametrize(
    ("form", "choices", "sentence"),
    [
        ("slake", {}, "unknown format 'slake': use one of "),
        ("vqa-rad", {"empty_answer": "drop"}, "--empty-answer is 'drop': use refuse, none or skip"),
        ("vqa-rad", {"missing_films": "draw"}, "--missing-films is 'draw': use refuse or skip"),
    ],
)
def test_choices_that_there_are_not(
    form: str, choices: dict[str, Any], sentence: str, vqa_rad: Path, tmp_path: Path
) -> None:
    assert refusal(form, vqa_rad, tmp_path / "out", **choices).startswith(sentence)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"image_organ": 3}, "row 1: field image_organ is a number: write it as text"),
        ({"question": "half \ud800"}, "row 1: field question holds half of a character: write it again"),
        ({"phrase_type": ["freeform"]}, "row 1: field phrase_type is a list: write it as text"),
    ],
)
def test_rows_of_vqa_rad(fields: dict[str, Any], sentence: str, vqa_rad: Path, tmp_path: Path) -> None:
    (vqa_rad / "VQA_RAD Dataset Public.json").write_text(json.dumps([VQA_ROW | fields]))
    assert refusal("vqa-rad", vqa_rad, tmp_path / "out").endswith(sentence)


def test_a_set_without_a_chest_film(vqa_rad: Path, tmp_path: Path) -> None:
    (vqa_rad / "VQA_RAD Dataset Public.json").write_text(json.dumps([VQA_ROW | {"image_organ": "HEAD"}]))
    sentence = refusal("vqa-rad", vqa_rad, tmp_path / "out")
    assert sentence == f"nothing to import: {vqa_rad / 'images'} has no usable rows"


def test_places_to_write_to(vqa_rad: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("")
    full = refusal("vqa-rad", vqa_rad, tmp_path / "full")
    assert full.endswith("full exists: replace it with --overwrite or choose another --out")
    table = refusal("vqa-rad", vqa_rad, tmp_path / "rows.csv")
    assert table.endswith("has an unknown form: end its name in .json, .jsonl, .parquet, or name a folder")


def test_a_split_that_there_is_not(vqa_rad: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no split 'dev': use one of "):
        importer.convert(vqa_rad, tmp_path / "out.json", split="dev")


def test_a_table_of_nih_that_is_no_text(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_bytes(LABELS.encode("utf-16"))
    with pytest.raises(InputError, match=r"labels\.csv is not UTF-8 text: save it as UTF-8"):
        read_table(table, seed=0)
    table.unlink()
    table.symlink_to("/proc/self/mem")  # a file whose first page nobody can read
    with pytest.raises(
        InputError, match=r"labels\.csv cannot be read \(Input/output error\): check its perm"
    ):
        read_table(table, seed=0)


def test_a_folder_of_nih_without_films(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(LABELS)
    sentence = refusal("nih-labels", tmp_path, tmp_path / "out")
    assert sentence == f"{tmp_path} holds no folder images: give the folder of NIH's films, or --image-root"
