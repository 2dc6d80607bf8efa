"""Encode prompts and read them; what rows of a batch have in common, films included, is read once.

Questions about one film begin with that film, hundreds to thousands of tokens, and differ in the few that
follow. The distinct prefixes go through the model, their keys and values are repeated, and the rest of each
row is read behind them: two forwards for one. In fp32 the results are those of the plain path to 1e-5; in
bf16 they round otherwise, as in any batch of another make-up.
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
from chexphi.models.shared_prompts.common_prefix import Prefixes, common_prefixes
from chexphi.models.shared_prompts.prefill import inputs_of
from chexphi.models.shared_prompts.same_prompts import same_films
from chexphi.prompts import messages


class Read(NamedTuple):
    """Prompts that have been read."""

    cache: Any
    """Their keys and values, (rows, ...) in every layer."""
    logits: Tensor
    """Of what follows the last token, (rows, vocabulary)."""
    mask: Tensor
    """Which places of the cache hold tokens, (rows, length); padding may lie between them."""
    last: Tensor
    """Position of the last token, (..., rows, 1)."""

    def rows(self, chosen: Tensor) -> Read:
        """Some rows, (chosen,), each as often as it is named; the cache is changed in place."""
        self.cache.batch_select_indices(chosen)
        return Read(self.cache, self.logits[chosen], self.mask[chosen], self.last[..., chosen, :])


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode and no gradients; the model's mode is put back."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


def encode(
    model: Any, processor: Any, questions: Sequence[str], images: Sequence[Sequence[Image.Image]]
) -> tuple[list[str], dict[str, Tensor]]:
    """Rendered prompts, and the model's inputs with the prompts padded on the left."""
    prompts = [
        processor.apply_chat_template(messages(question, len(films)), add_generation_prompt=True)
        for question, films in zip(questions, images, strict=True)
    ]
    nested = [list(films) for films in images]
    inputs = processor(
        text=prompts,
        images=nested,
        padding=True,
        padding_side="left",
        add_special_tokens=False,
        return_tensors="pt",
    )
    return prompts, {name: value.to(model.device) for name, value in inputs.items()}


def rows_of(model: Any, inputs: dict[str, Tensor], rows: Tensor) -> dict[str, Any]:
    """The inputs of some rows, (rows,), each as often as it is named."""
    ids = inputs["input_ids"]
    chosen = inputs_of(rows, inputs, model.film_counts(ids), model.single_films(inputs))
    return chosen | {"input_ids": ids[rows]}


def read(model: Any, inputs: dict[str, Tensor], found: Prefixes | None) -> Read:
    """Read left-padded prompts, as `encode` has them; their prefixes once where there are any."""
    positions = model.prompt_positions(inputs)
    if found is not None:
        return _read_in_two(model, inputs, positions, found)
    output = model(**inputs, position_ids=positions, use_cache=True, logits_to_keep=1)
    return Read(output.cache, output.logits[:, -1], inputs["attention_mask"], positions[..., -1:])


def prefixes(model: Any, inputs: dict[str, Tensor], *, room: int) -> Prefixes | None:
    """The prefixes to read once; None for the plain path.

    Sharing is exact for Phi-4, Qwen2.5-VL, Qwen3-VL and Gemma 3: films are read within a prefix, where
    Gemma's tokens of a film see each other both ways, and positions are those of the whole prompts, which in
    Qwen a film counts in three dimensions. It is not where a layer's window is shorter than the batch, since
    padding then pushes tokens out of it (Gemma's short layers; MedGemma sees 1,024 tokens back), nor beyond
    LongRoPE's limit, where a prefix alone would get other factors (Phi-4).

    Args:
        model: The policy.
        inputs: As `encode` has them.
        room: Tokens that will follow each prompt, at most.
    """
    if len(inputs["input_ids"]) < 2 or not model.share_prefix:
        return None
    limit, window = limit_of(model.config), getattr(model.config.get_text_config(), "sliding_window", None)
    mask = inputs["attention_mask"].cpu().numpy()
    if limit is not None and mask.sum(1).max() + room > limit:
        return None
    counts, films = model.film_counts(inputs["input_ids"]), list(model.single_films(inputs).values())
    if any(len(parts) != sum(counts) for parts in films):
        return None
    numbers = torch.tensor(same_films(films), dtype=torch.long).split(counts)
    ids = [row[real] for row, real in zip(inputs["input_ids"].cpu().numpy(), mask.astype(bool), strict=True)]
    ends = [int(np.isin(row, model.placeholder_ids).nonzero()[0].max(initial=-1)) + 1 for row in ids]
    found = common_prefixes(ids, [tuple(own.tolist()) for own in numbers], ends)
    if found is None or window is None:
        return found
    return found if sum(found.widths(ids)) + room <= window else None


def _read_in_two(model: Any, inputs: dict[str, Tensor], positions: Tensor, found: Prefixes) -> Read:
    """Read the prefixes, then the rest of every row on their keys and values."""
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    first, lengths, place = (torch.tensor(values, device=ids.device) for values in found)
    width, start = ids.shape[1], (1 - mask).sum(1)
    end = start + lengths[place]
    rest = int((width - end).max())
    columns = end[first][:, None] - int(lengths.max()) + torch.arange(int(lengths.max()), device=ids.device)
    known = (columns >= start[first][:, None]).long()
    columns = columns.clamp(min=0)
    given = rows_of(model, inputs, first)
    given |= {
        name: value.gather(1, columns) for name, value in given.items() if name not in model.film_inputs
    }
    before = positions[..., first, :]
    output = model(
        **given | {"attention_mask": known},
        position_ids=before.gather(-1, columns.expand(*before.shape[:-1], -1)),
        use_cache=True,
        logits_to_keep=1,
    )
    output.cache.batch_select_indices(place)
    new = torch.arange(width - rest, width, device=ids.device) >= end[:, None]
    mask = torch.cat([known[place], new.long()], dim=1)
    output = model(
        input_ids=ids[:, -rest:],
        attention_mask=mask,
        position_ids=positions[..., -rest:],
        cache=output.cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return Read(output.cache, output.logits[:, -1], mask, positions[..., -1:])
