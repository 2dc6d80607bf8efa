"""Rows through a model: by length, without padding beyond a batch, by a budget of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from chexphi.graph.rexkg.models import EntityModel, RelationModel
from chexphi.graph.rexkg.rows import Row

CPU_TOKENS, GPU_TOKENS = 1024, 32_768
"""Tokens of a batch, padding counted (our choice, measured by `bench/rexkg.py`)."""


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Positions by length, the shortest first, as many as fit; a row over the budget stands alone."""
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[position] > budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


@torch.inference_mode()
def judge(model: EntityModel | RelationModel, rows: Sequence[Row], pad: int) -> list[list[int]]:
    """The best label of every place of every row, in order."""
    budget = GPU_TOKENS if next(model.parameters()).is_cuda else CPU_TOKENS
    judged: list[list[int]] = [[] for _ in rows]
    asked = [position for position, row in enumerate(rows) if row.places]
    for batch in batches([len(rows[position].ids) for position in asked], budget):
        chosen = [asked[position] for position in batch]
        labels = iter(scores(model, [rows[position] for position in chosen], pad).argmax(-1).tolist())
        for position in chosen:
            judged[position] += islice(labels, len(rows[position].places))
    return judged


def scores(model: EntityModel | RelationModel, rows: Sequence[Row], pad: int) -> Tensor:
    """(places, labels): the scores of every place of every row, in order."""
    device = next(model.parameters()).device
    owners = [at for at, row in enumerate(rows) for _ in row.places]
    places = [place for row in rows for place in row.places]
    return model(
        {name: value.to(device) for name, value in inputs(rows, pad).items()},
        torch.tensor(owners, device=device),
        torch.tensor(places, device=device),
    )


def inputs(rows: Sequence[Row], pad: int) -> dict[str, Tensor]:
    """`input_ids` (B, T); a mask and `position_ids`, where markers stand behind a text, only if needed."""
    longest = max(len(row.ids) for row in rows)
    gaps = [longest - len(row.ids) for row in rows]
    batch = {
        "input_ids": torch.tensor([[*row.ids, *[pad] * gap] for row, gap in zip(rows, gaps, strict=True)])
    }
    if any(row.behind for row in rows):
        own = [[*range(row.text), *row.behind, *[0] * gap] for row, gap in zip(rows, gaps, strict=True)]
        batch["position_ids"] = torch.tensor(own)
        batch["attention_mask"] = torch.stack([_blocks(row, longest) for row in rows])[:, None]
    elif any(gaps):
        batch["attention_mask"] = torch.tensor(
            [[1] * len(row.ids) + [0] * gap for row, gap in zip(rows, gaps, strict=True)]
        )
    return batch


def _blocks(row: Row, length: int) -> Tensor:
    """(length, length), True where a token looks: all at the text, four markers also at one another."""
    group = torch.arange(length)
    group = torch.where(group < row.text, 0, (group - row.text) // 4 + 1)
    group[len(row.ids) :] = -1
    return (group[None, :] == 0) | (group[None, :] == group[:, None]) & (group[None, :] >= 0)
