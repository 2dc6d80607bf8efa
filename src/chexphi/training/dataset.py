"""Examples as the conversational image datasets that TRL's trainers read; films are opened on demand."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from PIL import Image
from trl.data_utils import apply_chat_template

from chexphi import prompts
from chexphi.data.film_loader import Film, FilmLoader
from chexphi.data.images import film_size
from chexphi.models import longrope
from chexphi.schema import Example, InputError


def sft_target(example: Example, *, strip_tags: bool) -> str:
    """The text to imitate: the explanation, or its words without the tags."""
    if not strip_tags:
        return example.explanation
    parsed = prompts.parse(example.explanation)
    return f"{prompts.reference_reasoning(example.explanation)} {parsed.answer or ''}".strip()


def _with_films(
    rows: list[dict[str, Any]],
    root: Path,
    prepare: Callable[[Film], object] | None,
    *,
    keep_question: bool = False,
) -> Dataset:
    """The rows with `images` as films, and with the question as `prompt`, when they are read.

    The texts are in the table and not in the transform, because `datasets` pickles the whole transform for
    its fingerprint.
    """
    film = FilmLoader(root, prepare)

    def batch(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        images = columns["images"]
        questions = columns["question"] if keep_question else columns.pop("question")
        rows = zip(questions, images, strict=True)
        prompt = [prompts.messages(question, len(films)) for question, films in rows]
        return columns | {"prompt": prompt, "images": [[film(name) for name in films] for films in images]}

    return Dataset.from_list(rows).with_transform(batch)


def _completion(example: Example, strip_tags: bool) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": sft_target(example, strip_tags=strip_tags)}]


def sft_dataset(
    examples: Sequence[Example],
    root: Path,
    prepare: Callable[[Film], object] | None = None,
    *,
    strip_tags: bool = False,
) -> Dataset:
    """Columns `prompt`, `completion`, `images` of TRL's prompt-completion form; threads prepare the films."""
    rows = [
        {
            "question": example.question,
            "images": list(example.images),
            "completion": _completion(example, strip_tags),
        }
        for example in examples
    ]
    return _with_films(rows, root, prepare)


def opens_think(processor: Any, **settings: Any) -> bool:
    """Whether prompts end in an open `<think>`; `settings` are those of the chat template."""
    turn = prompts.messages("", 0)
    return prompts.opens_think(processor.apply_chat_template(turn, add_generation_prompt=True, **settings))


def check_targets(examples: Sequence[Example], processor: Any, *, strip_tags: bool = False) -> None:
    """Refuse an example whose text cannot follow the model's prompt.

    Raises:
        InputError: For the first such example.
    """
    opened_think = opens_think(processor)
    if opened_think and strip_tags:
        raise InputError(
            "sft: strip_tags leaves no <think> in what is imitated, and the model's chat template opens one: "
            "leave strip_tags out"
        )
    for example in examples:
        if prompts.after_prompt(example.explanation.strip(), opened_think=opened_think) is None:
            raise InputError(
                f"sft: the explanation of example {example.id} does not begin with <think>, which the chat "
                "template of the model opens: write <think>REASONING</think><answer>ANSWER</answer>"
            )


def check_lengths(
    examples: Sequence[Example], root: Path, processor: Any, max_length: int, *, strip_tags: bool = False
) -> None:
    """Refuse an example whose end TRL would cut silently, to keep to `max_length` tokens.

    No film is decoded: its tokens are counted on a blank film of its size.

    Raises:
        InputError: For the first such example, with its tokens.
    """
    film_tokens = functools.cache(functools.partial(_film_tokens, processor))
    for example in examples:
        row = {
            "prompt": prompts.messages(example.question, 0),
            "completion": _completion(example, strip_tags),
        }
        texts = list(apply_chat_template(row, processor).values())
        count = sum(map(len, processor.tokenizer(texts, add_special_tokens=False)["input_ids"]))
        count += sum(film_tokens(*film_size(name, root)) for name in example.images)
        if count > max_length:
            raise InputError(
                f"sft: example {example.id} has {count} tokens and max_length is {max_length}, which would "
                "cut its answer: raise max_length, set it to null (nothing is cut), or lower dynamic_hd"
            )


def check_prompts(
    examples: Sequence[Example], root: Path, model: Any, processor: Any, new_tokens: int
) -> None:
    """Refuse a prompt that with `new_tokens` more is longer than the model's positions allow.

    No film is decoded: its tokens are counted on a blank film of its size.

    Raises:
        InputError: For the first such example, with its tokens.
    """
    config = model.config.get_text_config()
    max_positions, switch = config.max_position_embeddings, longrope.limit_of(config)
    film_tokens = functools.cache(functools.partial(_film_tokens, processor))
    for example in examples:
        text = processor.apply_chat_template(
            prompts.messages(example.question, 0), add_generation_prompt=True
        )
        count = len(processor.tokenizer(text, add_special_tokens=False)["input_ids"])
        count += sum(film_tokens(*film_size(name, root)) for name in example.images)
        if count + new_tokens > max_positions:
            problem = f"pass the {max_positions} positions that the model has"
        elif switch is not None and count <= switch < count + new_tokens:
            problem = f"cross the {switch} positions at which the model changes its position factors"
        else:
            continue
        raise InputError(
            f"grpo: the {count} tokens of example {example.id} and the {new_tokens} of max_completion_length "
            f"{problem}: leave it out, or lower max_completion_length or what a film takes"
        )


def _film_tokens(processor: Any, width: int, height: int) -> int:
    """Tokens that a film of this size adds to a prompt."""
    lengths = []
    for films in ([], [Image.new("L", (width, height))]):
        text = processor.apply_chat_template(prompts.messages("", len(films)), add_generation_prompt=True)
        inputs = processor(text=[text], images=[films] if films else None, add_special_tokens=False)
        lengths.append(len(inputs["input_ids"][0]))
    return lengths[1] - lengths[0]


def grpo_dataset(
    examples: Sequence[Example],
    root: Path,
    prepare: Callable[[Film], object] | None = None,
    *,
    opened_think: bool = False,
) -> Dataset:
    """Columns `prompt`, `question`, `images`, `solution`, `answer`, `id`, `opened_think`: what rewards need.

    With `prepare`, threads start on the films of a batch as soon as it is read, one step before it is trained
    on.
    """
    rows = [
        {
            "question": example.question,
            "images": list(example.images),
            "solution": example.explanation,
            "answer": list(example.answer),
            "id": example.id,
            "opened_think": opened_think,
        }
        for example in examples
    ]
    return _with_films(rows, root, prepare, keep_question=True)
