"""Judgements of texts in all forms that are read; the sentences are written for the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

REFERENCE = "Small left effusion. The heart is enlarged."
GOOD, FAIR, BAD = "Small left effusion. Enlarged heart.", "Left effusion.", "Right pneumothorax."
FINDINGS = {REFERENCE: ["small left effusion", "enlarged heart"], GOOD: ["small left effusion"]}


def findings_of(text: str) -> list[str]:
    return FINDINGS.get(text, [text.removesuffix(".").lower()])


def radpref_rows() -> list[dict[str, Any]]:
    """Three cases, with the ratings of three raters who do not always agree."""
    rated = [
        [(GOOD, [5, 4, 5]), (BAD, [1, 2, 1])],
        [(FAIR, [3, 3, 4]), (BAD, [1, 1, 2])],
        [(FAIR, [2, 3, 3]), (GOOD, [4, 5, 3])],
    ]
    return [
        {
            "id": f"c{number}",
            "reference": REFERENCE,
            "reference_findings": findings_of(REFERENCE),
            "candidates": [
                {"report": text, "findings": findings_of(text), "ratings": ratings}
                for text, ratings in candidates
            ],
        }
        for number, candidates in enumerate(rated)
    ]


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_published_radpref(folder: Path) -> Path:
    """The same cases as the published folder has them."""
    texts: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = [{}, {}, {}]
    for row in radpref_rows():
        text = {
            "id": row["id"],
            "ground_truth_report": row["reference"],
            "ground_truth_findings": row["reference_findings"],
        }
        for name, candidate in zip(("C1", "C2"), row["candidates"], strict=True):
            text |= {f"{name}_report": candidate["report"], f"{name}_findings": candidate["findings"]}
            for rater, rating in enumerate(candidate["ratings"]):
                annotations[rater].setdefault(row["id"], {})[name] = {"rating": rating, "finding_errors": {}}
        texts.append(text)
    (folder / "radiologist_annotations").mkdir(parents=True)
    for rater, cases in enumerate(annotations, 1):
        content = {"user_id": str(rater), "annotations": cases}
        file = folder / "radiologist_annotations" / f"user_{rater}.json"
        file.write_text(json.dumps(content), encoding="utf-8")
    (folder / "preference_data.json").write_text(json.dumps(texts), encoding="utf-8")
    return folder


def radjudge_rows() -> list[dict[str, Any]]:
    """One case that the default graph score passes, one that needs the patient's context."""
    context = {"indication": "fall"}
    return [
        {
            "id": "1a",
            "category": "wrong side",
            "reference": REFERENCE,
            "candidates": {"C1": {"text": GOOD}, "C2": {"text": BAD}, "C3": {"text": BAD}},
            "expected": ["C1 > C2", "C2 = C3"],
        },
        {
            "id": "2a",
            "category": "context",
            "reference": REFERENCE,
            "candidates": {"C1": {"text": FAIR}, "C2": {"text": FAIR, "context": context}},
            "expected": ["C1 > C2"],
        },
    ]


def published_radjudge() -> str:
    """The same cases as a Python file, which says so when it is run."""
    categories = [
        {
            "category": row["category"],
            "description": "",
            "tests": [
                {
                    "id": row["id"],
                    "ground_truth": row["reference"],
                    "candidates": row["candidates"],
                    "expected_ranking": row["expected"] if len(row["expected"]) > 1 else row["expected"][0],
                }
            ],
        }
        for row in radjudge_rows()
    ]
    return f'"""Cases."""\n\nRANKING_TESTS = {categories!r}\n\nraise SystemExit("this file was run")\n'


def table(*, raters: bool) -> str:
    """The whole reports as CSV: a row a rating, or a row a text with its mean rating."""
    lines = ["case,reference,candidate,rating" + ",rater" * raters]
    for row in radpref_rows():
        for candidate in row["candidates"]:
            start = f'{row["id"]},"{row["reference"]}","{candidate["report"]}"'
            ratings = candidate["ratings"]
            if raters:
                lines += [f"{start},{rating},{rater}" for rater, rating in enumerate(ratings, 1)]
            else:
                lines.append(f"{start},{sum(ratings) / len(ratings)}")
    return "\n".join(lines) + "\n"
