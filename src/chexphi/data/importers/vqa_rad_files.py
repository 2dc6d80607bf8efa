"""VQA-RAD's files: which rows are about the chest, which patient a film belongs to, how patients are split.

Two forms are read: the published `VQA_RAD Dataset Public.json` with `VQA_RAD Image Folder` beside it (2,248
rows, 794 of the chest), and `vqa_rad_chest.json`, its chest part with a `split` for each row.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chexphi.data import cells
from chexphi.data.importers.publish import shown_name
from chexphi.data.read import image_root_of
from chexphi.data.rows import has_empty_answer
from chexphi.files import read_json
from chexphi.schema import InputError, is_text, type_shown

FILES = ("vqa_rad_chest.json", "VQA_RAD*.json")
FOLDERS = ("VQA_RAD Image Folder", "images")
ORGAN = "CHEST"
SPLITS = {"train": "train", "dev": "valid", "test": "test"}
VALID_SHARE = 0.2
"""Share of cases for validation if the file's own splits share a case; our choice, as in the file."""
REQUIRED_FIELDS = (
    "qid",
    "question",
    "answer",
    "image_name",
    "image_case_url",
    "answer_type",
    "question_type",
)


@dataclass(frozen=True, slots=True)
class Source:
    """The chest part of a file."""

    rows: list[dict[str, Any]]
    image_root: Path
    rows_read: int
    left_out: dict[str, int]
    """Rows that are not in `rows`, by reason."""


def _find_file(src: Path) -> Path:
    candidates = [path for name in FILES for path in sorted(src.glob(name))] if src.is_dir() else [src]
    if candidates and candidates[0].is_file() and candidates[0].suffix.lower() == ".json":
        return candidates[0]
    spreadsheets = sorted(src.glob("VQA_RAD*.x*")) if src.is_dir() else []
    also = f" (the published {spreadsheets[0].name} is not read)" if spreadsheets else ""
    raise InputError(
        f"{src} holds no {FILES[0]} and no 'VQA_RAD Dataset Public.json'{also}: give the folder of VQA-RAD"
    )


def _read_rows(file: Path) -> list[Any]:
    rows = read_json(file, advice="download it again", nan=True)  # NaN: an empty cell
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{file} is empty: it must hold an array of rows")
    return rows


def read_source(src: Path, *, image_root: Path | None = None, empty_answer: str = "refuse") -> Source:
    """The rows about the chest, checked, and where their films are.

    Args:
        src: Folder of VQA-RAD, or its JSON file.
        image_root: Folder of the films; by default `VQA_RAD Image Folder`, `images` or the file's own.
        empty_answer: See `convert.convert`.

    Raises:
        InputError: If the file is missing, broken or empty, or a row about the chest lacks a field.
    """
    file = _find_file(src)
    default_root = next(
        (file.parent / name for name in FOLDERS if (file.parent / name).is_dir()), file.parent
    )
    root = default_root if image_root is None else image_root_of(file, image_root)
    rows, left_out = _read_rows(file), Counter[str]()
    chest_rows = []
    for number, row in enumerate(rows, 1):
        organ = _organ(row, f"{file}, row {number}")
        if organ.upper() != ORGAN:
            left_out[f"about another part of the body ({shown_name(organ)})"] += 1
        elif empty_answer == "skip" and isinstance(row, dict) and has_empty_answer(row):
            left_out["the answer is empty"] += 1
        else:
            chest_rows.append(_checked_row(row, f"{file}, row {number}", empty_answer))
    if len({row["qid"] for row in chest_rows}) < len(chest_rows):
        raise InputError(f"{file} holds a qid twice: keep one row a question")
    return Source(chest_rows, root, len(rows), dict(left_out))


def _organ(row: Any, location: str) -> str:
    """The part of the body that a row is about; the chest where a row does not name one."""
    organ = row.get("image_organ") if isinstance(row, dict) else None
    if organ and not cells.is_missing("image_organ", organ) and not is_text(organ):
        raise InputError(f"{location}: field image_organ is {type_shown(organ)}: write it as text")
    return organ.strip() if isinstance(organ, str) and organ.strip() else ORGAN


def _checked_row(row: Any, location: str, empty_answer: str) -> dict[str, Any]:
    """The row with its required fields as texts without blanks around them.

    Raises:
        InputError: If a field is missing, or its value is of a wrong type.
    """
    values = row if isinstance(row, dict) else {}
    if empty_answer == "none" and has_empty_answer(values):
        values = {**values, "answer": "none"}
    texts = {}
    for name in REQUIRED_FIELDS:
        value = values.get(name)
        if cells.is_missing(name, value) or not str(value).strip():
            raise InputError(f"{location} has no {name}: complete or remove the row")
        try:
            texts[name] = " ".join(str(cells.repaired(name, value)).split())
        except ValueError as error:
            raise InputError(f"{location}: {error}") from None
        if not is_text(texts[name]):
            raise InputError(f"{location}: field {name} holds half of a character: write it again")
    for name in ("split", "phrase_type"):
        if not cells.is_missing(name, values.get(name)) and not is_text(values[name]):
            raise InputError(f"{location}: field {name} is {type_shown(values[name])}: write it as text")
    return {**values, **texts}


def subjects_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The patient of each film: its case; cases that share a film are one patient, named by the first."""
    films: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        films[row["image_name"]].add(str(row["image_case_url"]).rpartition("=")[2])
    subject_of_case = {case: case for cases in films.values() for case in cases}
    for cases in films.values():
        linked_subjects = {subject_of_case[case] for case in cases}
        subject_of_case = {
            case: min(linked_subjects) if current in linked_subjects else current
            for case, current in subject_of_case.items()
        }
    return {film: subject_of_case[min(cases)] for film, cases in films.items()}


def splits_of(
    rows: Sequence[Mapping[str, Any]], subjects: Mapping[str, str], seed: int
) -> tuple[dict[str, str], bool]:
    """The split of each patient, and whether it was drawn because the file's own splits share a patient."""
    splits_of_subject: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        splits_of_subject[subjects[row["image_name"]]].add(_split_of_row(row))
    if all(len(splits) == 1 for splits in splits_of_subject.values()):
        return {subject: next(iter(splits)) for subject, splits in splits_of_subject.items()}, False
    order = sorted(splits_of_subject)
    random.Random(seed).shuffle(order)
    valid_count = max(1, round(VALID_SHARE * len(order)))
    return {
        subject: "valid" if position < valid_count else "train" for position, subject in enumerate(order)
    }, True


def _split_of_row(row: Mapping[str, Any]) -> str:
    """The row's `split`; the published file marks its test questions by `test_…` in `phrase_type`."""
    if cells.is_missing("split", row.get("split")):
        return "test" if str(row.get("phrase_type", "")).startswith("test") else "train"
    return SPLITS.get(row["split"], str(row["split"]))
