"""The prompts that `grpo_step` compares on: their films, questions of the right length, and rewards."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _policy import GPU, Shape

from chexphi.data.phantom.draw import render
from chexphi.data.phantom.language import caption
from chexphi.data.phantom.scene import sample_build, sample_scene
from chexphi.models.families import tiny
from chexphi.prompts import messages
from chexphi.schema import Example

PROMPTS = 2
"""Of a step."""
LENGTHS, GROUPS = (64, 300, 600, 1400), (2, 4, 8, 16)
CROP = 112
FILMS: dict[tuple[int, int], tuple[float, float]] = {
    (64, 1): (1, 1),  # 41 tokens
    (300, 1): (4, 3),  # 229
    (600, 1): (6, 5),  # 525
    (1400, 1): (6, 6),  # 621: the most crops that a film has
    (64, 2): (0.25, 1),  # 26 each
    (300, 2): (3, 2),  # 129
    (600, 2): (5, 3),  # 281
    (1400, 2): (6, 6),
}
"""Height and width of a film in crops by tokens of the prompt and films in it; the question has the rest."""
SIZES = {"hidden_size": 256, "num_layers": 8, "vision_hidden": 160, "vision_layers": 3}


@dataclass(frozen=True)
class Cell:
    """One comparison."""

    name: str
    group: int
    prompts: int = PROMPTS
    length: int | None = None
    """Tokens of a prompt; None for a short question."""
    films: int = 1
    film: tuple[float, float] = (1, 1)
    """Height and width in crops."""
    new_tokens: int = 60
    shape: Shape = field(default_factory=lambda: Shape(CROP, 14, 256 if GPU else 16, GPU, sizes=SIZES))
    trainer: dict[str, Any] = field(default_factory=lambda: {"beta": 0.5, "temperature": 0.9})


DEMO = Cell(
    "the demo's: 16 prompts, G = 8, 72 tokens, all learns, beta 0",
    *(8, 16),
    new_tokens=72,
    shape=Shape(64, 16, 1, False, "all"),
    trainer={"beta": 0.0, "temperature": 1.0, "loss_type": "dapo", "adam_beta2": 0.99},
)


def grid(lengths: Sequence[int], groups: Sequence[int], counts: Sequence[int]) -> list[Cell]:
    return [
        Cell(f"P = {p}, G = {g}, films: {n}", g, length=p, films=n, film=FILMS[p, n])
        for n in counts
        for p in lengths
        for g in groups
    ]


class Spoken:
    """A reward that reads drawn reports in place of the completions."""

    def __init__(self, reward: Any, reports: list[str]) -> None:
        self.__name__, self._reward, self._reports = reward.__name__, reward, reports
        self._rng = random.Random(0)

    def __call__(self, completions: list[Any], completion_ids: Any, **columns: Any) -> Any:
        return self._reward(completions=self._rng.choices(self._reports, k=len(completions)), **columns)


@functools.cache
def reports() -> list[str]:
    rng = random.Random(0)
    return [caption(rng, sample_scene(rng, sample_build(rng)), "train")[1].text for _ in range(300)]


@functools.cache
def tokenizer() -> Any:
    """Of the small policies."""
    return tiny.train_tokenizer(reports())


def examples(cell: Cell, processor: Any, number: int, folder: Path, *, seed: int = 1) -> list[Example]:
    """As many prompts, all different, with their films drawn into the folder, and reports of the first film.

    Where the length of prompts is given, so is that of completions: two reports are longer than any of them.
    """
    rng = random.Random(seed)
    height, width = (int(side * cell.shape.crop) for side in cell.film)
    found = []
    for i in range(number):
        names = tuple(f"{i}-{k}.png" for k in range(cell.films))
        scenes = [sample_scene(rng, sample_build(rng)) for _ in names]
        films = [render(scene, 128).resize((width, height)).convert("RGB") for scene in scenes]
        for name, film in zip(names, films, strict=True):
            film.save(folder / name)
        count = 2 if cell.length else 1
        report = " ".join(caption(rng, scenes[0], "train")[1].text for _ in range(count))
        question = "Which findings are present?"
        if cell.length:
            words = " ".join(rng.choices(reports(), k=50)).split()
            question = filled(processor, films, cell.length, words)
        found.append(Example(str(i), names, question, ("none",), report))
    return found


def filled(processor: Any, films: list[Any], length: int, words: list[str]) -> str:
    """A question of these words that brings the prompt to exactly this length."""

    def missing(question: str) -> int:
        text = processor.apply_chat_template(messages(question, len(films)), add_generation_prompt=True)
        inputs = processor(text=[text], images=[films], return_tensors="pt")
        return length - int(inputs["input_ids"].shape[1])

    most = missing("")
    question = " ".join(words[:most])
    while question and missing(question) < 0:
        question = question.rpartition(" ")[0]
    question += " a" * missing(question)  # a token each
    assert missing(question) == 0, f"no question of {most} tokens is found"
    return question
