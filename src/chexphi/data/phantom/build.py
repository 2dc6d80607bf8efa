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
out/README.md                        the same for people, with the files and what they are for
```
No patient is in two subsets. Training, validation and test differ in wording as well.
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
from chexphi.data import folder_readme
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
"""Most examples in a subset; all are held in memory."""
TRIES = 20
"""Draws in search of a question not yet asked about the same films."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Examples in each subset."""

    sight: int = 20_000
    sft: int = 4_000
    pool: int = 1_600
    valid: int = 400
    test: int = 1_000


@dataclass(frozen=True, slots=True)
class _Subset:
    name: str
    wording: Wording
    per_patient: int
    """Examples of each patient, who has two films."""


_SUBSETS = (
    _Subset("sight", "train", 4),
    _Subset("sft", "train", 2),
    _Subset("pool", "train", 2),
    _Subset("valid", "valid", 4),
    _Subset("test", "test", 10),
)


@dataclass(frozen=True, slots=True)
class _Patient:
    id: str
    films: tuple[Scene, Scene]
    """Prior and current."""

    def study(self, film: int) -> str:
        return f"{self.id}_s{film + 1}"

    def image(self, film: int, question: Question | None = None) -> str:
        """Path below the image root, without suffix; a film with a box is a separate image."""
        box = question.box if question else None
        return "/".join((self.id, "_".join((self.study(film), *(box or ())))))


@dataclass(frozen=True, slots=True)
class _QuestionAnswer:
    question: Question
    films: tuple[int, ...]
    explanation: Explanation


def build(
    out: Path | str,
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
        out: Folder to make, completely or not at all.
        size: Side of the films in pixels, 64 to 512.
        seed: Seed of every draw.
        counts: Examples in each subset.
        overwrite: Replace the `annotations` and `images` of an earlier dataset in `out`.
        workers: Processes that draw; the files do not depend on it.
        progress: Called with (films drawn, films in all).

    Returns:
        Rows of each annotation file, by its path below `annotations`.

    Raises:
        InputError: If `out` holds files already or cannot be written, or a number is out of range.
    """
    _check_arguments(out := Path(out), size, counts, workers, overwrite=overwrite)
    files: dict[str, list[dict[str, Any]]] = {}
    films: dict[str, Film] = {}
    for subset in _SUBSETS:
        for patient, qa, number in _examples(subset, getattr(counts, subset.name), seed):
            row = _row(subset, patient, qa, number)
            files.setdefault(_file_name(subset, row), []).append(row)
            films |= _films(patient, qa)
    if "pool/train.json" in files:
        files |= _uniform_samples(files["pool/train.json"], seed)
    settings = {"size": size, "seed": seed, "counts": dataclasses.asdict(counts)}
    rows = {name: len(examples) for name, examples in files.items()}
    with atomic.whole_folder(out) as folder:
        disk.draw_films(films, folder / "images", size, workers=workers, progress=progress)
        for name, examples in files.items():
            disk.write_rows(folder / "annotations" / name, examples)
        contact_sheet(folder / "contact_sheet.png", size=size, seed=seed)
        (folder / "phantom.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        page = folder_readme.drawn(_command(size, seed, counts), rows)
        (folder / folder_readme.NAME).write_text(page, encoding="utf-8")
    return rows


def _command(size: int, seed: int, counts: Sizes) -> str:
    """The command that draws the same dataset."""
    flags = {"train" if name == "sft" else name: count for name, count in dataclasses.asdict(counts).items()}
    words = [f"--{name} {value}" for name, value in (flags | {"size": size, "seed": seed}).items()]
    return f"chexphi data phantom {' '.join(words)} --out DATA"


def _check_arguments(out: Path, size: int, counts: Sizes, workers: int, *, overwrite: bool) -> None:
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(f"film size {size} is out of range: use {MIN_SIZE} to {MAX_SIZE} pixels")
    ranges.check(dataclasses.asdict(counts), dict.fromkeys(dataclasses.asdict(counts), EXAMPLES), "phantom")
    ranges.check({"workers": workers}, {"workers": PROCESSES}, "phantom")
    if out.exists() and not out.is_dir():
        raise InputError(f"output {out} is a file: name a folder")
    if out.exists() and any(out.iterdir()) and not overwrite:
        raise InputError(f"output folder {out} already holds files: name another folder or give --overwrite")
    atomic.check_place(out.absolute().parent)


def _file_name(subset: _Subset, row: dict[str, Any]) -> str:
    if subset.name == "test":
        return f"eval/test_{row['kind']}_vqa.json"
    return "valid/valid.json" if subset.name == "valid" else f"{subset.name}/train.json"


def _uniform_samples(pool: Sequence[dict[str, Any]], seed: int) -> dict[str, list[dict[str, Any]]]:
    """Samples of the pool, each containing the smaller ones; the whole pool if it is smaller than all."""
    order = random.Random(f"{seed}/uniform").sample(list(pool), len(pool))
    sizes = [n for n in UNIFORM if n <= len(pool)] or [len(pool)]
    return {f"uniform/{n}.json": order[:n] for n in sizes}


def _examples(subset: _Subset, count: int, seed: int) -> Iterator[tuple[_Patient, _QuestionAnswer, int]]:
    """The examples of one subset with their patients and running numbers."""
    number = 0
    for index in range(-(-count // subset.per_patient)):
        rng = random.Random(f"{seed}/{subset.name}/{index}")
        patient = _patient(rng, f"{subset.name}{index:06d}")
        asked_keys: set[Any] = set()
        for turn in range(min(subset.per_patient, count - number)):
            yield patient, _example(rng, subset, patient, number, turn, asked_keys), number
            number += 1


def _patient(rng: random.Random, name: str) -> _Patient:
    prior = sample_scene(rng, sample_build(rng))
    return _Patient(name, (prior, evolve(rng, prior)))


def _example(
    rng: random.Random, subset: _Subset, patient: _Patient, number: int, turn: int, asked_keys: set[Any]
) -> _QuestionAnswer:
    """A caption (every second example of `sight`), or a question not yet asked about this patient."""
    if subset.name == "sight" and number % 2 == 0:
        film = number // 2 % 2
        text, explanation = caption(rng, patient.films[film], subset.wording)
        question = dataclasses.replace(ask_caption(rng, subset.wording), text=text)
        return _QuestionAnswer(question, (film,), explanation)
    kind = KIND_CYCLE[(number // 2 if subset.name == "sight" else number) % len(KIND_CYCLE)]
    films = (0, 1) if kind == "compare" else ((number // 2 + 1) % 2 if subset.name == "sight" else turn % 2,)
    scenes = [patient.films[film] for film in films]
    for _ in range(TRIES):
        question = ask(rng, scenes, kind, subset.wording)
        key = (dataclasses.replace(question, text=""), films)
        if key not in asked_keys:
            break
    asked_keys.add(key)
    perceived = perturb(rng, scenes) if subset.name == "sft" else scenes
    return _QuestionAnswer(question, films, explain(rng, question, perceived, subset.wording))


def _films(patient: _Patient, qa: _QuestionAnswer) -> dict[str, Film]:
    """The films of a question, by path below the image root."""
    box = qa.question.box
    return {f"{patient.image(film, qa.question)}.png": (patient.films[film], box) for film in qa.films}


def _row(subset: _Subset, patient: _Patient, qa: _QuestionAnswer, number: int) -> dict[str, Any]:
    """The example as a row; `image_ids`, as in the original's files, names the films without suffix."""
    question = qa.question
    names = [patient.image(film, question) for film in qa.films]
    example = Example(
        id=f"{subset.name}-{number:06d}",
        images=tuple(f"{name}.png" for name in names),
        question=question.text,
        answer=qa.explanation.answer,
        explanation=qa.explanation.text,
        kind=question.kind,
        semantic_type=question.semantic_type,
        question_type=question.question_type,
        answer_type=question.answer_type,
        subject_id=patient.id,
        study_id=patient.study(qa.films[-1]),
        split=subset.wording,
        scene=tuple(patient.films[film].to_dict() for film in qa.films),
        graph=qa.explanation.graph.to_dict(),
    )
    return example.to_dict() | {"image_ids": names}
