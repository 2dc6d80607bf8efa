"""NIH ChestX-ray14's films with their labels, as presence, view and gender questions.

Reads the published table or the thumbnails' `labels.csv` (see `nih_tables.py`), and the films. The labels
were mined from reports by the NIH Clinical Center (Wang et al., CVPR 2017), with their known noise; a finding
that is not labelled counts as absent. Templates make the reasoning from the labels: no radiologist
wrote it. Splits are by patient.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chexphi import prompts
from chexphi.data.importers import publish
from chexphi.data.importers.nih_tables import FINDINGS, GENDERS, Film, read_table, under_root
from chexphi.data.read import check_limit
from chexphi.data.references import is_film
from chexphi.schema import Example

RARE = frozenset({"Edema", "Hernia", "Pneumonia"})
"""Findings of fewer than ten training films of the thumbnails: mentioned there, but not asked about."""

_PRESENT = ("There is {}.", "{} is seen.", "The image shows {}.", "I see {}.")
_ALSO = ("There is also {}.", "{} is also seen.", "The image also shows {}.")
_ABSENT = ("There is no {}.", "No {} is seen.", "I see no {}.", "The image shows no {}.")
_NORMAL = ("No abnormality is seen.", "I see no abnormality.")
_ASK = ("Is there {}?", "Does this film show {}?", "Can {} be seen on this film?")
_ASK_VIEW = ("Is this a PA or an AP film?", "Was this film taken PA or AP?")
_SAY_VIEW = ("This is {} film.", "The film was taken in {} projection.")
_ASK_GENDER = ("Is the patient male or female?", "Is this the chest of a male or a female patient?")
_SAY_GENDER = ("The patient is {}.", "This is the chest of a {} patient.")


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _say(rng: random.Random, frames: Sequence[str], phrase: str) -> str:
    return _capitalized(rng.choice(frames).format(phrase))


def describe(rng: random.Random, findings: Sequence[str], *, also: bool = False) -> list[str]:
    """One sentence for each finding, or one that says that there is none."""
    if not findings:
        return [] if also else [rng.choice(_NORMAL)]
    frames = [_ALSO if also or index else _PRESENT for index in range(len(findings))]
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
    is_present = label in film.findings
    other_findings = [finding for finding in film.findings if finding != label]
    sentence = _say(rng, _PRESENT, phrase) if is_present else _say(rng, _ABSENT, name)
    think = (
        [sentence, *describe(rng, other_findings, also=is_present)]
        if is_present or other_findings
        else [sentence]
    )
    question = _say(rng, _ASK, phrase)
    return _example(film, f"presence of {name}", question, think, "yes" if is_present else "no", "verify")


def view(rng: random.Random, film: Film) -> Example:
    """The question whether the film is PA or AP."""
    article = {"PA": "a PA", "AP": "an AP"}[film.view]
    think = [_say(rng, _SAY_VIEW, article), *describe(rng, film.findings)]
    return _example(film, "view", rng.choice(_ASK_VIEW), think, film.view, "choose")


def gender(rng: random.Random, film: Film) -> Example:
    """The question whether the patient is male or female."""
    answer = GENDERS[film.gender]
    think = [_say(rng, _SAY_GENDER, answer), *describe(rng, film.findings)]
    return _example(film, "gender", rng.choice(_ASK_GENDER), think, answer, "choose")


def _balanced_films(rng: random.Random, films: Sequence[Film], label: str) -> list[Film]:
    """All films with a finding and as many without, if there are enough; those without are drawn.

    They stay in the order of `films`.
    """
    positives = {film.image for film in films if label in film.findings}
    negatives = [film.image for film in films if film.image not in positives]
    images = positives | set(rng.sample(negatives, min(len(positives), len(negatives))))
    return [film for film in films if film.image in images]


def questions(films: Sequence[Film], rng: random.Random, presence_labels: Sequence[str]) -> Iterator[Example]:
    """All questions about the films of one split; `presence_labels` are the findings that are asked about."""
    for film in films:
        yield view(rng, film)
        yield gender(rng, film)
    for label in presence_labels:
        for film in _balanced_films(rng, films, label):
            yield presence(rng, film, label)


def convert(
    src: Path,
    out: Path,
    *,
    image_root: Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    split: str | None = None,
    empty_answer: str = "refuse",
    missing_films: str = "refuse",
) -> dict[str, Any]:
    """Write one file for each split into a folder, or all into one file.

    Args:
        src: Folder with the table and the films, or the table.
        out: A folder, or a file that ends in .json, .jsonl or .parquet.
        image_root: Folder of the films; see `nih_tables.under_root`.
        limit: Use the first films of each split only.
        seed: Seed of the balanced draws, the wording, and the split where the table has none.
        split: Write this split only.
        empty_answer: Unused, since a line without labels is refused; every importer takes one.
        missing_films: See `convert.convert`.

    Returns:
        See `publish.publish` and `convert.convert`, with the table's lines as `rows_read`; also
        `split_made` (True if the table has no split).

    Raises:
        InputError: For a broken table, or a film that is missing or damaged.
    """
    table = read_table(src, seed=seed)
    check_limit(limit, "films")
    films, root = under_root(table.films, table.path.parent, image_root)
    available_films = [film for film in films if missing_films == "refuse" or is_film(film.image, root)]
    presence_labels = [label for label in FINDINGS if table.published or label not in RARE]
    examples: list[Example] = []
    for name in sorted({film.split for film in available_films}):
        films_of_split = [film for film in available_films if film.split == name][:limit]
        examples += questions(films_of_split, random.Random(f"{seed}/{name}"), presence_labels)
    files = publish.by_split(out, examples, split=split)
    summary = publish.publish(files, root)
    left_out = {
        "the film is missing": len(films) - len(available_films),
        "beyond --limit, or of another split": len(available_films) - summary["images"],
    }
    return {
        **summary,
        "split_made": table.published,
        "rows_read": len(films),
        "left_out": {reason: count for reason, count in left_out.items() if count},
    }
