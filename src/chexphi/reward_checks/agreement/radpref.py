"""RadPref: two candidate reports a case, rated from 1 to 5 by three radiologists (arXiv 2603.06183).

There are two forms: one object a case with its ratings inside, and the one that is published, with a file of
ratings for each radiologist. Each gives two sets: lists of findings, joined as sentences, and whole reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chexphi.files import read_object
from chexphi.reward_checks.agreement import fields
from chexphi.reward_checks.agreement.judgements import Judgements, RatedSet, RatedText
from chexphi.schema import InputError, key_shown

LISTS, REPORTS = "lists of findings", "whole reports"
PUBLISHED = "preference_data.json"
"""The published file of texts."""
ANNOTATIONS = "radiologist_annotations"
"""The published folder of ratings, beside it: one file a radiologist."""
_REPORT_KEY = re.compile(r"(C\d+)_report")

Row = tuple[str, Any]
"""A location for messages, and a value of JSON."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    report: str
    findings: Sequence[str]
    ratings: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Case:
    id: str
    report: str
    findings: Sequence[str]
    candidates: Sequence[_Candidate]


def sentences(findings: Sequence[str]) -> str:
    """Findings as one text, each a sentence.

    >>> sentences(["small left effusion", "mild edema."])
    'small left effusion. mild edema.'
    """
    return " ".join(f"{finding.strip().removesuffix('.')}." for finding in findings if finding.strip(" ."))


def read_rows(rows: Sequence[Row]) -> Judgements:
    """Cases with their ratings inside: `id, reference, reference_findings, candidates`.

    Raises:
        InputError: For the first row that is not as it should be.
    """
    return _judgements([_case(row, location) for location, row in rows], [location for location, _ in rows])


def _case(row: Any, location: str) -> _Case:
    candidates = [
        _candidate(candidate, f"{location}, candidate {number}")
        for number, candidate in enumerate(fields.entries(row, "candidates", location), 1)
    ]
    if len({len(candidate.ratings) for candidate in candidates}) > 1:
        raise InputError(f"{location}: its candidates have different numbers of ratings: give one a rater")
    return _Case(
        fields.label(row, "id", location),
        fields.text(row, "reference", location),
        fields.texts(row, "reference_findings", location),
        candidates,
    )


def _candidate(row: Any, location: str) -> _Candidate:
    ratings = fields.entries(row, "ratings", location)
    return _Candidate(
        fields.text(row, "report", location),
        fields.texts(row, "findings", location),
        {
            str(rater): fields.number(rating, f"rating {rater}", location)
            for rater, rating in enumerate(ratings, 1)
        },
    )


def read_published(rows: Sequence[Row], path: Path) -> Judgements:
    """Cases as they are published; the ratings are in the folder `radiologist_annotations` beside the file.

    Raises:
        InputError: For the first row or file that is not as it should be, or without ratings.
    """
    ratings = _published_ratings(path.parent / ANNOTATIONS)
    cases = [_published_case(row, location, ratings) for location, row in rows]
    return _judgements(cases, [location for location, _ in rows])


def _published_ratings(folder: Path) -> dict[str, tuple[Path, Mapping[str, Any]]]:
    """By rater: the file, and its annotations by case."""
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not files:
        raise InputError(
            f"{folder} has no file of ratings: give RadPref with this folder, as it is published"
        )
    ratings: dict[str, tuple[Path, Mapping[str, Any]]] = {}
    for file in files:
        content = read_object(file)
        rater = fields.label(content, "user_id", str(file))
        if rater in ratings:
            raise InputError(f"{file} has the user_id of {ratings[rater][0]}: remove one of them")
        ratings[rater] = file, fields.mapping(content, "annotations", str(file))
    return ratings


def _published_case(row: Any, location: str, ratings: Mapping[str, tuple[Path, Mapping[str, Any]]]) -> _Case:
    case = fields.label(row, "id", location)
    names = [match[1] for key in row if (match := _REPORT_KEY.fullmatch(key))]
    if not names:
        raise InputError(f'{location} has no "C1_report": add the candidates')
    candidates = [
        _Candidate(
            fields.text(row, f"{name}_report", location),
            fields.texts(row, f"{name}_findings", location),
            {
                rater: _published_rating(annotations, case, name, file)
                for rater, (file, annotations) in ratings.items()
                if case in annotations
            },
        )
        for name in names
    ]
    if not candidates[0].ratings:
        raise InputError(f"{location} is rated by nobody: leave it out, or add its ratings")
    return _Case(
        case,
        fields.text(row, "ground_truth_report", location),
        fields.texts(row, "ground_truth_findings", location),
        candidates,
    )


def _published_rating(annotations: Mapping[str, Any], case: str, candidate: str, file: Path) -> float:
    location = f"{file}, {key_shown(case, list(annotations).index(case) + 1)}"
    annotation = fields.value(annotations[case], candidate, location)
    return fields.number(fields.value(annotation, "rating", location), "rating", location)


def _judgements(cases: Sequence[_Case], locations: Sequence[str]) -> Judgements:
    fields.check_unique((case.id, location) for case, location in zip(cases, locations, strict=True))
    raters = dict.fromkeys(rater for _, candidate in _pairs(cases) for rater in candidate.ratings)
    lists = [
        RatedText(case.id, sentences(case.findings), sentences(candidate.findings), candidate.ratings)
        for case, candidate in _pairs(cases)
    ]
    reports = [
        RatedText(case.id, case.report, candidate.report, candidate.ratings)
        for case, candidate in _pairs(cases)
    ]
    sets = [RatedSet(LISTS, tuple(lists), tuple(raters)), RatedSet(REPORTS, tuple(reports), tuple(raters))]
    return Judgements("RadPref", rated=tuple(sets))


def _pairs(cases: Sequence[_Case]) -> Iterator[tuple[_Case, _Candidate]]:
    return ((case, candidate) for case in cases for candidate in case.candidates)
