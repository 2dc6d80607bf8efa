"""Encode prompts and read them; what rows of a batch have in common, films included, is read once.

Questions about one film begin with that film, hundreds to thousands of tokens, and differ in the few that
follow. The distinct prefixes go through the model, their keys and values are repeated, and the remainder of
each row is read after them: two forwards instead of one. In fp32 the results are those of the plain path to
1e-5; in bf16 they round otherwise, as in any batch of another make-up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from chexphi.models.longrope import limit_of
from chexphi.models.shared_prompts import row_inputs
from chexphi.models.shared_prompts.common_prefix import Prefixes, common_prefixes
from chexphi.models.shared_prompts.same_prompts import same_films
from chexphi.prompts import messages


class PromptsRead(NamedTuple):
    """Prompts that have been read."""

    cache: Any
    """Their keys and values, (rows, key heads, length, width) in every layer."""
    logits: Tensor
    """For the token after the last one, (rows, vocabulary)."""
    mask: Tensor
    """1 where the cache holds a token, (rows, length); padding may lie between tokens."""
    last_position: Tensor
    """Position of the last token, (..., rows, 1)."""

    def select(self, rows: Tensor) -> PromptsRead:
        """The prompts of some rows, int (chosen,), in any order; the cache is changed in place."""
        self.cache.batch_select_indices(rows)
        return PromptsRead(self.cache, self.logits[rows], self.mask[rows], self.last_position[..., rows, :])


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode and no gradients; afterwards the model is in its old mode again."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)


def encode(
    model: Any, processor: Any, questions: Sequence[str], images: Sequence[Sequence[Image.Image]]
) -> tuple[list[str], dict[str, Tensor]]:
    """Rendered prompts, and the model's inputs with the prompts padded on the left."""
    prompts = [
        processor.apply_chat_template(messages(question, len(films)), add_generation_prompt=True)
        for question, films in zip(questions, images, strict=True)
    ]
    inputs = processor(
        text=prompts,
        images=[list(films) for films in images],
        padding=True,
        padding_side="left",
        add_special_tokens=False,
        return_tensors="pt",
    )
    return prompts, {name: value.to(model.device) for name, value in inputs.items()}


def inputs_of_rows(model: Any, inputs: dict[str, Tensor], rows: Tensor) -> dict[str, Any]:
    """The inputs of some rows, int (chosen,), in any order and as often as wanted."""
    ids = inputs["input_ids"]
    selected_inputs = row_inputs.of_rows(rows, inputs, model.film_counts(ids), model.single_films(inputs))
    return selected_inputs | {"input_ids": ids[rows]}


def read(model: Any, inputs: dict[str, Tensor], prefixes: Prefixes | None) -> PromptsRead:
    """Read left-padded prompts, as `encode` returns them; with prefixes, each prefix is read once."""
    positions = model.prompt_positions(inputs)
    if prefixes is not None:
        return _read_in_two(model, inputs, positions, prefixes)
    output = model(**inputs, position_ids=positions, use_cache=True, logits_to_keep=1)
    return PromptsRead(output.cache, output.logits[:, -1], inputs["attention_mask"], positions[..., -1:])


def find_prefixes(model: Any, inputs: dict[str, Tensor], *, room: int) -> Prefixes | None:
    """The prefixes to read once; None where every row is read whole.

    Sharing is exact for Phi-4, Qwen2.5-VL, Qwen3-VL and Gemma 3. Films are read within a prefix, where
    Gemma's tokens of a film see each other both ways. Positions are those of the whole prompts, which for
    Qwen's films have three dimensions.

    It is not exact where a layer's window is shorter than the batch, because padding then pushes tokens out
    of it (Gemma's short layers; MedGemma sees 1,024 tokens back). Nor is it beyond LongRoPE's limit, where a
    prefix alone would get other factors (Phi-4).

    Args:
        model: The policy.
        inputs: As `encode` returns them.
        room: Tokens that will follow each prompt, at most.
    """
    if len(inputs["input_ids"]) < 2 or not model.prompt_sharing.reads_once(model):
        return None
    limit, window = limit_of(model.config), getattr(model.config.get_text_config(), "sliding_window", None)
    mask = inputs["attention_mask"].cpu().numpy()
    if limit is not None and mask.sum(1).max() + room > limit:
        return None
    film_counts = model.film_counts(inputs["input_ids"])
    films = list(model.single_films(inputs).values())
    if any(len(values) != sum(film_counts) for values in films):
        return None
    films_by_row = torch.tensor(same_films(films), dtype=torch.long).split(film_counts)
    padded_ids = inputs["input_ids"].cpu().numpy()
    ids_by_row = [ids[is_token] for ids, is_token in zip(padded_ids, mask.astype(bool), strict=True)]
    film_ends = [
        int(np.isin(ids, model.placeholder_ids).nonzero()[0].max(initial=-1)) + 1 for ids in ids_by_row
    ]
    prefixes = common_prefixes(ids_by_row, [tuple(films.tolist()) for films in films_by_row], film_ends)
    if prefixes is None or window is None:
        return prefixes
    return prefixes if sum(prefixes.widths(ids_by_row)) + room <= window else None


def _read_in_two(model: Any, inputs: dict[str, Tensor], positions: Tensor, prefixes: Prefixes) -> PromptsRead:
    """Read the prefixes, then the remainder of every row on their keys and values.

    Args:
        model: The policy.
        inputs: As `encode` returns them, (rows, length).
        positions: Of the whole prompts, (..., rows, length).
        prefixes: At least one of them is shared.
    """
    ids = inputs["input_ids"]
    prefix_of_row = torch.tensor(prefixes.prefix_of_row, device=ids.device)
    prefix_end = _prefix_ends(inputs["attention_mask"], prefixes)
    prefix_inputs = _inputs_of_prefixes(model, inputs, positions, prefix_end, prefixes)
    output = model(**prefix_inputs, use_cache=True, logits_to_keep=1)
    output.cache.batch_select_indices(prefix_of_row)
    width = int((ids.shape[1] - prefix_end).max())  # of the longest remainder
    is_remainder = torch.arange(ids.shape[1] - width, ids.shape[1], device=ids.device) >= prefix_end[:, None]
    mask = torch.cat([prefix_inputs["attention_mask"][prefix_of_row], is_remainder.long()], dim=1)
    output = model(
        input_ids=ids[:, -width:],
        attention_mask=mask,
        position_ids=positions[..., -width:],
        cache=output.cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return PromptsRead(output.cache, output.logits[:, -1], mask, positions[..., -1:])


def _prefix_ends(mask: Tensor, prefixes: Prefixes) -> Tensor:
    """The column of the batch after each row's prefix, int (rows,), for a mask (rows, length)."""
    lengths = torch.tensor(
        [prefixes.lengths[number] for number in prefixes.prefix_of_row], device=mask.device
    )
    return (1 - mask).sum(1) + lengths


def _inputs_of_prefixes(
    model: Any, inputs: dict[str, Tensor], positions: Tensor, prefix_end: Tensor, prefixes: Prefixes
) -> dict[str, Any]:
    """The model's inputs for the prefixes alone, padded on the left: (prefixes, longest prefix).

    Args:
        model: The policy.
        inputs: Of the whole prompts, (rows, length).
        positions: Of the whole prompts, (..., rows, length).
        prefix_end: The column after each row's prefix, (rows,).
        prefixes: The prefixes.
    """
    mask = inputs["attention_mask"]
    first_rows = torch.tensor(prefixes.first_rows, device=mask.device)
    width = max(prefixes.lengths)
    columns = prefix_end[first_rows][:, None] - width + torch.arange(width, device=mask.device)
    prefix_mask = (columns >= (1 - mask).sum(1)[first_rows][:, None]).long()
    columns = columns.clamp(min=0)
    prefix_inputs = inputs_of_rows(model, inputs, first_rows)
    prefix_inputs |= {
        name: values.gather(1, columns)
        for name, values in prefix_inputs.items()
        if name not in model.film_inputs
    }
    prefix_positions = positions[..., first_rows, :]
    prefix_positions = prefix_positions.gather(-1, columns.expand(*prefix_positions.shape[:-1], -1))
    return prefix_inputs | {"attention_mask": prefix_mask, "position_ids": prefix_positions}
