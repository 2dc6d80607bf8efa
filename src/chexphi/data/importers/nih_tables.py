"""NIH ChestX-ray14's tables: a line for each film with its labels, its patient and its split.

Two forms are read: the published `Data_Entry_2017_v2020.csv` (or `Data_Entry_2017.csv`), with the published
`test_list.txt` beside it if it is there, and `labels.csv` of the thumbnails, with a split for each film.
"""

from __future__ import annotations

import csv
import io
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chexphi.data import cells
from chexphi.data.read import image_root_of
from chexphi.schema import InputError, shown

TABLES = ("labels.csv", "Data_Entry_2017*.csv")
PUBLISHED = {
    "image": "Image Index",
    "patient_id": "Patient ID",
    "gender": "Patient Gender",
    "view": "View Position",
    "findings": "Finding Labels",
}
"""The published columns by our names; others are not used."""
COLUMNS = ("image", "split", "patient_id", "gender", "view", "findings")
TEST_LIST = "test_list.txt"
VALID_SHARE = 0.1
"""Share of the patients for validation where the table has no split; our choice, as in the thumbnails."""
NO_FINDING = "No Finding"
# Label: the finding's name, and the same with the article that a sentence needs.
FINDINGS: dict[str, tuple[str, str]] = {
    "Atelectasis": ("atelectasis", "atelectasis"),
    "Cardiomegaly": ("cardiomegaly", "cardiomegaly"),
    "Consolidation": ("consolidation", "consolidation"),
    "Edema": ("pulmonary edema", "pulmonary edema"),
    "Effusion": ("pleural effusion", "a pleural effusion"),
    "Emphysema": ("emphysema", "emphysema"),
    "Fibrosis": ("fibrosis", "fibrosis"),
    "Hernia": ("hernia", "a hernia"),
    "Infiltration": ("infiltration", "an infiltration"),
    "Mass": ("mass", "a mass"),
    "Nodule": ("nodule", "a nodule"),
    "Pleural_Thickening": ("pleural thickening", "pleural thickening"),
    "Pneumonia": ("pneumonia", "pneumonia"),
    "Pneumothorax": ("pneumothorax", "a pneumothorax"),
}
GENDERS = {"M": "male", "F": "female"}
VIEWS = ("PA", "AP")


@dataclass(frozen=True, slots=True)
class Film:
    """One line of a table."""

    image: str
    """Relative to the image root."""
    split: str
    patient: str
    gender: str
    view: str
    findings: tuple[str, ...]
    """Labels in the order of `FINDINGS`; none if the film has no labelled finding."""


@dataclass(frozen=True, slots=True)
class Table:
    """The films of a table."""

    path: Path
    films: list[Film]
    published: bool
    """Whether it is the published form, which has no split: the split was drawn by patient."""


def find_table(src: Path) -> Path:
    """The table in a folder, or the file itself.

    Raises:
        InputError: If there is none.
    """
    candidates = [path for name in TABLES for path in sorted(src.glob(name))] if src.is_dir() else [src]
    if not candidates or not candidates[0].is_file():
        raise InputError(
            f"{src} holds no labels.csv and no Data_Entry_2017_v2020.csv: give the folder of NIH's films"
        )
    return candidates[0]


def read_table(src: Path, *, seed: int = 0) -> Table:
    """The films of a table.

    Args:
        src: The folder that holds it, or the file.
        seed: Seed of the split by patient, where the table has none.

    Raises:
        InputError: If the file is missing or empty, lacks a column, holds an unknown label, view, gender
            or a line with too few values, or names a film twice. The message names the line.
    """
    path = find_table(src)
    reader = csv.DictReader(io.StringIO(_read_text(path), newline=""), strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        names = _column_names(header, path)
        films = [_film_of_row(row, names, f"{path}, line {reader.line_num}") for row in reader]
    except csv.Error as error:
        location = f"{path}, line {reader.reader.line_num}"
        raise InputError(f"{location} is not CSV ({error}): repair its quotes") from None
    if not films:
        raise InputError(f"{path} is empty: it needs at least one film")
    commonest_image, count = Counter(film.image for film in films).most_common(1)[0]
    if count > 1:
        raise InputError(f"{path} names a film twice ({shown(commonest_image)}): keep one line a film")
    published = names is PUBLISHED
    if published:
        films = _with_drawn_split(films, _read_test_list(path.parent), seed)
    _refuse_leaks(films, path)
    return Table(path, films, published)


def _read_text(path: Path) -> str:
    """A file's text.

    Raises:
        InputError: If it is not UTF-8, or cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check its permissions") from None


def _column_names(header: Sequence[str], path: Path) -> Mapping[str, str]:
    """The table's columns by our names.

    Raises:
        InputError: If a column is missing, or appears twice.
    """
    names = PUBLISHED if PUBLISHED["image"] in header else {name: name for name in COLUMNS}
    for name in names.values():
        if name not in header:
            raise InputError(
                f"{path} lacks the column {name}: its first line must name {', '.join(names.values())}"
            )
        if header.count(name) > 1:
            raise InputError(f"{path} has the column {name} twice: keep one")
    return names


def _film_of_row(row: Mapping[str, str | None], names: Mapping[str, str], location: str) -> Film:
    extra_cells: Any = row.get(None, ())  # type: ignore[call-overload]
    if any(cell.strip() for cell in extra_cells):
        raise InputError(f"{location} has more cells than the first line has columns: correct the line")
    values = {name: (row[column] or "").strip() for name, column in names.items()}
    if damaged := next((names[name] for name, value in values.items() if "\0" in value), None):
        raise InputError(f"{location}: {damaged} holds the character NUL: write it again")
    empty = [column for name, column in names.items() if cells.is_missing(name, values[name] or None)]
    if empty:
        raise InputError(f"{location} has no {empty[0]}: complete or remove the line")
    labels = set(values["findings"].split("|"))
    if NO_FINDING in labels and len(labels) > 1:
        raise InputError(f"{location}: findings name {NO_FINDING!r} beside others: correct the row")
    labels -= {NO_FINDING}
    for field, value, choices in (
        ("view", values["view"], VIEWS),
        ("gender", values["gender"], tuple(GENDERS)),
        *(("finding", label, tuple(FINDINGS)) for label in sorted(labels)),
    ):
        if value not in choices:
            raise InputError(f"{location}: unknown {field} {shown(value)}: use one of {', '.join(choices)}")
    findings = tuple(label for label in FINDINGS if label in labels)
    patient = str(cells.repaired("subject_id", values["patient_id"]))
    return Film(values["image"], values.get("split", ""), patient, values["gender"], values["view"], findings)


def _read_test_list(folder: Path) -> frozenset[str]:
    """The films of the published test split; none if there is no list."""
    path = folder / TEST_LIST
    return frozenset(_read_text(path).split()) if path.is_file() else frozenset()


def _with_drawn_split(films: Sequence[Film], test: frozenset[str], seed: int) -> list[Film]:
    """The films with the published test split, and a drawn share of the other patients for validation."""
    patients = sorted({film.patient for film in films if film.image not in test})
    random.Random(seed).shuffle(patients)
    valid = set(patients[: round(VALID_SHARE * len(patients))])
    return [
        replace(
            film,
            split="test" if film.image in test else "valid" if film.patient in valid else "train",
        )
        for film in films
    ]


def _refuse_leaks(films: Sequence[Film], table: Path) -> None:
    split_of: dict[str, str] = {}
    for film in films:
        if split_of.setdefault(film.patient, film.split) != film.split:
            raise InputError(
                f"{table} has a patient in two splits (film {shown(film.image)}): keep patients in one split"
            )


def under_root(films: Iterable[Film], folder: Path, image_root: Path | None) -> tuple[list[Film], Path]:
    """The films with their paths under the image root, and the root.

    Films are in `images`, or in `images_001/images` and so on, as Kaggle has them.

    Raises:
        InputError: If there is no such folder.
    """
    if image_root is not None or (folder / "images").is_dir():
        return list(films), image_root_of(folder, image_root)
    image_folders = sorted(path for path in folder.glob("images_0*/images") if path.is_dir())
    if not image_folders:
        raise InputError(f"{folder} holds no folder images: give the folder of NIH's films, or --image-root")
    paths = {
        path.name: path.relative_to(folder).as_posix()
        for image_folder in image_folders
        for path in image_folder.iterdir()
    }
    return [replace(film, image=paths.get(film.image, film.image)) for film in films], folder
