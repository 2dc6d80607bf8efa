from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from chexphi import answers, prompts
from chexphi.data.check import check
from chexphi.data.read import read_examples
from chexphi.data.vqa_rad import convert, statement
from chexphi.schema import InputError

ROW = {
    "qid": 1,
    "image_case_url": "https://example.org/case?id=one",
    "image_name": "a.jpg",
    "question": "Is there a pneumothorax?",
    "question_type": "PRES",
    "answer": "No",
    "answer_type": "CLOSED",
    "split": "train",
}


def source(tmp_path: Path, *rows: Any) -> Path:
    folder = tmp_path / "vqarad"
    folder.mkdir()
    (folder / "vqa_rad_chest.json").write_text(json.dumps(rows))
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        Image.new("RGB", (8, 8)).save(folder / name)
    return folder


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        ("Is there evidence of a pneumothorax", "No", "There is no pneumothorax."),
        ("Is there a lung mass?", "yes", "There is a lung mass."),
        ("Are there any rib fractures?", "no", "There are no rib fractures."),
        ("Does this patient have a pleural effusion?", "No", "There is no pleural effusion."),
        ("Do you see cardiomegaly?", "yes", "There is cardiomegaly."),
        ("Is the heart enlarged?", "No", "The heart is not enlarged."),
        ("Do the lungs appear hyperinflated?", "Yes", "The lungs are hyperinflated."),
        ("Is a pleural effusion present?", "No", "A pleural effusion is not present."),
        ("Where is the mass located?", "In the left upper lobe", "The mass is in the left upper lobe."),
        ("Where is the lesion?", "Retrocardiac", "The lesion is retrocardiac."),
        ("Which plane is this?", "PA", "The answer is PA."),
        ("Is the trachea deviated to the right or left?", "Left", "The answer is left."),
        # Turned round they would be wrong or odd: not restated.
        ("Is the mediastinum wider than normal?", "no", "The reference answers this question with no."),
        ("Are any of the ribs fractured?", "no", "The reference answers this question with no."),
        ("Is this an AP film?", "yes", "The reference answers this question with yes."),
    ],
)
def test_question_and_answer_as_a_statement(question: str, answer: str, said: str) -> None:
    assert statement(question, answer) == said


def test_a_row_becomes_an_example(tmp_path: Path) -> None:
    convert(source(tmp_path, ROW), tmp_path / "out.json")
    (example,) = read_examples(tmp_path / "out.json", image_root=tmp_path / "vqarad")
    assert (example.id, example.images, example.answer) == ("vqarad-1", ("a.jpg",), ("no",))
    assert (example.question_type, example.answer_type, example.semantic_type) == (
        "presence",
        "closed",
        "verify",
    )
    assert (example.subject_id, example.split, example.kind) == ("one", "train", "basic")
    assert example.explanation == "<think>There is no pneumothorax.</think><answer>no</answer>"


def test_cases_that_share_a_film_are_one_patient(tmp_path: Path) -> None:
    two = "https://example.org/case?id=two"
    folder = source(
        tmp_path,
        ROW,
        ROW | {"qid": 2, "image_case_url": two},
        ROW | {"qid": 3, "image_case_url": two, "image_name": "b.jpg"},
        ROW | {"qid": 4, "image_case_url": "https://example.org/case?id=three", "image_name": "c.jpg"},
    )
    summary = convert(folder, tmp_path / "out.json")
    assert summary["patients"] == 2
    assert not summary["split_made"]


def test_a_split_that_shares_a_case_is_made_anew(tmp_path: Path) -> None:
    rows = [
        ROW
        | {
            "qid": n,
            "image_case_url": f"https://example.org/case?id={n // 2}",
            "image_name": "abc"[n // 2] + ".jpg",
            "split": ("train", "dev")[n % 2],
        }
        for n in range(6)
    ]
    folder = source(tmp_path, *rows)
    summary = convert(folder, tmp_path / "out", seed=3)
    train, valid = (read_examples(tmp_path / "out" / f"{name}.json") for name in ("train", "valid"))
    assert summary["split_made"]
    assert (len(train), len(valid)) == (4, 2)
    assert not {example.subject_id for example in train} & {example.subject_id for example in valid}
    convert(folder, tmp_path / "again", seed=3)
    again = tmp_path / "again" / "valid.json"
    assert again.read_text() == (tmp_path / "out" / "valid.json").read_text()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "is empty"),
        ([ROW | {"question": " "}], "row 1 has no question"),
        ([ROW, {"qid": 2}], "row 2 has no question"),
        ([ROW, ROW], "a qid twice"),
        ([ROW | {"image_name": "nine.jpg"}], "'nine.jpg' is missing"),
        ([ROW | {"image_name": "../vqarad.jpg"}], "outside the image root"),
    ],
)
def test_bad_input_writes_nothing(tmp_path: Path, rows: list[Any], words: str) -> None:
    folder = source(tmp_path, *rows)
    with pytest.raises(InputError, match=words):
        convert(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no vqa_rad_chest\.json"):
        convert(tmp_path, tmp_path / "out")


def test_the_real_set(shared_data: Path, tmp_path: Path) -> None:
    summary = convert(shared_data / "cxr_real" / "vqarad", tmp_path)
    train, valid = (read_examples(tmp_path / f"{name}.json") for name in ("train", "valid"))
    assert (len(train), len(valid)) == (446, 114)
    # 76 cases, two of which share a film.
    assert (summary["patients"], summary["images"]) == (75, 75)
    assert not summary["split_made"]
    assert not {example.subject_id for example in train} & {example.subject_id for example in valid}
    for example in train + valid:
        parsed = prompts.parse(example.explanation)
        assert parsed.status == "ok"
        assert answers.score(parsed.answer or "", example.answer) == 1
    assert Counter(example.answer_type for example in train + valid) == {"closed": 356, "open": 204}
    assert summary["restated"] > 0.85
    assert check(tmp_path)["problems"] == []


def test_one_split_of_the_real_set_in_one_file(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "cxr_real" / "vqarad"
    assert convert(folder, tmp_path / "v.jsonl", split="valid", limit=5)["rows"] == 5
    assert {example.split for example in read_examples(tmp_path / "v.jsonl")} == {"valid"}
    with pytest.raises(InputError, match="no split 'test'"):
        convert(folder, tmp_path / "t.jsonl", split="test")
