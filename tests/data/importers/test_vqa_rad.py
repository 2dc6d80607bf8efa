from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from chexphi import answers, prompts
from chexphi.data.check import check
from chexphi.data.importers.convert import convert as convert_form
from chexphi.data.importers.vqa_rad import convert, statement
from chexphi.data.read import read_examples
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


PUBLISHED = [
    {
        "qid": "0",
        "phrase_type": "freeform",
        "qid_linked_id": "0a1b2c3d-0000-4000-8000-000000000000",
        "image_case_url": "https://medpix.nlm.nih.gov/case?id=one",
        "image_name": "a.jpg",
        "image_organ": "CHEST",
        "evaluation": "not evaluated",
        "question": "Is the film  rotated?",
        "question_rephrase": "NULL",
        "question_relation": "NULL",
        "question_frame": "NULL",
        "question_type": "PRES",
        "answer": "Yes",
        "answer_type": "CLOSED ",
    }
]
PUBLISHED += [
    PUBLISHED[0] | {"qid": 1, "question": "How many ribs are seen?", "answer": 9, "answer_type": "OPEN",
                    "question_type": "COUNT", "question_rephrase": None, "phrase_type": "test_freeform"},
    PUBLISHED[0] | {"qid": 2, "image_organ": "HEAD", "image_name": "head.jpg"},
    PUBLISHED[0] | {"qid": 3, "image_organ": "ABD", "image_name": "abd.jpg", "answer": ""},
    PUBLISHED[0] | {"qid": 4, "image_name": "b.jpg", "image_case_url": "https://medpix.nlm.nih.gov/case?id=two",
                    "question_type": "PRSE"},
]  # fmt: skip


def published(tmp_path: Path, rows: list[dict[str, Any]], folder: str = "VQA_RAD Image Folder") -> Path:
    """The files under their published names."""
    (tmp_path / folder).mkdir(parents=True)
    text = json.dumps(rows, indent=1)
    (tmp_path / "VQA_RAD Dataset Public.json").write_text(text)
    for name in ("a.jpg", "b.jpg"):
        Image.linear_gradient("L").save(tmp_path / folder / name)
    return tmp_path


@pytest.mark.parametrize("folder", ["VQA_RAD Image Folder", "images", "."])
def test_the_published_files_are_read_as_they_are(tmp_path: Path, folder: str) -> None:
    if folder == ".":
        source_folder = published(tmp_path / "x", PUBLISHED)
        for film in (source_folder / "VQA_RAD Image Folder").iterdir():
            film.rename(source_folder / film.name)
        (source_folder / "VQA_RAD Image Folder").rmdir()
    else:
        source_folder = published(tmp_path / "x", PUBLISHED, folder)
    summary = convert(source_folder, tmp_path / "out.json")
    examples = {example.id: example for example in read_examples(tmp_path / "out.json")}
    assert set(examples) == {"vqarad-0", "vqarad-1", "vqarad-4"}
    assert examples["vqarad-0"].question == "Is the film rotated?"
    assert (examples["vqarad-0"].answer, examples["vqarad-0"].answer_type) == (("yes",), "closed")
    assert (examples["vqarad-1"].answer, examples["vqarad-1"].answer_type) == (("9",), "open")
    assert examples["vqarad-4"].question_type == "presence"
    assert summary["split_made"], "a test question is about a film of the training questions"
    assert summary["rows_read"] == 5
    assert summary["left_out"] == {
        "about another part of the body (HEAD)": 1,
        "about another part of the body (ABD)": 1,
    }


def test_a_published_split_that_shares_no_film_is_kept(tmp_path: Path) -> None:
    rows = [PUBLISHED[0], PUBLISHED[4] | {"phrase_type": "test_para"}]
    summary = convert(published(tmp_path / "x", rows), tmp_path / "out")
    assert not summary["split_made"]
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.json")) == ["test", "train"]


@pytest.mark.parametrize("limit", [None, 1])
@pytest.mark.parametrize("missing_films", ["refuse", "skip"])
@pytest.mark.parametrize("empty_answer", ["none", "skip"])
def test_every_row_is_accounted_for(
    tmp_path: Path, limit: int | None, missing_films: str, empty_answer: str
) -> None:
    rows = [*PUBLISHED, PUBLISHED[0] | {"qid": 5, "answer": ""}]
    if missing_films == "skip":
        rows.append(PUBLISHED[4] | {"qid": 6, "image_name": "nine.jpg"})
    summary = convert(
        published(tmp_path / "x", rows), tmp_path / "out.json",
        limit=limit, missing_films=missing_films, empty_answer=empty_answer,
    )  # fmt: skip
    assert summary["rows"] + sum(summary["left_out"].values()) == summary["rows_read"] == len(rows)
    if limit is None:
        assert (summary["left_out"].get("the answer is empty", 0) == 1) == (empty_answer == "skip")
        assert (summary["left_out"].get("the film is missing", 0) == 1) == (missing_films == "skip")


def test_a_published_form_that_is_not_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "VQA_RAD Dataset Public.xlsx").touch()
    with pytest.raises(InputError, match=r"the published VQA_RAD Dataset Public\.xlsx is not read"):
        convert(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "is empty"),
        ([ROW | {"answer": float("nan")}], "row 1 has no answer"),
        ([ROW | {"answer": "NaN"}], "row 1 has no answer"),
        ([ROW | {"answer": ""}], "row 1 has no answer"),
        ([ROW | {"image_case_url": "NULL"}], "row 1 has no image_case_url"),
        ([ROW | {"answer": ["no"]}], "row 1: field answer is a list"),
        ([ROW, ROW | {"qid": "1 "}], "a qid twice"),
        ([ROW, ROW | {"qid": 1.0}], "a qid twice"),
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


def test_the_real_published_file(shared_data: Path, tmp_path: Path) -> None:
    """All 2,248 rows are imported, or left out with the reason; 75 of its 107 chest films are there."""
    summary = convert(
        shared_data / "published" / "vqa_rad",
        tmp_path,
        image_root=shared_data / "cxr_real" / "vqarad",
        missing_films="skip",
    )
    assert summary["rows_read"] == 2248
    assert summary["left_out"] == {
        "about another part of the body (HEAD)": 715,
        "about another part of the body (ABD)": 739,
        "the film is missing": 234,
    }
    assert summary["rows"] == 560
    assert check(tmp_path)["problems"] == []


def test_one_split_of_the_real_set_in_one_file(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "cxr_real" / "vqarad"
    assert convert(folder, tmp_path / "v.jsonl", split="valid", limit=5)["rows"] == 5
    assert {example.split for example in read_examples(tmp_path / "v.jsonl")} == {"valid"}
    with pytest.raises(InputError, match="no split 'test'"):
        convert(folder, tmp_path / "t.jsonl", split="test")


def test_the_folder_says_what_it_is_and_a_file_among_others_does_not(tmp_path: Path) -> None:
    folder = source(tmp_path, ROW)
    outputs = (tmp_path / "out", tmp_path / "mine" / "rows.json")
    for out in outputs:
        convert_form("vqa-rad", folder, out)
    page = (tmp_path / "out" / "README.md").read_text()
    assert all(f"`{file.name}` | 1 example |" in page for file in (tmp_path / "out").glob("*.json"))
    assert "agreement" in page
    assert not (tmp_path / "mine" / "README.md").exists()
    (tmp_path / "out" / "README.md").write_text("notes")
    convert_form("vqa-rad", folder, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "README.md").read_text() == "notes"
