"""Rows through a model: by length, without padding beyond a batch, by a budget of tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from chexphi.graph.rexkg.models import EntityModel, RelationModel
from chexphi.graph.rexkg.rows import Plan, Row
from chexphi.graph.rexkg.vocabulary import Vocabulary

CPU_TOKENS, GPU_TOKENS = 1024, 32_768
"""Tokens of a batch, padding counted (our choice, measured by `bench/rexkg.py`)."""
Planner = Callable[..., Iterator[Plan]]
"""The rows of one sentence, from its pieces and what else is known of it."""
_ROWS_AT_ONCE = 4096
"""Rows that are built and sorted together, so that memory stays bounded."""
DOUBTFUL = -1
"""In place of a label: the best one is not far enough ahead of the second."""


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


def judged(
    model: EntityModel | RelationModel,
    vocabulary: Vocabulary,
    cut: Sequence[Sequence[str]],
    rows: Planner,
    *columns: Sequence[Any],
    longest: int | None,
    ahead: float = 0.0,
) -> Iterator[tuple[int, tuple[int, int], int]]:
    """(sentence, span or pair, label) of all that has a label, of the sentences that have words.

    Args:
        model: Either network, in evaluation mode.
        vocabulary: Its pieces.
        cut: The words of each sentence.
        rows: Plans the rows of a sentence.
        columns: What else it is given, an item a sentence.
        longest: Pieces a word may have.
        ahead: As for `judge`.
    """
    vocabulary.learn(word for words in cut for word in words)
    plans = (
        (at, plan)
        for at, words in enumerate(cut)
        if words
        for plan in rows(vocabulary.pieces(words, longest), vocabulary, *(column[at] for column in columns))
    )
    while some := list(islice(plans, _ROWS_AT_ONCE)):
        labels = judge(model, [row for _, (row, _) in some], vocabulary.pad, ahead=ahead)
        for (at, (_, asked)), found in zip(some, labels, strict=True):
            yield from ((at, item, label) for item, label in zip(asked, found, strict=True) if label)


@torch.inference_mode()
def judge(
    model: EntityModel | RelationModel, rows: Sequence[Row], pad: int, *, ahead: float = 0.0
) -> list[list[int]]:
    """The best label of every place of every row, in order.

    Args:
        model: Either network, in evaluation mode.
        rows: What it reads.
        pad: The id of padding.
        ahead: By how much a label must be more probable than the next; else the place is `DOUBTFUL`.
    """
    budget = GPU_TOKENS if next(model.parameters()).is_cuda else CPU_TOKENS
    found: list[list[int]] = [[] for _ in rows]
    asked = [position for position, row in enumerate(rows) if row.places]
    for batch in batches([len(rows[position].ids) for position in asked], budget):
        chosen = [asked[position] for position in batch]
        labels = iter(_best(scores(model, [rows[position] for position in chosen], pad), ahead))
        for position in chosen:
            found[position] += islice(labels, len(rows[position].places))
    return found


def _best(values: Tensor, ahead: float) -> list[int]:
    labels = values.argmax(-1)
    if ahead:
        first, second = values.softmax(-1).topk(2).values.unbind(-1)
        labels[first - second < ahead] = DOUBTFUL
    return labels.tolist()


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
