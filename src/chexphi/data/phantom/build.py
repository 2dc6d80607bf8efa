"""Datasets of drawn films on disk, in the original's layout.

```
out/images/<patient>/<study>.png
out/annotations/sight/train.json     clean captions and questions: teaches a small model to see
out/annotations/sft/train.json       the imperfect writer's text (see `perceive.perturb`)
out/annotations/pool/train.json      clean references: mined, then learned from by reward
out/annotations/uniform/<n>.json     a uniform sample of the pool (`hard_uniform/` is written by mining)
out/annotations/valid/valid.json     clean references
out/annotations/eval/test_{basic,region,compare}_vqa.json
out/contact_sheet.png                films of this seed: each finding alone, then a sample
out/phantom.json                     how it was made
```
No patient is in two parts. Training, validation and test differ in wording as well.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chexphi import atomic, ranges
from chexphi.data.phantom import disk
from chexphi.data.phantom.disk import Film, Progress
from chexphi.data.phantom.draw import MAX_SIZE, MIN_SIZE, contact_sheet
from chexphi.data.phantom.frames import Wording
from chexphi.data.phantom.language import Explanation, caption, explain
from chexphi.data.phantom.perceive import perturb
from chexphi.data.phantom.questions import Question, ask, ask_caption
from chexphi.data.phantom.scene import Scene, evolve, sample_build, sample_scene
from chexphi.ranges import PROCESSES, Range
from chexphi.schema import Example, InputError, Kind

KIND_CYCLE: tuple[Kind, ...] = (
    "basic", "compare", "basic", "region", "basic", "basic", "region", "basic", "compare", "basic",
)  # fmt: skip
"""Basic 60 %, region 20 %, compare 20 %."""
UNIFORM = (1000, 2000, 5000)
"""Sizes of the uniform samples of the pool, as in the original, as far as the pool allows."""
EXAMPLES = Range(0, 10_000_000)
"""Of a part; all are held in memory."""
TRIES = 20
"""Draws for a question not yet asked about the same films."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Examples in each part."""

    sight: int = 20_000
    sft: int = 4_000
    pool: int = 1_600
    valid: int = 400
    test: int = 1_000


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    wording: Wording
    per_patient: int
    """Examples of one patient, who has two films."""


_PARTS = (
    _Part("sight", "train", 4),
    _Part("sft", "train", 2),
    _Part("pool", "train", 2),
    _Part("valid", "valid", 4),
    _Part("test", "test", 10),
)


@dataclass(frozen=True, slots=True)
class _Patient:
    id: str
    films: tuple[Scene, Scene]
    """Prior and current."""

    def study(self, film: int) -> str:
        return f"{self.id}_s{film + 1}"

    def image(self, film: int, question: Question | None = None) -> str:
        """Path below the image root, without suffix; a film with a box is an image of its own."""
        box = question.box if question else None
        return "/".join((self.id, "_".join((self.study(film), *(box or ())))))


@dataclass(frozen=True, slots=True)
class _Asked:
    question: Question
    films: tuple[int, ...]
    explanation: Explanation


def build(
    out: Path,
    *,
    size: int = 64,
    seed: int = 0,
    counts: Sizes = Sizes(),
    overwrite: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write a dataset of drawn films; the same arguments give the same bytes.

    Args:
        out: Folder to make; whole or not at all.
        size: Side of the films in pixels, 64 to 512.
        seed: Of everything.
        counts: Examples in each part.
        overwrite: Replace the `annotations` and `images` of an earlier dataset in `out`.
        workers: Processes that draw; the files are the same for any number.
        progress: Called with (films drawn, films in all).

    Returns:
        Rows of each annotation file, by its path below `annotations`.

    Raises:
        InputError: If `out` holds files already or cannot be written, or a number is out of range.
    """
    _check(out, size, counts, workers, overwrite=overwrite)
    files: dict[str, list[dict[str, Any]]] = {}
    films: dict[str, Film] = {}
    for part in _PARTS:
        for patient, asked, number in _examples(part, getattr(counts, part.name), seed):
            row = _row(part, patient, asked, number)
            files.setdefault(_file(part, row), []).append(row)
            films |= _films(patient, asked)
    if "pool/train.json" in files:
        files |= _uniform(files["pool/train.json"], seed)
    settings = {"size": size, "seed": seed, "counts": dataclasses.asdict(counts)}
    with atomic.whole_folder(out) as folder:
        disk.draw_films(films, folder / "images", size, workers=workers, progress=progress)
        for name, rows in files.items():
            disk.write_rows(folder / "annotations" / name, rows)
        contact_sheet(folder / "contact_sheet.png", size=size, seed=seed)
        (folder / "phantom.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    return {name: len(rows) for name, rows in files.items()}


def _check(out: Path, size: int, counts: Sizes, workers: int, *, overwrite: bool) -> None:
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(f"film size {size} is out of range: use {MIN_SIZE} to {MAX_SIZE} pixels")
    ranges.check(dataclasses.asdict(counts), dict.fromkeys(dataclasses.asdict(counts), EXAMPLES), "phantom")
    ranges.check({"workers": workers}, {"workers": PROCESSES}, "phantom")
    if out.exists() and not out.is_dir():
        raise InputError(f"output {out} is a file: name a folder")
    if out.exists() and any(out.iterdir()) and not overwrite:
        raise InputError(f"output folder {out} already holds files: name another folder or give --overwrite")
    atomic.check_place(out.absolute().parent)


def _file(part: _Part, row: dict[str, Any]) -> str:
    if part.name == "test":
        return f"eval/test_{row['kind']}_vqa.json"
    return "valid/valid.json" if part.name == "valid" else f"{part.name}/train.json"


def _uniform(pool: Sequence[dict[str, Any]], seed: int) -> dict[str, list[dict[str, Any]]]:
    """Samples of the pool, each holding the smaller ones; the whole pool if it is smaller than all."""
    order = random.Random(f"{seed}/uniform").sample(list(pool), len(pool))
    sizes = [n for n in UNIFORM if n <= len(pool)] or [len(pool)]
    return {f"uniform/{n}.json": order[:n] for n in sizes}


def _examples(part: _Part, count: int, seed: int) -> Iterator[tuple[_Patient, _Asked, int]]:
    """The examples of one part with their patients and running numbers."""
    number = 0
    for index in range(-(-count // part.per_patient)):
        rng = random.Random(f"{seed}/{part.name}/{index}")
        patient = _patient(rng, f"{part.name}{index:06d}")
        seen: set[Any] = set()
        for turn in range(min(part.per_patient, count - number)):
            yield patient, _example(rng, part, patient, number, turn, seen), number
            number += 1


def _patient(rng: random.Random, name: str) -> _Patient:
    first = sample_scene(rng, sample_build(rng))
    return _Patient(name, (first, evolve(rng, first)))


def _example(
    rng: random.Random, part: _Part, patient: _Patient, number: int, turn: int, seen: set[Any]
) -> _Asked:
    """A caption (every second example of `sight`), or a question not yet asked of this patient."""
    if part.name == "sight" and number % 2 == 0:
        film = number // 2 % 2
        text, explanation = caption(rng, patient.films[film], part.wording)
        question = dataclasses.replace(ask_caption(rng, part.wording), text=text)
        return _Asked(question, (film,), explanation)
    kind = KIND_CYCLE[(number // 2 if part.name == "sight" else number) % len(KIND_CYCLE)]
    films = (0, 1) if kind == "compare" else ((number // 2 + 1) % 2 if part.name == "sight" else turn % 2,)
    scenes = [patient.films[film] for film in films]
    for _ in range(TRIES):
        question = ask(rng, scenes, kind, part.wording)
        key = (dataclasses.replace(question, text=""), films)
        if key not in seen:
            break
    seen.add(key)
    perceived = perturb(rng, scenes) if part.name == "sft" else scenes
    return _Asked(question, films, explain(rng, question, perceived, part.wording))


def _films(patient: _Patient, asked: _Asked) -> dict[str, Film]:
    """The films that a question needs, by path below the image root."""
    box = asked.question.box
    return {f"{patient.image(film, asked.question)}.png": (patient.films[film], box) for film in asked.films}


def _row(part: _Part, patient: _Patient, asked: _Asked, number: int) -> dict[str, Any]:
    """The example as a row; `image_ids` is the original's name of the films, without suffix."""
    question, names = asked.question, [patient.image(film, asked.question) for film in asked.films]
    example = Example(
        id=f"{part.name}-{number:06d}",
        images=tuple(f"{name}.png" for name in names),
        question=question.text,
        answer=asked.explanation.answer,
        explanation=asked.explanation.text,
        kind=question.kind,
        semantic_type=question.semantic_type,
        question_type=question.question_type,
        answer_type=question.answer_type,
        subject_id=patient.id,
        study_id=patient.study(asked.films[-1]),
        split=part.wording,
        scene=tuple(patient.films[film].to_dict() for film in asked.films),
        graph=asked.explanation.graph.to_dict(),
    )
    return example.to_dict() | {"image_ids": names}
