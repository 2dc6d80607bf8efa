"""The completions of a batch as rewards need them: their texts, parsed; and what is logged of them."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chexphi import prompts
from chexphi.prompts import Parsed, ParseStatus, text_of
from chexphi.rewards import columns as batch_columns

logger = logging.getLogger(__name__)

LogMetric = Callable[[str, float], None]


def truncated(
    completion_ids: Sequence[Sequence[int]] | None, end_token_ids: frozenset[int], count: int
) -> list[bool]:
    """Whether each completion hit the length limit; False where the ids or the end tokens are not known."""
    if completion_ids is None or not end_token_ids:
        return [False] * count
    return [not ids or ids[-1] not in end_token_ids for ids in completion_ids]


def texts_of(
    completions: Sequence[Any],
    opened_think: Sequence[bool | None] | None,
    columns: Mapping[str, Any] | None = None,
) -> list[str]:
    """The text of every completion, which begins with `<think>` where its prompt ended in one.

    Args:
        completions: Texts, or conversations whose last message is the completion.
        opened_think: The column of that name: whether a row's prompt ended in an open `<think>`
            (`chexphi.prompts.opens_think` tells). A row without a value counts as false, as do all rows
            without the column.
        columns: The other columns, of which `id` names rows in messages.
    """
    column = batch_columns.flags("opened_think", opened_think, len(completions), columns or {})
    return [
        prompts.with_prompt(text_of(text), opened_think=value)
        for text, value in zip(completions, column, strict=True)
    ]


def parsed_batch(
    completions: Sequence[Any],
    completion_ids: Sequence[Sequence[int]] | None,
    end_token_ids: frozenset[int],
    opened_think: Sequence[bool | None] | None = None,
    columns: Mapping[str, Any] | None = None,
) -> list[Parsed]:
    """Every completion parsed; those that hit the length limit have the status `truncated`.

    Raises:
        InputError: For a completion that is neither text nor chat messages. The message names the row.
    """
    texts = texts_of(batch_columns.completion_texts(completions, columns or {}), opened_think, columns)
    if completion_ids is not None:
        completion_ids = batch_columns.column("completion_ids", completion_ids, len(texts))
    truncation = truncated(completion_ids, end_token_ids, len(texts))
    if texts and all(map(prompts.closes_first, texts)):
        warn_opened_think()
    return [
        prompts.parse(text, truncated=is_truncated)
        for text, is_truncated in zip(texts, truncation, strict=True)
    ]


@functools.cache  # once a process
def warn_opened_think() -> None:
    logger.warning(
        "completions close <think> without opening it and count as malformed: if the chat template ends "
        "prompts in <think>, add a column opened_think that is true in every row"
    )


def log_outcomes(parsed: Sequence[Parsed], log_metric: LogMetric | None) -> None:
    """Log the share of each malformed kind, and the mean length of the reasoning in words."""
    if log_metric is None or not parsed:
        return
    kinds = Counter(completion.status for completion in parsed)
    for kind in ParseStatus:
        if kind is not ParseStatus.ok:
            log_metric(f"malformed/{kind}", kinds[kind] / len(parsed))
    log_metric("reasoning/words", sum(completion.words for completion in parsed) / len(parsed))
