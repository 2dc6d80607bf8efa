"""Rows and files that are refused, each with what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chexphi.data.phantom import build
from chexphi.data.read import read_examples
from chexphi.schema import InputError

ROW: dict[str, Any] = {"images": [], "question": "Is there an effusion?", "answer": "no"}


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as refused:
        read_examples(path)
    return str(refused.value).replace(f"{path}", "FILE")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"id": 1}\n{"id": 2}', "is not JSON that can be read (Extra data at line 2): name it .jsonl if"),
        ("[1, 2", "is not JSON that can be read (Expecting ',' delimiter): repair it"),
        ("3", "does not hold a JSON array: write the rows as [{…}, {…}], or as lines of a .jsonl file"),
        (
            '{"data": [1]}',
            "does not hold a JSON array: the key 'data' does, save its value in a file of its own",
        ),
        (
            '{"0": {"id": 1}}',
            "does not hold a JSON array: write the rows as [{…}, {…}], with pandas by to_json(",
        ),
    ],
)
def test_a_json_file_of_another_form(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    assert refusal(path).startswith(f"FILE {sentence}")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Whoever runs the tests: the address space of a process is a file, and its first page is not mapped."""
    for name in ("rows.json", "rows.jsonl"):
        (tmp_path / name).symlink_to("/proc/self/mem")
        assert refusal(tmp_path / name) == "FILE cannot be read (Input/output error): check its permissions"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"question": 3}, "field question is a number: write it as text"),
        ({"explanation": ["a"]}, "field explanation is a list: write it as text"),
        ({"answer": ["no", {"a": 1}]}, "field answer is an object: write it as text"),
        (
            {"question": "half \ud800"},
            "field question holds half of a character (a lone surrogate): write it again",
        ),
        (
            {"images": ["1.png", "\ud800"]},
            "field images holds half of a character at place 2 (a lone surrogate)",
        ),
        ({"images": None, "img_path": "1.png"}, " has no image: it has `img_path`: rename it to `image`"),
        (
            {"images": None, "q_lang": "en"},
            " has no image: it has `q_lang`, as rows of SLAKE do: rename `img_name`",
        ),
        ({"images": None}, " has no image: add `images` (an empty list if the question needs no film)"),
        (
            {
                "images": None,
                "messages": [{"role": "user", "content": [{"type": "image", "image": "1.png"}]}],
            },
            " has no image: it has films inside the turns of `messages`: write their paths as `images`",
        ),
        (
            {"question": "", "messages": [{"role": "assistant", "content": "no"}]},
            " has no question: its `messages` hold no text of role user: write `role` and `content`, or add",
        ),
        ({"question": ""}, " has no question: add `question`, or a user turn in `messages`"),
        (
            {"answer": "nan"},
            " has no answer: `answer` is 'nan', an empty cell: write the answer, or remove the",
        ),
        ({"answer": None}, " has no answer: add `answer`, or <answer>…</answer> in `explanation`"),
        ({"answer": ""}, " has no answer: if it is empty on purpose, run `chexphi data import mimic-vqa-cot"),
    ],
)
def test_a_row_that_is_no_question_with_an_answer(
    fields: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROW | fields))
    assert refusal(path).removeprefix("FILE, line 1").removeprefix(": ").startswith(sentence)


def test_a_film_whose_id_is_no_file_and_whose_path_has_another_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    row = {key: value for key, value in ROW.items() if key != "images"} | {"image_id": "7"}
    path.write_text(json.dumps([row | {"image_path": "p/1.jpg"}]))
    assert "has no image under its `image_id`: it has `image_path`: rename it to `image`" in refusal(path)


def test_drawn_films_go_into_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "films"
    out.write_text("")
    with pytest.raises(InputError, match=r"output .*films is a file: name a folder"):
        build.build(out, counts=build.Sizes(sight=1, sft=1, pool=1, valid=1, test=1), seed=1)
