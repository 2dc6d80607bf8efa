from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from chexphi.data.check import check
from chexphi.data.phantom.scene import Build, Finding, Scene
from chexphi.schema import InputError

SCENE = Scene((Finding("pleural effusion", "left"),), Build(), seed=1).to_dict()
GRAPH = {"entities": [["effusion", "disorder_present"]], "relations": []}
GOOD = "<think>There is an effusion.</think><answer>yes</answer>"


def row(name: str, **changes: Any) -> dict[str, Any]:
    basis = {"id": name, "images": ["1.png"], "question": "Is it?", "answer": ["yes"], "explanation": GOOD}
    return basis | changes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("1.png", "2.png"):
        Image.linear_gradient("L").save(tmp_path / "images" / name)
    return tmp_path


def checked(folder: Path, rows: list[Any], **options: Any) -> dict[str, Any]:
    path = folder / "data.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return check(path, **options)


def test_a_sound_dataset_has_no_problems(folder: Path) -> None:
    figures = checked(
        folder,
        [
            row("a", question_type="presence", subject_id="1", split="train"),
            row("b", question_type="presence", subject_id="1", split="train", answer=["no"],
                explanation="<think>The lungs are clear.</think><answer>no</answer>"),
            row("c", question_type="presence", subject_id="2", split="train"),
            row("d", kind="compare", images=["1.png", "2.png"], scene=[SCENE, SCENE], graph=GRAPH),
        ],
    )  # fmt: skip
    assert figures["problems"] == figures["warnings"] == []
    assert (figures["rows"], figures["patients"], figures["images"], figures["rows_without_patient"]) == (
        4,
        2,
        2,
        1,
    )
    assert figures["kinds"] == {"basic": 3, "compare": 1}
    assert figures["question_types"] == {"presence": 3, "none": 1}
    assert figures["explanations"] == {"ok": 4}
    assert figures["films_per_question"] == {"1": 3, "2": 1}
    assert (figures["with_graph"], figures["with_scene"]) == (1, 1)
    assert figures["majority"]["presence"] == {"rows": 3, "accuracy": 2 / 3, "answer": "yes"}
    json.dumps(figures)


def test_every_problem_is_found_and_named(folder: Path) -> None:
    (folder / "images" / "2.png").write_bytes(b"\x89PNG cut")
    figures = checked(
        folder,
        [
            row("a"),
            row("a"),
            row("b", question=""),
            row("c", images=["nine.png"]),
            row("d", images=["2.png"]),
            row("e", images=["../data.json"]),
            "no object",
        ],
    )
    assert figures["problem_count"] == len(figures["problems"]) == 6
    assert figures["bad_images"] == 3
    for word in ("duplicate id", "no question", "nine.png", "2.png", "outside", "not an object"):
        assert sum(word in problem for problem in figures["problems"]) == 1
    assert all("data.json, row" in problem and "\n" not in problem for problem in figures["problems"])


def test_problems_are_counted_beyond_those_spelled_out(folder: Path) -> None:
    figures = checked(folder, [row(str(n), question="") for n in range(9)], max_problems=2)
    assert (figures["problem_count"], len(figures["problems"])) == (9, 2)


def test_an_empty_dataset_is_a_problem(folder: Path) -> None:
    assert "is empty" in checked(folder, [])["problems"][0]


def test_what_is_seldom_meant_is_a_warning(folder: Path) -> None:
    figures = checked(
        folder,
        [
            row("a", explanation=""),
            row("b", explanation="There is an effusion."),
            row("c", answer=["no"]),
            row("d", kind="compare"),
            row("e", subject_id="7", split="train"),
            row("f", subject_id="7", split="valid"),
        ],
    )
    assert figures["problems"] == []
    assert figures["explanations"] == {"ok": 4, "none": 1, "no_answer": 1}
    for word in (
        "no explanation",
        "malformed (no_answer)",
        "another answer",
        "two films",
        "more than one split",
    ):
        assert sum(word in warning for warning in figures["warnings"]) == 1


def test_a_folder_of_files_and_a_limit(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.json").write_text(json.dumps([row("1"), row("2")]))
    assert check(folder)["rows"] == 4
    assert check(folder, limit=1)["rows"] == 2


def test_poor_films_are_a_warning_and_damaged_ones_a_problem(folder: Path) -> None:
    Image.new("L", (64, 64), 7).save(folder / "images" / "flat.png")
    whole = (folder / "images" / "2.png").read_bytes()
    (folder / "images" / "2.png").write_bytes(whole[: len(whole) // 2] + whole[-200:])
    rows = [row("a"), row("b", images=["2.png"]), row("c", images=["flat.png"])]
    figures = checked(folder, rows)
    assert figures["bad_images"] == 1
    assert "2.png" in figures["problems"][0]
    (warning,) = figures["warnings"]
    assert warning.startswith("1 of 2 films have few grey levels (first: 'flat.png', 1,")


def test_no_long_text_of_a_row_is_shown(folder: Path) -> None:
    """A report in the wrong column stands in no figure and in no message."""
    report = "The patient has had a small left effusion since the operation. " * 4
    changes: list[dict[str, Any]] = [
        {"answer": [report]},
        {"question_type": report},
        {"kind": report},
        {"id": report, "question": ""},
        {"images": [report]},
        {"image": report, "images": None},
        {"question": [report]},
        {"scene": report},
        {"messages": report, "question": ""},
        {"answer": {"text": report}},
        {"answer": True, "report": report},
        {"img_name": report, "images": None},
        {"split": report},
        {"id": report},
    ]
    figures = checked(folder, [row(f"r{n}") | change for n, change in enumerate(changes)] + [row(report)] * 2)
    assert "since the operation" not in json.dumps(figures)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        check(tmp_path / "nine.json")
