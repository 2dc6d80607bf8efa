"""Examples as the conversational image datasets that TRL's trainers read; films are opened when needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from chexphi import prompts
from chexphi.data.images import film_loader
from chexphi.schema import Example


def _lazy(rows: int, row: Callable[[int], dict[str, Any]]) -> Dataset:
    def batch(columns: dict[str, list[int]]) -> dict[str, list[Any]]:
        built = [row(index) for index in columns["index"]]
        return {key: [item[key] for item in built] for key in built[0]}

    return Dataset.from_dict({"index": list(range(rows))}).with_transform(batch)


def sft_target(example: Example, *, strip_tags: bool) -> str:
    """The text to imitate: the explanation, or its words without the tags."""
    if not strip_tags:
        return example.explanation
    parsed = prompts.parse(example.explanation)
    return f"{prompts.reference_reasoning(example.explanation)} {parsed.answer or ''}".strip()


def sft_dataset(examples: Sequence[Example], root: Path, *, strip_tags: bool = False) -> Dataset:
    """Columns `prompt`, `completion`, `images` of TRL's prompt-completion form."""
    film = film_loader(root)

    def row(index: int) -> dict[str, Any]:
        example = examples[index]
        return {
            "prompt": prompts.messages(example.question, len(example.images)),
            "completion": [{"role": "assistant", "content": sft_target(example, strip_tags=strip_tags)}],
            "images": [film(image) for image in example.images],
        }

    return _lazy(len(examples), row)


def grpo_dataset(examples: Sequence[Example], root: Path) -> Dataset:
    """Columns `prompt`, `images`, `solution`, `answer`, `id`: what the rewards need and no more."""
    film = film_loader(root)

    def row(index: int) -> dict[str, Any]:
        example = examples[index]
        return {
            "prompt": prompts.messages(example.question, len(example.images)),
            "images": [film(image) for image in example.images],
            "solution": example.explanation,
            "answer": list(example.answer),
            "id": example.id,
        }

    return _lazy(len(examples), row)
