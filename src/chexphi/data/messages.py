"""The question and the explanation of a row that is a chat: turns with `role` and `content`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chexphi.data import cells
from chexphi.schema import type_shown

_TURN = "write turns with `role` and `content`, a text or a list of parts"


def text_of_turn(messages: Any, role: str) -> str:
    """The words of the only turn of a role; empty if there is none, or it holds an empty cell (`nan`).

    Raises:
        ValueError: If the turns have another form, several have that role, or its text is damaged; the
            words follow the row's location.
    """
    if messages is None:
        return ""
    if not isinstance(messages, list):
        raise ValueError(f"field messages is {type_shown(messages)}: {_TURN}")
    texts = []
    for number, turn in enumerate(messages, 1):
        if not isinstance(turn, Mapping) or not isinstance(turn.get("role"), str):
            raise ValueError(f"field messages, turn {number} has no role: {_TURN}")
        text = _text_of_content(turn.get("content"), number)
        if turn["role"] == role:
            texts.append(text)
    if len(texts) > 1:
        raise ValueError(
            f"field messages holds {len(texts)} turns of role {role}, and a row is one question with one"
            " answer: write a row for each"
        )
    if not texts or cells.is_missing("messages", texts[0]):
        return ""
    return str(cells.repaired("messages", texts[0]))


def _text_of_content(content: Any, number: int) -> str:
    """The text of a turn's content, which is a text or a list of typed parts."""
    if content is None or isinstance(content, str):
        return content or ""
    items = content if isinstance(content, list) else [content]
    texts = [item.get("text") if isinstance(item, Mapping) else item for item in items]
    if not all(isinstance(item, Mapping) for item in items) or not all(
        text is None or isinstance(text, str) for text in texts
    ):
        raise ValueError(f"field messages, turn {number} has a content of another form: {_TURN}")
    return "\n".join(text or "" for text in texts).strip()
