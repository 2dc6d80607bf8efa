"""Passes rows through a network, in batches of rows of like length that keep a budget of tokens.

Axes of tensors: B rows of a batch, T tokens of its longest row, C candidates (spans or pairs) of all its
rows, L labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from chexphi.graph.rexkg.models import EntityModel, RelationModel
from chexphi.graph.rexkg.rows import CandidateRow, Row
from chexphi.graph.rexkg.vocabulary import Vocabulary

CPU_TOKENS, GPU_TOKENS = 1024, 32_768
"""Tokens of a batch, padding included (our choice, measured by `bench/rexkg.py`)."""
RowPlanner = Callable[..., Iterator[CandidateRow]]
"""Makes the rows of one sentence, from its pieces and, for pairs, its entities."""
_ROWS_AT_ONCE = 4096
"""How many rows are built and sorted at once. This bounds the memory."""
DOUBTFUL = -1
"""Stands for a label if the best label is not much more probable than the second."""


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Batches of positions, the shortest rows first, each with as many as fit the budget.

    A row that is longer than the budget is a batch of its own.
    """
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[position] > budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def predict(
    model: EntityModel | RelationModel,
    vocabulary: Vocabulary,
    sentences: Sequence[Sequence[str]],
    plan_rows: RowPlanner,
    *columns: Sequence[Any],
    max_word_pieces: int | None,
    min_margin: float = 0.0,
) -> Iterator[tuple[int, tuple[int, int], int]]:
    """(sentence, span or pair, label) of every span or pair with a label. Empty sentences are skipped.

    Args:
        model: One of the two networks, in evaluation mode.
        vocabulary: The pieces of its tokenizer.
        sentences: The words of each sentence.
        plan_rows: Makes the rows of a sentence.
        columns: Further arguments of `plan_rows`, each with one item per sentence.
        max_word_pieces: How many pieces a word may have.
        min_margin: A label must be more probable than the next one by so much, or it is `DOUBTFUL`.
    """
    vocabulary.learn(word for words in sentences for word in words)
    planned = (
        (sentence, plan)
        for sentence, words in enumerate(sentences)
        if words
        for plan in plan_rows(
            vocabulary.pieces(words, max_word_pieces), vocabulary, *(column[sentence] for column in columns)
        )
    )
    while candidate_rows := list(islice(planned, _ROWS_AT_ONCE)):
        labels = best_labels(
            model, [row for _, (row, _) in candidate_rows], vocabulary.pad, min_margin=min_margin
        )
        for (sentence, (_, candidates)), row_labels in zip(candidate_rows, labels, strict=True):
            yield from (
                (sentence, candidate, label)
                for candidate, label in zip(candidates, row_labels, strict=True)
                if label
            )


@torch.inference_mode()
def best_labels(
    model: EntityModel | RelationModel, rows: Sequence[Row], pad: int, *, min_margin: float = 0.0
) -> list[list[int]]:
    """The best label of every candidate of every row, in order.

    Args:
        model: One of the two networks, in evaluation mode.
        rows: What the network reads.
        pad: The id of padding.
        min_margin: A label must be more probable than the next one by so much, or it is `DOUBTFUL`.
    """
    budget = GPU_TOKENS if next(model.parameters()).is_cuda else CPU_TOKENS
    labels_of_row: list[list[int]] = [[] for _ in rows]
    numbers = [number for number, row in enumerate(rows) if row.candidates]
    for batch in batches([len(rows[number].ids) for number in numbers], budget):
        batch_numbers = [numbers[position] for position in batch]
        logits = candidate_logits(model, [rows[number] for number in batch_numbers], pad)
        labels = iter(_best_label(logits, min_margin))
        for number in batch_numbers:
            labels_of_row[number] += islice(labels, len(rows[number].candidates))
    return labels_of_row


def _best_label(logits: Tensor, min_margin: float) -> list[int]:
    """The label of each candidate, from logits of shape (C, L)."""
    labels = logits.argmax(-1)
    if min_margin:
        best_probabilities, second_probabilities = logits.softmax(-1).topk(2).values.unbind(-1)
        labels[best_probabilities - second_probabilities < min_margin] = DOUBTFUL
    return labels.tolist()


def candidate_logits(model: EntityModel | RelationModel, rows: Sequence[Row], pad: int) -> Tensor:
    """(C, L): the logits of every candidate of every row, in order."""
    device = next(model.parameters()).device
    row_of_candidate = [number for number, row in enumerate(rows) for _ in row.candidates]
    candidates = [candidate for row in rows for candidate in row.candidates]
    return model(
        {name: value.to(device) for name, value in model_inputs(rows, pad).items()},
        torch.tensor(row_of_candidate, device=device),
        torch.tensor(candidates, device=device),
    )


def model_inputs(rows: Sequence[Row], pad: int) -> dict[str, Tensor]:
    """What BERT takes for these rows.

    Returns:
        `input_ids` (B, T). Only if rows are padded, `attention_mask` (B, T). Only if markers follow the text
        of a row, `position_ids` (B, T) and `attention_mask` (B, 1, T, T).
    """
    length = max(len(row.ids) for row in rows)
    gaps = [length - len(row.ids) for row in rows]
    batch = {
        "input_ids": torch.tensor([[*row.ids, *[pad] * gap] for row, gap in zip(rows, gaps, strict=True)])
    }
    if any(row.marker_positions for row in rows):
        position_ids = [
            [*range(row.text_length), *row.marker_positions, *[0] * gap]
            for row, gap in zip(rows, gaps, strict=True)
        ]
        batch["position_ids"] = torch.tensor(position_ids)
        batch["attention_mask"] = torch.stack([_group_mask(row, length) for row in rows])[:, None]
    elif any(gaps):
        batch["attention_mask"] = torch.tensor(
            [[1] * len(row.ids) + [0] * gap for row, gap in zip(rows, gaps, strict=True)]
        )
    return batch


def _group_mask(row: Row, length: int) -> Tensor:
    """(T, T), True where a token attends: all tokens to the text, and the four markers of a group to each
    other."""
    positions = torch.arange(length)
    groups = torch.where(positions < row.text_length, 0, (positions - row.text_length) // 4 + 1)
    groups[len(row.ids) :] = -1
    return (groups[None, :] == 0) | (groups[None, :] == groups[:, None]) & (groups[None, :] >= 0)
