"""The rows that `chexphi rewards score` reads: completions with their references, each value checked."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from chexphi.files import similar_names
from chexphi.rewards import columns
from chexphi.runs import jsonl
from chexphi.schema import InputError, type_shown


def read_rows(path: Path, *, limit: int | None = None) -> list[dict[str, Any]]:
    """Rows `{"id", "completion", "solution"}` with their other fields, checked.

    Raises:
        InputError: For the first row that cannot be scored, or a file without rows.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist{similar_names(path)}: give a JSONL file of completions")
    rows = []
    for location, row in itertools.islice(jsonl.rows_with_location(path, nan=True), limit):
        rows.append(_checked_row(row, location))
    if not rows:
        raise InputError(f"{path} has no rows: give at least one completion")
    return rows


def _checked_row(row: dict[str, Any], location: str) -> dict[str, Any]:
    """A row whose values the rewards can read, with its completion and its labels as texts.

    Raises:
        InputError: If a value is missing, or is of another type; the field is named.
    """
    if missing := next((key for key in ("id", "completion", "solution") if key not in row), None):
        raise InputError(f'{location} has no "{missing}": a row needs id, completion, solution')
    if not isinstance(row["solution"], str):
        raise InputError(
            f"{location}: solution is {type_shown(row['solution'])}: write the reference as text"
        )
    if not isinstance(row.get("opened_think", False), bool):
        raise InputError(f"{location}: opened_think is not true or false: repair the row")
    for name in ("id", "group"):
        if isinstance(row.get(name, ""), bool) or not isinstance(row.get(name, ""), str | int):
            raise InputError(f"{location}: {name} is {type_shown(row[name])}: write a text or a whole number")
    for name in ("completion_ids", "token_ids"):
        ids = row.get(name) or []
        if not isinstance(ids, list) or not all(isinstance(token_id, int) for token_id in ids):
            raise InputError(f"{location}: {name} is not a list of whole numbers: repair or remove it")
    checked = {**row, "completion": columns.completion_text(row["completion"], location)}
    if "answer" in row:
        checked["answer"] = columns.row_labels(row["answer"], f"{location}: answer")
    return checked
