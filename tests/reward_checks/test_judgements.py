"""Judgements in every form that is read: the same rows give the same judgements, and bad ones a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from judgement_rows import (
    published_radjudge,
    radjudge_rows,
    radpref_rows,
    table,
    write_lines,
    write_published_radpref,
)

from chexphi.reward_checks.agreement import rating_table, read
from chexphi.reward_checks.agreement.read import read_judgements
from chexphi.schema import InputError


def test_radpref_reads_the_same_in_both_forms(tmp_path: Path) -> None:
    here = read_judgements(write_lines(tmp_path / "rows.jsonl", radpref_rows()))
    folder = write_published_radpref(tmp_path / "published")
    assert read_judgements(folder) == read_judgements(folder / "preference_data.json") == here
    lists, reports = here.rated
    assert lists.texts[0].reference == "small left effusion. enlarged heart."
    assert reports.texts[0].mean_rating == pytest.approx(14 / 3)


def test_radjudge_reads_the_same_in_both_forms_and_is_not_run(tmp_path: Path) -> None:
    here = read_judgements(write_lines(tmp_path / "rows.jsonl", radjudge_rows()))
    (tmp_path / "test_cases.py").write_text(published_radjudge(), encoding="utf-8")
    assert read_judgements(tmp_path) == read_judgements(tmp_path / "test_cases.py") == here
    assert [case.needs_context for case in here.ranked] == [False, True]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_reads_as_the_same_whole_reports(tmp_path: Path, delimiter: str) -> None:
    (tmp_path / "ratings.csv").write_bytes(
        b"\xef\xbb\xbf" + table(raters=True).replace(",", delimiter).encode()
    )
    (tmp_path / "rows.jsonl").write_text(json.dumps(radpref_rows()), encoding="utf-8")  # a JSON array
    (found,) = read_judgements(tmp_path / "ratings.csv").rated
    _, reports = read_judgements(tmp_path / "rows.jsonl").rated
    assert (found.texts, found.raters) == (reports.texts, reports.raters)


def test_a_table_without_raters_has_a_text_a_row(tmp_path: Path) -> None:
    (found,) = rating_table.read_table(table(raters=False), "ratings.csv").rated
    assert (len(found.texts), found.raters) == (6, ())


def test_two_candidates_with_the_same_text_keep_their_ratings() -> None:
    """As in ReXVal, where two ways of choosing a report may choose the same one."""
    content = "reference,candidate,rating,rater\nr,c,1,A\nr,c,2,A\nr,c,3,B\nr,c,4,B\n"
    (found,) = rating_table.read_table(content, "ratings.csv").rated
    assert [dict(text.ratings) for text in found.texts] == [{"A": 1, "B": 3}, {"A": 2, "B": 4}]
    assert {text.case for text in found.texts} == {"r"}


def changed(rows: list[dict[str, Any]], change: Callable[[Any], object]) -> str:
    """The rows as JSON lines after a change of the first one."""
    change(rows[0])
    return "".join(json.dumps(row) + "\n" for row in rows)


def radpref(change: Callable[[Any], object]) -> str:
    return changed(radpref_rows(), change)


def radjudge(change: Callable[[Any], object]) -> str:
    return changed(radjudge_rows(), change)


def candidate(**fields: Any) -> Callable[[Any], object]:
    return lambda row: row["candidates"][0].update(fields)


BAD_CONTENT = {
    "empty": (" \n", "is empty: give RadPref"),
    "not UTF-8": (b"reference,\xff", "is not text in UTF-8"),
    "an array without rows": ("[]", "has no rows"),
    "another row": ('{"question": 1}\n', "line 1 is not a row of RadPref or RadJudge"),
    "a row that is no object": ('{"candidates": []}\n7\n', "line 1: candidates is not a list with entries"),
    "a later row that is no object": (radpref(dict) + "7\n", "line 4 is a number: an object is needed"),
    "no id": (radpref(lambda row: row.pop("id")), 'line 1 has no "id": add it'),
    "an id twice": (radpref(lambda row: row.update(id="c1")), "line 2 has the id of .*line 1: make the ids"),
    "an id of blanks": (radpref(lambda row: row.update(id=" ")), "line 1: id is a text: write a text"),
    "a reference of numbers": (radpref(lambda row: row.update(reference=7)), "reference is a number"),
    "findings as a text": (radpref(candidate(findings="x")), "findings is not a list of texts"),
    "a rating in words": (radpref(candidate(ratings=["good", 1, 2])), "rating 1 is a text"),
    "a rating less": (radpref(candidate(ratings=[1, 2])), "have different numbers of ratings"),
    "a ranking in words": (
        radjudge(lambda row: row.update(expected=["C1 better"])),
        "a ranking is 'C1 better'",
    ),
    "a ranking of others": (
        radjudge(lambda row: row.update(expected=["C1 > C9"])),
        "names 'C9', and there are 3",
    ),
    "a ranking that is no text": (radjudge(lambda row: row.update(expected=[1])), "a ranking is a number"),
    "no candidates": (radjudge(lambda row: row.update(candidates={})), "candidates is not an object with"),
    "an id of RadJudge twice": (radjudge(lambda row: row.update(id="2a")), "line 2 has the id of .*line 1"),
    "Python that is none": ("RANKING_TESTS = [", r"is not Python with a list of values \(SyntaxError\)"),
    "Python that computes": ("RANKING_TESTS = [f()]", r"is not Python with a list of values \(ValueError\)"),
    "Python without the list": ("x = 'RANKING_TESTS'", "has no list RANKING_TESTS"),
    "a column less": ("reference,candidate\na,b\n", "has no column rating: give RadPref"),
    "a column twice": ("reference,candidate,rating,case,case\n", "has the column case twice: rename one"),
    "a cell less": ("reference,candidate,rating\na,b\n", "line 2 has 2 cells under 3 columns"),
    "a rating that is no number": ("reference,candidate,rating\na,b,x\n", "line 2: rating is 'x'"),
    "a rating without end": (
        "reference,candidate,rating\n\na,b,inf\n",
        "line 3: rating is inf: write a finite number",
    ),
    "an open quote": ('reference,candidate,rating\n"a,b,1\n', "line 2: not valid CSV"),
    "no rater": ("reference,candidate,rating,rater\na,b,1,\n", "line 2: rater is a text"),
    "the same ratings": ("reference,candidate,rating\na,b,1\na,c,1\n", "has no two texts with"),
}


@pytest.mark.parametrize("kind", BAD_CONTENT)
def test_a_file_that_is_refused(tmp_path: Path, kind: str) -> None:
    content, sentence = BAD_CONTENT[kind]
    file = tmp_path / "judgements"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=sentence):
        read_judgements(file)


def test_more_texts_than_can_be_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_TEXTS", 5)
    with pytest.raises(InputError, match=r"has 6 rated texts, and each is compared .* give at most 5"):
        read_judgements(write_lines(tmp_path / "rows.jsonl", radpref_rows()))


def drop_folder(folder: Path) -> None:
    for file in (folder / "radiologist_annotations").iterdir():
        file.unlink()


def same_rater(folder: Path) -> None:
    first = (folder / "radiologist_annotations" / "user_1.json").read_text(encoding="utf-8")
    (folder / "radiologist_annotations" / "user_2.json").write_text(first, encoding="utf-8")


def unrated(folder: Path) -> None:
    for file in (folder / "radiologist_annotations").iterdir():
        content = json.loads(file.read_text(encoding="utf-8"))
        del content["annotations"]["c1"]
        file.write_text(json.dumps(content), encoding="utf-8")


def without_rating(folder: Path) -> None:
    file = folder / "radiologist_annotations" / "user_3.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    del content["annotations"]["c2"]["C2"]["rating"]
    file.write_text(json.dumps(content), encoding="utf-8")


def without_candidates(folder: Path) -> None:
    file = folder / "preference_data.json"
    rows = [{"id": "c0", "ground_truth_report": "", "ground_truth_findings": []}]
    file.write_text(json.dumps(rows), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (drop_folder, "radiologist_annotations has no file of ratings"),
        (same_rater, "user_2.json has the user_id of .*user_1.json: remove one"),
        (unrated, "entry 2 is rated by nobody"),
        (without_rating, 'user_3.json, the key number 3 has no "rating"'),
        (without_candidates, 'entry 1 has no "C1_report"'),
        (lambda folder: (folder / "preference_data.json").unlink(), "has neither preference_data"),
    ],
)
def test_a_published_folder_that_is_refused(
    tmp_path: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    folder = write_published_radpref(tmp_path / "RadPref")
    damage(folder)
    with pytest.raises(InputError, match=sentence):
        read_judgements(folder)
