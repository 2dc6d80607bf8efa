"""One raw row as an `Example`: aliases folded, fields validated, errors that name the row."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from chexphi import prompts
from chexphi.data import cells, foreign_forms
from chexphi.data.references import is_film, with_suffix
from chexphi.schema import KINDS, Example, InputError, Kind, shown

_EMPTY_PART = re.compile(r">\s*(?:-?nan|<na>|nat|none|null|#?n/a|na)\s*<", re.IGNORECASE)
"""What may be an empty cell between tags; other explanations are not parsed for it."""
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


def fold_aliases(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without empty cells under the names of `Example`; a field's own name wins over its aliases."""
    images = next((row[key] for key in cells.IMAGES if row.get(key, "") != ""), None)
    question = row.get("question") or _turn(row.get("messages"), "user")
    explanation = row.get("explanation") or row.get("solution") or _turn(row.get("messages"), "assistant")
    if isinstance(question, str):
        question = _PLACEHOLDER.sub(" ", question).strip()
    return {**row, "images": images, "question": question, "explanation": explanation}


def has_empty_answer(raw: Mapping[str, Any]) -> bool:
    """Whether a row has an answer that is there and empty (`[]`, `""`), and none in its explanation.

    An empty cell (null, NaN) is none: what is missing is not known to be nothing.
    """
    answer = raw.get("answer")
    entries = answer if isinstance(answer, list | tuple) else [answer]
    blank = all(isinstance(entry, str) and not entry.strip() for entry in entries)
    row = {field: value for field, value in raw.items() if not cells.is_missing(field, value)}
    return blank and not _own_answer(fold_aliases(row)["explanation"])


def _own_answer(explanation: Any) -> str:
    return (prompts.parse(explanation).answer or "") if isinstance(explanation, str) else ""


def _refuse_empty_cells(explanation: str, where: str) -> None:
    """Refuse tags that were put round an empty cell: `<think>nan</think>`."""
    if not _EMPTY_PART.search(explanation):
        return
    parsed = prompts.parse(explanation)
    parts = (("think", "explanation", parsed.think), ("answer", "answer", parsed.answer))
    for tag, field, text in parts:
        if text is not None and cells.is_missing(field, text):
            raise InputError(
                f"{where}: explanation has <{tag}>{text}</{tag}>, an empty cell between its tags:"
                " write the text, or remove the explanation"
            )


def kind_of(stem: str, images: int) -> Kind:
    """The kind of a row that names none: from the file (`test_compare_vqa`), else two films are compared."""
    named = [kind for kind in KINDS if kind in stem.lower()]
    return named[0] if len(named) == 1 else "compare" if images == 2 else "basic"


def label(where: str, raw: Any) -> str:
    """Where a row stands, with its id if it has one: what every error begins with."""
    name = raw.get("id") if isinstance(raw, Mapping) else None
    plain = isinstance(name, str | int | float) and name != "" and not cells.is_missing("id", name)
    return f"{where} (id {shown(name)})" if plain else where


def _validated(raw: Any, where: str) -> Row:
    if not isinstance(raw, Mapping):
        raise InputError(f"{where} is no object: write one JSON object a row")
    try:
        folded = fold_aliases(cells.clean(raw))
    except ValueError as error:
        raise InputError(f"{label(where, raw)}: {error}") from None
    if advice := foreign_forms.embedded(folded["images"]):
        raise InputError(f"{label(where, raw)}: field images is no name of a file: {advice}")
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


def _empty_answer(row: Mapping[str, Any]) -> str:
    """What to do about a row that has an empty answer, or none."""
    if has_empty_answer(row):
        return (
            "if it is empty on purpose, run `chexphi data import mimic-vqa-cot FILE --out OUT` with"
            " --empty-answer none (the answer becomes none) or --empty-answer skip (the row is left out)"
        )
    value = row.get("answer")
    if value is not None and cells.is_missing("answer", value):
        return f"`answer` is {value!r}, an empty cell: write the answer, or remove the row"
    return foreign_forms.hint(row, "answer") or "add `answer`, or <answer>…</answer> in `explanation`"


def _images(row: Row, raw: Mapping[str, Any], root: Path, where: str) -> tuple[str, ...]:
    """References of the films with their suffixes.

    Raises:
        InputError: If there are none, or the row names its film by `image_path` and no film by `image_id`.
    """
    if row.images is None or not all(row.images):
        advice = "add `images` (an empty list if the question needs no film)"
        raise InputError(f"{where} has no image: {foreign_forms.hint(raw, 'image') or advice}")
    refs = tuple(with_suffix(ref, root) for ref in row.images)
    by_id = raw.get("image_id") and not any(raw.get(field) for field in cells.IMAGES[:-1])
    if by_id and raw.get("image_path") and not any(is_film(ref, root) for ref in refs):
        raise InputError(f"{where} has no image under its `image_id`: {foreign_forms.hint(raw, 'image')}")
    return refs


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
        advice = foreign_forms.hint(raw, "question") or "add `question`, or a user turn in `messages`"
        raise InputError(f"{where} has no question: {advice}")
    _refuse_empty_cells(row.explanation, where)
    answer = [text for text in row.answer if text] or [_own_answer(row.explanation)]
    if not answer[0]:
        raise InputError(f"{where} has no answer: {_empty_answer(raw)}")
    images = _images(row, raw, root, where)
    kind = row.kind.lower() or kind_of(stem, len(images))
    if kind not in KINDS:
        raise InputError(
            f"{where}: unknown kind {shown(row.kind)}: use {', '.join(KINDS[:-1])} or {KINDS[-1]}"
        )
    fields = row.model_dump(exclude={"id", "images", "answer", "kind", "scene"})
    return Example(
        id=row.id or default_id,
        images=images,
        answer=tuple(answer),
        kind=kind,
        scene=tuple(row.scene) if row.scene is not None else None,
        **fields,
    )
