"""One raw row as an `Example`: aliases resolved, fields validated, errors that name the row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from chexphi import prompts
from chexphi.data import cells, drawn_fields, foreign_forms
from chexphi.data.messages import text_of_turn
from chexphi.data.references import is_film, with_suffix
from chexphi.schema import KINDS, Example, InputError, Kind, shown, word_shown

_EMPTY_TAG = re.compile(r">\s*(?:-?nan|<na>|nat|none|null|#?n/a|na)\s*<", re.IGNORECASE)
"""Text that may be an empty cell between tags; explanations without it are not parsed."""
_PLACEHOLDER = re.compile(r"<image>|<\|image_\d+\|>", re.IGNORECASE)


class Row(BaseModel):
    """The fields of a row once its aliases are resolved; other keys are ignored."""

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

    @field_validator("images", "answer", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return value if isinstance(value, list | tuple) else [value]


def fold_aliases(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row under the names of `Example`, given without empty cells; a field's own name wins over aliases.

    Raises:
        ValueError: As `text_of_turn`, if the question or the explanation is in `messages`.
    """
    images = next((row[key] for key in cells.IMAGES if row.get(key, "") != ""), None)
    question = row.get("question") or text_of_turn(row.get("messages"), "user")
    explanation = row.get("explanation") or row.get("solution")
    explanation = explanation or text_of_turn(row.get("messages"), "assistant")
    if isinstance(question, str) and "<" in question:
        question = _PLACEHOLDER.sub(" ", question).strip()
    return {**row, "images": images, "question": question, "explanation": explanation}


def has_empty_answer(raw: Mapping[str, Any]) -> bool:
    """Whether a row has an answer that is given and empty (`[]`, `""`), and none in its explanation.

    An empty cell (null, NaN) does not count: a missing answer is not known to be empty.
    """
    answer = raw.get("answer")
    entries = answer if isinstance(answer, list | tuple) else [answer]
    if not all(isinstance(entry, str) and not entry.strip() for entry in entries):
        return False
    row = {field: value for field, value in raw.items() if not cells.is_missing(field, value)}
    try:
        return not _answer_of_explanation(fold_aliases(row)["explanation"])
    except ValueError:  # `to_example` says what is wrong
        return False


def _answer_of_explanation(explanation: Any) -> str:
    return (prompts.parse(explanation).answer or "") if isinstance(explanation, str) else ""


def _refuse_empty_cells(explanation: str, location: str) -> None:
    """Refuse tags around an empty cell: `<think>nan</think>`."""
    if not _EMPTY_TAG.search(explanation):
        return
    parsed = prompts.parse(explanation)
    tag_texts = (("think", "explanation", parsed.think), ("answer", "answer", parsed.answer))
    for tag, field, text in tag_texts:
        if text is not None and cells.is_missing(field, text):
            raise InputError(
                f"{location}: explanation has <{tag}>{text}</{tag}>, an empty cell between its tags:"
                " write the text, or remove the explanation"
            )


def kind_of(stem: str, images: int) -> Kind:
    """The kind of a row without one: from the file's name (`test_compare_vqa`) or its number of films."""
    kinds_in_name = [kind for kind in KINDS if kind in stem.lower()]
    return kinds_in_name[0] if len(kinds_in_name) == 1 else "compare" if images == 2 else "basic"


def name_row(location: str, raw: Any) -> str:
    """The location of a row, with its id if it has one: every error begins with it."""
    row_id = raw.get("id") if isinstance(raw, Mapping) else None
    has_id = isinstance(row_id, str | int | float) and row_id != "" and not cells.is_missing("id", row_id)
    return f"{location} (id {shown(row_id)})" if has_id else location


def _validate(raw: Any, location: str) -> tuple[Row, dict[str, Any]]:
    """The text fields, and `scene` and `graph`."""
    if not isinstance(raw, Mapping):
        raise InputError(f"{location} is not an object: write one JSON object a row")
    try:
        folded = fold_aliases(cells.clean(raw))
        scene_and_graph = {
            "scene": drawn_fields.read_scenes(folded.get("scene")),
            "graph": drawn_fields.read_graph(folded.get("graph")),
        }
        if advice := foreign_forms.advice_on_embedded(folded["images"]):
            raise ValueError(f"field images is not the name of a file: {advice}")
        if folded["images"] is None:
            del folded["images"]
        return Row.model_validate(folded), scene_and_graph
    except ValidationError as error:
        raise InputError(f"{name_row(location, raw)}: {_validation_message(error)}") from None
    except ValueError as error:
        raise InputError(f"{name_row(location, raw)}: {error}") from None


def _validation_message(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_input=False)[0]
    field, *index_path = details["loc"]
    at = f" at place {int(index_path[0]) + 1}" if index_path else ""
    if details["type"] == "string_unicode":
        return f"field {field} holds half of a character{at} (a lone surrogate): write it again"
    return f"field {field} is not a text{at}: correct it"


def _empty_answer(row: Mapping[str, Any]) -> str:
    """What to do about a row that has an empty answer or no answer."""
    if has_empty_answer(row):
        return (
            "if it is empty on purpose, run `chexphi data import mimic-vqa-cot FILE --out OUT` with"
            " --empty-answer none (the answer becomes none) or --empty-answer skip (the row is left out)"
        )
    value = row.get("answer")
    if value is not None and cells.is_missing("answer", value):
        return f"`answer` is {shown(value)}, an empty cell: write the answer, or remove the row"
    return foreign_forms.hint(row, "answer") or "add `answer`, or <answer>…</answer> in `explanation`"


def _images(row: Row, raw: Mapping[str, Any], root: Path, location: str) -> tuple[str, ...]:
    """References of the films with their suffixes.

    Raises:
        InputError: If there are none, or the row has a film under `image_path` and none under `image_id`.
    """
    if row.images is None or not all(row.images):
        advice = "add `images` (an empty list if the question needs no film)"
        raise InputError(f"{location} has no image: {foreign_forms.hint(raw, 'image') or advice}")
    refs = tuple(with_suffix(ref, root) for ref in row.images)
    by_id = raw.get("image_id") and not any(raw.get(field) for field in cells.IMAGES[:-1])
    if by_id and raw.get("image_path") and not any(is_film(ref, root) for ref in refs):
        raise InputError(f"{location} has no image under its `image_id`: {foreign_forms.hint(raw, 'image')}")
    return refs


def to_example(raw: Any, *, location: str, default_id: str, stem: str, root: Path) -> Example:
    """Validate one row.

    Args:
        raw: The row as read.
        location: File and row, for errors.
        default_id: The id of a row without one.
        stem: Stem of the file's name, which may tell the kind.
        root: Image root, in which suffixes of references are looked up.

    Raises:
        InputError: If the row has no question, answer or image, or a field of the wrong type.
    """
    row, scene_and_graph = _validate(raw, location)
    location = name_row(location, raw)
    if not row.question:
        advice = foreign_forms.hint(raw, "question") or "add `question`, or a user turn in `messages`"
        raise InputError(f"{location} has no question: {advice}")
    _refuse_empty_cells(row.explanation, location)
    answer = [text for text in row.answer if text] or [_answer_of_explanation(row.explanation)]
    if not answer[0]:
        raise InputError(f"{location} has no answer: {_empty_answer(raw)}")
    images = _images(row, raw, root, location)
    kind = row.kind.lower() or kind_of(stem, len(images))
    if kind not in KINDS:
        raise InputError(
            f"{location}: unknown kind {word_shown(row.kind)}: use {', '.join(KINDS[:-1])} or {KINDS[-1]}"
        )
    fields = (
        row.__dict__ | {"id": row.id or default_id, "answer": tuple(answer), "kind": kind} | scene_and_graph
    )
    return Example(**fields | {"images": images})
