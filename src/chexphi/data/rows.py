"""One raw row as an `Example`: aliases folded, fields validated, errors that name the row."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from chexphi import prompts
from chexphi.data.images import with_suffix
from chexphi.schema import KINDS, Example, InputError, Kind

IMAGE_FIELDS = ("images", "image", "image_ids", "image_id")
_PLACEHOLDER = re.compile(r"<image>|<\|image_\d+\|>", re.IGNORECASE)


class Row(BaseModel):
    """What a row may hold once its aliases are folded; other keys are ignored."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True, str_strip_whitespace=True)

    id: str = ""
    images: list[str] | None = None
    question: str = ""
    answer: list[str] = []
    explanation: str = ""
    kind: str = ""
    semantic_type: str = ""
    question_type: str = ""
    answer_type: str = ""
    subject_id: str = ""
    study_id: str = ""
    split: str = ""
    scene: list[dict[str, Any]] | None = None
    graph: dict[str, Any] | None = None

    @field_validator("images", "answer", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return value if isinstance(value, list | tuple) else [value]

    @field_validator("scene", "graph", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        """Parquet keeps what has no fixed columns as JSON text."""
        return json.loads(value) if isinstance(value, str) else value


def _text(content: Any) -> str:
    """The words of a chat message, whose content is a text or a list of typed parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text") or "") for part in parts if isinstance(part, Mapping)).strip()


def _turn(messages: Any, role: str) -> str:
    turns = messages if isinstance(messages, list) else []
    found = [turn for turn in turns if isinstance(turn, Mapping) and turn.get("role") == role]
    return _text(found[0].get("content")) if found else ""


def fold_aliases(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The row under the names of `Example`; a field's own name wins over its aliases, null is absent."""
    row = {key: value for key, value in raw.items() if value is not None}
    images = next((row[key] for key in IMAGE_FIELDS if row.get(key, "") != ""), None)
    question = row.get("question") or _turn(row.get("messages"), "user")
    explanation = row.get("explanation") or row.get("solution") or _turn(row.get("messages"), "assistant")
    if isinstance(question, str):
        question = _PLACEHOLDER.sub(" ", question).strip()
    return row | {"images": images, "question": question, "explanation": explanation}


def kind_of(stem: str, images: int) -> Kind:
    """The kind of a row that names none: from the file (`test_compare_vqa`), else two films are compared."""
    named = [kind for kind in KINDS if kind in stem.lower()]
    return named[0] if len(named) == 1 else "compare" if images == 2 else "basic"


def label(where: str, raw: Any) -> str:
    """Where a row stands, with its id if it has one: what every error begins with."""
    name = raw.get("id") if isinstance(raw, Mapping) else None
    return f"{where} (id {name!r})" if name not in (None, "") else where


def _validated(raw: Any, where: str) -> Row:
    if not isinstance(raw, Mapping):
        raise InputError(f"{where} is no object: write one JSON object a row")
    folded = fold_aliases(raw)
    if folded["images"] is None:
        del folded["images"]
    try:
        return Row.model_validate(folded)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{label(where, raw)}: field {field} is wrong ({first['msg']}): correct it"
        ) from None


def to_example(raw: Any, *, where: str, default_id: str, stem: str, root: Path) -> Example:
    """Validate one row.

    Args:
        raw: The row as read.
        where: File and row, for errors.
        default_id: The id of a row that has none.
        stem: Name of its file, which may tell the kind.
        root: Image root, in which suffixes of references are looked up.

    Raises:
        InputError: If the row has no question, answer or image, or a field of the wrong type.
    """
    row = _validated(raw, where)
    where = label(where, raw)
    if not row.question:
        raise InputError(f"{where} has no question: add `question`, or a user turn in `messages`")
    answer = [text for text in row.answer if text] or [prompts.parse(row.explanation).answer or ""]
    if not answer[0]:
        raise InputError(f"{where} has no answer: add `answer`, or <answer>…</answer> in `explanation`")
    if row.images is None or not all(row.images):
        raise InputError(f"{where} has no image: add `images` (an empty list if the question needs no film)")
    kind = row.kind.lower() or kind_of(stem, len(row.images))
    if kind not in KINDS:
        raise InputError(f"{where}: unknown kind {row.kind!r}: use {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    fields = row.model_dump(exclude={"id", "images", "answer", "kind", "scene"})
    return Example(
        id=row.id or default_id,
        images=tuple(with_suffix(ref, root) for ref in row.images),
        answer=tuple(answer),
        kind=kind,
        scene=tuple(row.scene) if row.scene is not None else None,
        **fields,
    )
