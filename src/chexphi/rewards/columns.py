"""The columns of a batch as rewards need them: texts and labels. A wrong value is refused with its row.

None and NaN are missing values: a reference without a value cannot be scored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from chexphi.number_text import counted
from chexphi.prompts import text_of
from chexphi.rewards.checked import row_name
from chexphi.schema import InputError


def column(name: str, values: Any, count: int) -> list[Any]:
    """The values of a column, one a row.

    Raises:
        InputError: If it is not a list, or not as long as the batch.
    """
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | Mapping | Set):
        raise InputError(f"column {name} is a {type(values).__name__}: give a list with one value a row")
    rows = list(values)
    if len(rows) != count:
        raise InputError(
            f"column {name} has {counted(len(rows), 'row')} for {counted(count, 'completion')}: give one each"
        )
    return rows


def completion_texts(completions: Any, columns: Mapping[str, Any]) -> list[str]:
    """The text of each completion.

    Raises:
        InputError: For the first that is neither text nor chat messages. The message names the row.
    """
    rows = column("completions", completions, len(completions) if hasattr(completions, "__len__") else -1)
    return [completion_text(value, row_name(row, columns)) for row, value in enumerate(rows)]


def completion_text(value: Any, source: str) -> str:
    """The text of a completion that is a text or chat messages.

    Raises:
        InputError: If it is neither; the message begins with `source`.
    """
    value = _plain(value)
    if not isinstance(value, str) and not (isinstance(value, list | tuple) and all(map(_is_turn, value))):
        raise InputError(f"{source}: the completion is {_kind(value)}: give a text or chat messages")
    return text_of(value)


def _is_turn(turn: Any) -> bool:
    if not isinstance(turn, Mapping) or "content" not in turn:
        return False
    content = turn["content"]
    return isinstance(content, str | None) or (
        isinstance(content, list | tuple) and all(map(_is_part, content))
    )


def _is_part(content_part: Any) -> bool:
    return isinstance(content_part, Mapping) and isinstance(content_part.get("text"), str | None)


def flags(name: str, values: Any, count: int, columns: Mapping[str, Any]) -> list[bool]:
    """A column of true and false, one a row. A missing column or a missing value counts as false.

    Raises:
        InputError: If it is not a list, has another length or other values. The message names the row.
    """
    if values is None:
        return [False] * count
    rows = [_plain(value) for value in column(name, values, count)]
    for row, value in enumerate(rows):
        if not isinstance(value, bool | None):
            raise InputError(f"{row_name(row, columns)}: {name} is {_kind(value)}: give true or false")
    return [bool(value) for value in rows]


def solution_texts(solutions: Any, count: int, columns: Mapping[str, Any]) -> list[str]:
    """The reference of each row; empty where it is missing.

    Raises:
        InputError: If there is no such column, or a value is not a text. The message names the row.
    """
    if solutions is None:
        raise InputError("the reward needs the column solution: give each row its reference explanation")
    rows = column("solution", solutions, count)
    return [solution_text(value, f"{row_name(row, columns)}: solution") for row, value in enumerate(rows)]


def solution_text(value: Any, source: str) -> str:
    """A reference explanation; empty where it is missing.

    Raises:
        InputError: If it is not a text; `source` names row and column.
    """
    value = _plain(value)
    if _is_missing(value):
        return ""
    if not isinstance(value, str):
        raise InputError(
            f"{source} is {_kind(value)}: give the reference as text, <think>…</think><answer>…</answer>; "
            "its labels are `answer`"
        )
    return value


def question_texts(questions: Any, count: int, columns: Mapping[str, Any]) -> list[str]:
    """The question of each row.

    Raises:
        InputError: If there is no such column, or a value is not a text. The message names the row.
    """
    if questions is None:
        raise InputError("the reward needs the column question: give each row its question")
    rows = [_plain(value) for value in column("question", questions, count)]
    for row, value in enumerate(rows):
        if not isinstance(value, str):
            raise InputError(f"{row_name(row, columns)}: question is {_kind(value)}: give it as text")
    return rows


def answer_labels(answers: Any, count: int, columns: Mapping[str, Any]) -> list[list[str] | None]:
    """The reference labels of each row; None where it has none.

    Raises:
        InputError: For a value that is not a label. The message names the row.
    """
    if answers is None:
        return [None] * count
    rows = column("answer", answers, count)
    return [row_labels(value, f"{row_name(row, columns)}: answer") for row, value in enumerate(rows)]


def row_labels(value: Any, source: str) -> list[str] | None:
    """The labels of one row: a text, a number, or a list of them; None where there are none.

    >>> row_labels([2, "left"], "row 1: answer")
    ['2', 'left']

    Raises:
        InputError: For anything else; `source` names row and column.
    """
    value = _plain(value)
    if _is_missing(value):
        return None
    if not isinstance(value, Sequence | Set) or isinstance(value, str | bytes):
        value = [value]
    return [_label(_plain(item), source) for item in value] or None


def _label(item: Any, source: str) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, int) and not isinstance(item, bool):
        return str(item)
    if isinstance(item, float) and math.isfinite(item):
        return str(int(item)) if item.is_integer() else repr(item)
    raise InputError(f"{source} holds {_kind(item)}: give labels as text, or a list of texts")


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _plain(value: Any) -> Any:
    """Arrays and numbers of NumPy as lists and numbers of Python; NumPy is not imported."""
    return value.tolist() if hasattr(value, "tolist") else value


def _kind(value: Any) -> str:
    if _is_missing(value) or isinstance(value, bool | float):
        return str(value)
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
