"""RadJudge: candidates of one reference whose right order is known, by category (arXiv 2603.06183).

There are two forms: one object a case, and the one that is published, a Python file with the list
`RANKING_TESTS`. That file is read as data, and never run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from chexphi.number_text import counted
from chexphi.reward_checks.agreement import fields
from chexphi.reward_checks.agreement.judgements import Judgements, RankedCase, Ranking
from chexphi.schema import InputError, shown, type_shown

LIST_NAME = "RANKING_TESTS"
_RANKING = re.compile(r"\s*(\S+)\s+([>=])\s+(\S+)\s*")

Row = tuple[str, Any]
"""A location for messages, and a value of JSON."""


def read_rows(rows: Sequence[Row]) -> Judgements:
    """Cases `id, category, reference, candidates, expected`.

    Raises:
        InputError: For the first row that is not as it should be.
    """
    fields.check_unique((fields.label(row, "id", location), location) for location, row in rows)
    cases = [
        _case(
            fields.label(row, "category", location),
            fields.text(row, "reference", location),
            fields.mapping(row, "candidates", location),
            fields.entries(row, "expected", location),
            location,
        )
        for location, row in rows
    ]
    return Judgements("RadJudge", ranked=tuple(cases))


def read_published(categories: Sequence[Row]) -> Judgements:
    """Cases as they are published: categories with their `tests`.

    Raises:
        InputError: For the first category or test that is not as it should be.
    """
    cases = []
    for location, category in categories:
        name = fields.label(category, "category", location)
        for number, test in enumerate(fields.entries(category, "tests", location), 1):
            test_location = f"{location}, test {number}"
            expected = fields.value(test, "expected_ranking", test_location)
            cases.append(
                _case(
                    name,
                    fields.text(test, "ground_truth", test_location),
                    fields.mapping(test, "candidates", test_location),
                    expected if isinstance(expected, list) else [expected],
                    test_location,
                )
            )
    return Judgements("RadJudge", ranked=tuple(cases))


def list_in_python(source: str, path: str) -> list[Any]:
    """The list `RANKING_TESTS` of a Python file, which is not run.

    Raises:
        InputError: If the file is not Python, or the list is not written out as values.
    """
    try:
        statements = ast.parse(source).body
        assigned = [
            statement.value
            for statement in statements
            if isinstance(statement, ast.Assign)
            and any(isinstance(name, ast.Name) and name.id == LIST_NAME for name in statement.targets)
        ]
        tests = ast.literal_eval(assigned[0]) if assigned else None
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise InputError(
            f"{path} is not Python with a list of values ({type(error).__name__}): give RadJudge's "
            "test_cases.py as it is published"
        ) from None
    if not isinstance(tests, list) or not tests:
        raise InputError(f"{path} has no list {LIST_NAME}: give RadJudge's test_cases.py as it is published")
    return tests


def _case(
    category: str, reference: str, candidates: Mapping[str, Any], expected: Sequence[Any], location: str
) -> RankedCase:
    texts = {
        name: fields.text(candidate, "text", f"{location}, candidate {number}")
        for number, (name, candidate) in enumerate(candidates.items(), 1)
    }
    needs_context = any(candidate.get("context") for candidate in candidates.values())
    rankings = tuple(_ranking(words, texts, location) for words in expected)
    return RankedCase(category, reference, texts, rankings, needs_context)


def _ranking(words: Any, candidates: Mapping[str, str], location: str) -> Ranking:
    match = _RANKING.fullmatch(words) if isinstance(words, str) else None
    if match is None:
        kind = shown(words) if isinstance(words, str) else type_shown(words)
        raise InputError(f"{location}: a ranking is {kind}: write it like C1 > C2 or C1 = C2")
    first_name, sign, second_name = match.groups()
    if missing := next((name for name in (first_name, second_name) if name not in candidates), None):
        raise InputError(
            f"{location}: a ranking names {shown(missing)}, and there are "
            f"{counted(len(candidates), 'candidate')} without it: repair the ranking"
        )
    return Ranking(first_name, second_name, equal=sign == "=")
