"""Rows of public sets, in exactly their fields: the message names the field, the set, and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from chexphi.data import foreign_forms
from chexphi.data.check import check
from chexphi.data.read import read_examples
from chexphi.schema import InputError

SLAKE = {
    "img_id": 1,
    "img_name": "xmlab1/source.jpg",
    "question": "Which organ is shown?",
    "answer": "Lung",
    "q_lang": "en",
    "location": "Chest_lung",
    "modality": "X-Ray",
    "answer_type": "OPEN",
    "base_type": "vqa",
    "content_type": "Organ",
    "triple": ["vhead", "_", "_"],
    "qid": 0,
}
VQA_RAD = {
    "qid": 5,
    "phrase_type": "freeform",
    "qid_linked_id": "0a-1b",
    "image_case_url": "https://example.org/case?id=1",
    "image_name": "synpic1.jpg",
    "image_organ": "CHEST",
    "evaluation": "not evaluated",
    "question": "Is the film rotated?",
    "question_rephrase": "NULL",
    "question_relation": "NULL",
    "question_frame": "NULL",
    "question_type": "PRES",
    "answer": "No",
    "answer_type": "CLOSED",
}
MIMIC_CXR_VQA = {
    "split": "train",
    "idx": 0,
    "subject_id": 10000000,
    "study_id": 50000000,
    "image_id": "00000000-00000000-00000000-00000000-00000000",
    "image_path": "p10/p10000000/s50000000/00000000-00000000-00000000-00000000-00000000.jpg",
    "question": "Is there any scoliosis?",
    "semantic_type": "verify",
    "content_type": "presence",
    "template": "Is there any ${attribute}?",
    "template_program": "program_1",
    "template_arguments": {"attribute": {"0": "scoliosis"}},
    "answer": ["yes"],
}
LLAVA = {
    "id": "1",
    "image": "1.png",
    "conversations": [
        {"from": "human", "value": "What is seen?\n<image>"},
        {"from": "gpt", "value": "A chest film."},
    ],
}
LLAVA_MED = {
    "id": "1",
    "image": "1.png",
    "domain": {"chest_xray": True},
    "conversatons": LLAVA["conversations"],
}
DIFF_VQA = {
    "study_id": 1,
    "subject_id": 2,
    "ref_id": 3,
    "question_type": "difference",
    "question": "what has changed?",
    "answer": "nothing has changed.",
    "split": "train",
}
OMNI = {
    "dataset": "Chest CT",
    "question_id": "x_0001",
    "question_type": "Modality Recognition",
    "question": "What imaging technique is this?",
    "gt_answer": "X-ray",
    "image_path": "Images/x.png",
    "option_A": "X-ray",
    "option_B": "MRI",
}
HUGGING_FACE = {"image": {"bytes": b"\x89PNG", "path": None}, "question": "Is it normal?", "answer": "yes"}
SWIFT = {"query": "<image>Is it normal?", "response": "Yes", "images": ["1.png"]}
OPENAI = {
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "1.png"}},
                {"type": "text", "text": "Is it normal?"},
            ],
        },
        {"role": "assistant", "content": "<think>Clear lungs.</think><answer>yes</answer>"},
    ]
}


@pytest.mark.parametrize(
    ("row", "lacks", "field", "name"),
    [
        (SLAKE, "no image", "img_name", "SLAKE"),
        (VQA_RAD, "no image", "image_name", "VQA-RAD"),
        (MIMIC_CXR_VQA, "no image", "image_path", "MIMIC-CXR-VQA"),
        (LLAVA, "no question", "conversations", "LLaVA"),
        (LLAVA_MED, "no question", "conversatons", "LLaVA"),
        (DIFF_VQA, "no image", "ref_id", "Medical-Diff-VQA"),
        (OMNI, "no answer", "gt_answer", "OmniMedVQA"),
        (SWIFT, "no question", "query", "ms-swift"),
        (OPENAI, "no image", "messages", ""),
        ({"problem": "Is it normal?", "solution": "x", "image": "1.png"}, "no question", "problem", "R1-V"),
        ({"img_path": "1.png", "question": "q", "answer": "a"}, "no image", "img_path", ""),
        ({"Question": "q", "Answer": "a", "image": "1.png"}, "no question", "Question", ""),
        ({"question": "q", "label": "a", "image": "1.png"}, "no answer", "label", ""),
        ({"question": "q", "messages": LLAVA["conversations"], "image": "1.png"}, "no role", "", ""),
    ],
)
def test_a_row_of_a_public_set_is_named(
    tmp_path: Path, row: dict[str, Any], lacks: str, field: str, name: str
) -> None:
    path = tmp_path / "data.json"
    path.write_text(json.dumps([row]))
    Image.linear_gradient("L").save(tmp_path / "1.png")
    with pytest.raises(InputError, match=f"row 1.* has {lacks}") as caught:
        read_examples(path)
    message = str(caught.value)
    assert f"`{field}`" in message or not field
    assert name in message
    assert not any(text in message for text in ("scoliosis", "Lung", "nothing has", "rotated"))


def test_the_advice_leads_to_rows_that_are_read(tmp_path: Path) -> None:
    """Each rename of the table is made, and the row is read."""
    (tmp_path / "p").mkdir()
    Image.linear_gradient("L").save(tmp_path / "1.png")
    renamed = [
        {"image" if key == "img_name" else key: value for key, value in SLAKE.items()} | {"image": "1.png"},
        {k: v for k, v in MIMIC_CXR_VQA.items() if k not in ("image_path", "image_id")} | {"image": "1.png"},
        {"messages": [{"role": role, "content": turn["value"]} for role, turn in zip(("user", "assistant"),
            LLAVA["conversations"], strict=True)], "image": "1.png", "answer": "x"},
        {"question": SWIFT["query"], "explanation": "<think>t</think><answer>yes</answer>", "image": "1.png"},
    ]  # fmt: skip
    path = tmp_path / "data.json"
    path.write_text(json.dumps(renamed))
    assert len(read_examples(path)) == len(renamed)


def test_a_film_under_its_id_is_read_beside_a_path(tmp_path: Path) -> None:
    """Rows that name films by both are read as long as the id leads to a film."""
    Image.linear_gradient("L").save(tmp_path / "7.png")
    path = tmp_path / "data.json"
    path.write_text(json.dumps([{"image_id": "7", "image_path": "p/7.jpg", "question": "q", "answer": "a"}]))
    assert read_examples(path)[0].images == ("7.png",)


def test_a_question_about_no_film_may_carry_a_path(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text(json.dumps([{"images": [], "image_path": "p/7.jpg", "question": "q", "answer": "a"}]))
    assert read_examples(path)[0].images == ()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ({"bytes": b"\x89PNG", "path": None}, "record of `bytes`, `path`, as Hugging Face's"),
        ([{"bytes": b"\x89PNG", "path": "a.png"}], "record of `bytes`, `path`"),
        (b"\x89PNG", "its film is bytes"),
        ([b"\x89PNG"], "its film is bytes"),
        ({"path": "1.png"}, "record of `path`: write the film's path alone"),
        ({"p10003412": "1.png"}, "record of 1 fields: write the film's path alone"),
    ],
)
@pytest.mark.parametrize("field", ["image", "images"])
def test_films_inside_parquet_are_named(tmp_path: Path, image: Any, words: str, field: str) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    row = {key: value for key, value in HUGGING_FACE.items() if key != "image"} | {field: image}
    path = tmp_path / "train-00000-of-00001.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([row]), path)
    with pytest.raises(InputError, match="row 1: field images is not the name of a file") as caught:
        read_examples(path)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age", "import nih-labels"),
        ("study_id,subject_id,ref_id,question_type,question,answer,split", "`ref_id` is one of Medical-Diff"),
        ("Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding", "CheXpert: it has labels and no questions"),
        ("dicom_id,subject_id,study_id,ViewPosition,Rows", "MIMIC-CXR's metadata"),
        (",ImageID,ImageDir,StudyDate_DICOM,StudyID", "PadChest"),
        ("image_id,class_name,class_id,rad_id,x_min", "VinDr-CXR"),
        ("Figure_path,Caption,Question,Choice A,Answer,Answer_label", "PMC-VQA: rename `Figure_path`"),
        ("a,b,c", "give a file that ends in .json"),
    ],
)
def test_a_published_table_is_named(tmp_path: Path, header: str, words: str) -> None:
    (tmp_path / "table.csv").write_text(header + "\n1,2,3\n")
    with pytest.raises(InputError, match=r"table\.csv has an unknown form") as caught:
        check(tmp_path / "table.csv")
    assert words in str(caught.value)


def test_an_array_inside_an_object_is_pointed_at(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"version": 1, "questions": [{}]}))
    with pytest.raises(InputError, match="the key 'questions' does"):
        read_examples(tmp_path / "a.json")


def test_columns_of_pandas_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"question": {"0": "q"}, "answer": {"0": "a"}}))
    with pytest.raises(InputError, match=r"to_json\(orient='records'\)"):
        read_examples(tmp_path / "a.json")


def test_every_form_of_the_table_is_known_by_its_marks() -> None:
    for form in foreign_forms.PUBLIC_FORMS:
        assert foreign_forms.form_of(form.marks) is form
        assert all(mark not in ("id", "image", "question", "answer") for mark in form.marks)
