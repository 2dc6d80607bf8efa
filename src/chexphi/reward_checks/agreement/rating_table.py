"""Ratings as a table: CSV with the columns `reference`, `candidate` and `rating`, one rating a row.

`case` and `rater` are optional. Without a case, texts with the same reference are a case. Without a rater,
each row is a text of its own; with one, the rows of a text are one text with several ratings.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

from chexphi.number_text import counted
from chexphi.reward_checks.agreement import fields
from chexphi.reward_checks.agreement.judgements import Judgements, RatedSet, RatedText
from chexphi.schema import InputError, shown

COLUMNS = ("reference", "candidate", "rating")
FORM = "rated texts"
_ONE_RATER = "all"
"""The rater where the table names none."""


def read_table(content: str, path: str) -> Judgements:
    """The texts of a table with their ratings.

    Raises:
        InputError: If a column is missing, or for the first row that is not as it should be.
    """
    ratings_of: dict[tuple[str, str, str, int], dict[str, float]] = {}
    counts: Counter[tuple[str, str, str, str]] = Counter()
    raters: dict[str, None] = {}
    for number, (location, row) in enumerate(_rows(content, path)):
        reference, candidate = row["reference"], row["candidate"]
        if not reference.strip():
            raise InputError(
                f"{location}: reference is empty: write the text that the candidate is judged by"
            )
        case = fields.label(row, "case", location) if "case" in row else reference
        rating = _rating(row["rating"], location)
        if "rater" not in row:
            ratings_of[case, reference, candidate, number] = {_ONE_RATER: rating}
            continue
        rater = fields.label(row, "rater", location)
        raters.setdefault(rater)
        # two candidates of a case may be the same text: a rater's second rating is that of the second
        copy = counts[case, reference, candidate, rater]
        counts[case, reference, candidate, rater] += 1
        ratings_of.setdefault((case, reference, candidate, copy), {})[rater] = rating
    texts = [RatedText(*key[:3], ratings) for key, ratings in ratings_of.items()]
    return Judgements("a table of ratings", rated=(RatedSet(FORM, tuple(texts), tuple(raters)),))


def _rating(cell: str, location: str) -> float:
    try:
        return fields.number(float(cell), "rating", location)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{location}: rating is {shown(cell)}: write a finite number") from None


def _rows(content: str, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=_delimiter(content), strict=True)
    line = 1
    names: list[str] = []
    try:
        for cells in reader:
            location = f"{path}, line {line}"
            if not names:
                names = _checked_names(cells, path)
            elif any(map(str.strip, cells)):
                if len(cells) != len(names):
                    counts = f"{counted(len(cells), 'cell')} under {counted(len(names), 'column')}"
                    raise InputError(f"{location} has {counts}: put texts with separators in quotes")
                yield location, dict(zip(names, cells, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: not valid CSV ({error}): repair the row's quotes") from None


def _delimiter(content: str) -> str:
    header = content.partition("\n")[0]
    return max(",;\t", key=header.count)


def _checked_names(cells: list[str], path: str) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    if missing := next((name for name in COLUMNS if name not in names), None):
        raise InputError(
            f"{path} has no column {missing}: give RadPref, RadJudge, or CSV with {', '.join(COLUMNS)}"
        )
    if twice := next((name for name in (*COLUMNS, "case", "rater") if names.count(name) > 1), None):
        raise InputError(f"{path} has the column {twice} twice: rename one")
    return names
