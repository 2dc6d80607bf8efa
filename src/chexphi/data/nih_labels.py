"""NIH ChestX-ray14 thumbnails with labels, as presence, view and gender questions.

Reads `labels.csv` (image, split, patient_id, follow_up, age, gender, view, findings joined by `|`) and
`images/`. The labels were mined from reports by the NIH Clinical Center (Wang et al., CVPR 2017), with
their known noise; a finding that is not labelled counts as absent. The reasoning is put together from
the labels by templates: no radiologist wrote it. The splits are the file's own, by patient.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chexphi import prompts
from chexphi.data import publish
from chexphi.schema import Example, InputError

COLUMNS = ("image", "split", "patient_id", "gender", "view", "findings")
NONE = "No Finding"
# Label: the finding's name, and with the article a sentence needs.
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
RARE = frozenset({"Edema", "Hernia", "Pneumonia"})
"""Fewer than ten training films of the thumbnails have them: mentioned in reasoning, never asked about."""
ASKED = tuple(label for label in FINDINGS if label not in RARE)
GENDERS = {"M": "male", "F": "female"}
VIEWS = ("PA", "AP")

_PRESENT = ("There is {}.", "{} is seen.", "The image shows {}.", "I see {}.")
_ALSO = ("There is also {}.", "{} is also seen.", "The image also shows {}.")
_ABSENT = ("There is no {}.", "No {} is seen.", "I see no {}.", "The image shows no {}.")
_NORMAL = ("No abnormality is seen.", "I see no abnormality.")
_ASK = ("Is there {}?", "Does this film show {}?", "Can {} be seen on this film?")
_ASK_VIEW = ("Is this a PA or an AP film?", "Was this film taken PA or AP?")
_SAY_VIEW = ("This is {} film.", "The film was taken in {} projection.")
_ASK_GENDER = ("Is the patient male or female?", "Is this the chest of a male or a female patient?")
_SAY_GENDER = ("The patient is {}.", "This is the chest of a {} patient.")


@dataclass(frozen=True, slots=True)
class Film:
    """One line of `labels.csv`."""

    image: str
    split: str
    patient: str
    gender: str
    view: str
    findings: tuple[str, ...]
    """Labels in the order of `FINDINGS`; none if the film has no labelled finding."""


def read_films(folder: Path) -> list[Film]:
    """The lines of `labels.csv`.

    Raises:
        InputError: If the file is missing or empty, lacks a column, holds an unknown label, view, gender
            or a line with too few values, or names a film twice; the line is named.
    """
    table = folder / "labels.csv"
    if not table.is_file():
        raise InputError(f"{folder} holds no labels.csv: give the folder of the NIH thumbnails")
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(
                f"{table} lacks the column {missing[0]}: its first line must name {', '.join(COLUMNS)}"
            )
        films = [_film(row, f"{table}, line {reader.line_num}") for row in reader]
    if not films:
        raise InputError(f"{table} is empty: it needs at least one film")
    if len({film.image for film in films}) < len(films):
        raise InputError(f"{table} names a film twice: keep one line a film")
    _refuse_leaks(films, table)
    return films


def _film(row: Mapping[str, str | None], where: str) -> Film:
    values = {name: (row[name] or "").strip() for name in COLUMNS}
    empty = [name for name, value in values.items() if not value]
    if empty:
        raise InputError(f"{where} has no {empty[0]}: complete or remove the line")
    labels = set(values["findings"].split("|")) - {NONE}
    for field, value, known in (
        ("view", values["view"], VIEWS),
        ("gender", values["gender"], tuple(GENDERS)),
        *(("finding", label, tuple(FINDINGS)) for label in sorted(labels)),
    ):
        if value not in known:
            raise InputError(f"{where}: unknown {field} {value!r}: use one of {', '.join(known)}")
    findings = tuple(label for label in FINDINGS if label in labels)
    return Film(
        values["image"], values["split"], values["patient_id"], values["gender"], values["view"], findings
    )


def _refuse_leaks(films: Sequence[Film], table: Path) -> None:
    split_of: dict[str, str] = {}
    for film in films:
        if split_of.setdefault(film.patient, film.split) != film.split:
            raise InputError(
                f"{table} has a patient in two splits (film {film.image!r}): keep patients in one split"
            )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _say(rng: random.Random, frames: Sequence[str], what: str) -> str:
    return _capital(rng.choice(frames).format(what))


def describe(rng: random.Random, findings: Sequence[str], *, also: bool = False) -> list[str]:
    """One sentence a finding, or one that says that there is none."""
    if not findings:
        return [] if also else [rng.choice(_NORMAL)]
    frames = [_ALSO if also or place else _PRESENT for place in range(len(findings))]
    return [_say(rng, frame, FINDINGS[label][1]) for frame, label in zip(frames, findings, strict=True)]


def _example(
    film: Film, about: str, question: str, think: Sequence[str], answer: str, semantic: str
) -> Example:
    stem = Path(film.image).stem
    return Example(
        id=f"nih-{stem}-{about.replace(' ', '-')}",
        images=(film.image,),
        question=question,
        answer=(answer,),
        explanation=prompts.render(" ".join(think), answer),
        kind="basic",
        semantic_type=semantic,
        question_type=about,
        answer_type="closed",
        subject_id=film.patient,
        study_id=stem,
        split=film.split,
    )


def presence(rng: random.Random, film: Film, label: str) -> Example:
    """A question about one finding; the reasoning answers it first, then names the film's other findings."""
    name, phrase = FINDINGS[label]
    there = label in film.findings
    others = [other for other in film.findings if other != label]
    first = _say(rng, _PRESENT, phrase) if there else _say(rng, _ABSENT, name)
    think = [first, *describe(rng, others, also=there)] if there or others else [first]
    question = _say(rng, _ASK, phrase)
    return _example(film, f"presence of {name}", question, think, "yes" if there else "no", "verify")


def view(rng: random.Random, film: Film) -> Example:
    """PA or AP."""
    article = {"PA": "a PA", "AP": "an AP"}[film.view]
    think = [_say(rng, _SAY_VIEW, article), *describe(rng, film.findings)]
    return _example(film, "view", rng.choice(_ASK_VIEW), think, film.view, "choose")


def gender(rng: random.Random, film: Film) -> Example:
    """Male or female."""
    answer = GENDERS[film.gender]
    think = [_say(rng, _SAY_GENDER, answer), *describe(rng, film.findings)]
    return _example(film, "gender", rng.choice(_ASK_GENDER), think, answer, "choose")


def _asked(rng: random.Random, films: Sequence[Film], label: str) -> list[Film]:
    """Every film with a finding and as many without, as far as there are; drawn, in the films' order."""
    there = {film.image for film in films if label in film.findings}
    without = [film.image for film in films if film.image not in there]
    drawn = there | set(rng.sample(without, min(len(there), len(without))))
    return [film for film in films if film.image in drawn]


def questions(films: Sequence[Film], rng: random.Random) -> Iterator[Example]:
    """All questions about the films of one split."""
    for film in films:
        yield view(rng, film)
        yield gender(rng, film)
    for label in ASKED:
        for film in _asked(rng, films, label):
            yield presence(rng, film, label)


def convert(
    src: Path, out: Path, *, limit: int | None = None, seed: int = 0, split: str | None = None
) -> dict[str, Any]:
    """Write `train.json` and `valid.json` into a folder, or all into one file.

    Args:
        src: Folder with `labels.csv` and `images/`.
        out: A folder, or a file that ends in .json, .jsonl or .parquet.
        limit: Use the first films of each split only.
        seed: Seed of the balanced draws and of the wording.
        split: Write this split only.

    Returns:
        See `publish.publish`.

    Raises:
        InputError: For a broken table, or a film that is missing or damaged.
    """
    films = read_films(src)
    if limit is not None and limit < 1:
        raise InputError(f"limit {limit} leaves no films: give at least 1")
    root = src / "images"
    if not root.is_dir():
        raise InputError(f"{src} holds no folder images: give the folder of the NIH thumbnails")
    examples: list[Example] = []
    for name in sorted({film.split for film in films}):
        part = [film for film in films if film.split == name][:limit]
        examples += questions(part, random.Random(f"{seed}/{name}"))
    return publish.publish(publish.by_split(out, examples, split=split), root)
