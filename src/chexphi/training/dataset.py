"""Examples as the conversational image datasets that TRL's trainers read; films are opened when needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from chexphi import prompts
from chexphi.data.images import film_loader
from chexphi.schema import Example


def sft_target(example: Example, *, strip_tags: bool) -> str:
    """The text to imitate: the explanation, or its words without the tags."""
    if not strip_tags:
        return example.explanation
    parsed = prompts.parse(example.explanation)
    return f"{prompts.reference_reasoning(example.explanation)} {parsed.answer or ''}".strip()


def _with_films(rows: list[dict[str, Any]], root: Path) -> Dataset:
    """The rows with `images` opened, and `question` as the prompt, when they are asked for.

    The texts lie in the table and not in the transform, all of which `datasets` would pickle for its
    fingerprint.
    """
    film = film_loader(root)

    def batch(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        images = columns["images"]
        questions = zip(columns.pop("question"), images, strict=True)
        prompt = [prompts.messages(question, len(films)) for question, films in questions]
        return columns | {"prompt": prompt, "images": [[film(name) for name in films] for films in images]}

    return Dataset.from_list(rows).with_transform(batch)


def sft_dataset(examples: Sequence[Example], root: Path, *, strip_tags: bool = False) -> Dataset:
    """Columns `prompt`, `completion`, `images` of TRL's prompt-completion form."""
    rows = [
        {
            "question": example.question,
            "images": list(example.images),
            "completion": [{"role": "assistant", "content": sft_target(example, strip_tags=strip_tags)}],
        }
        for example in examples
    ]
    return _with_films(rows, root)


def grpo_dataset(examples: Sequence[Example], root: Path) -> Dataset:
    """Columns `prompt`, `images`, `solution`, `answer`, `id`: what the rewards need and no more."""
    rows = [
        {
            "question": example.question,
            "images": list(example.images),
            "solution": example.explanation,
            "answer": list(example.answer),
            "id": example.id,
        }
        for example in examples
    ]
    return _with_films(rows, root)
