"""LongRoPE in batches: beyond a length all positions get other factors, and the longest row decides for all.

So in a batch that crosses the limit, a shorter row has other log-probabilities than alone. Our own batches
are divided at the limit; for those of TRL and of the library there is a warning.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from torch import Tensor

from chexphi.schema import InputError

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


def limit_of(config: Any) -> int | None:
    """The largest length in tokens that has the short factors; None for a model without LongRoPE."""
    parameters = getattr(config, "rope_parameters", None) or {}
    longrope = parameters.get("rope_type") == "longrope"
    return int(parameters["original_max_position_embeddings"]) if longrope else None


def check_length(config: Any, prompt_length: int, new_tokens: int) -> None:
    """Refuse to generate across the limit: the keys in the cache would have the wrong factors.

    Raises:
        InputError: If the prompt is within the limit and the last new token would not be.
    """
    limit = limit_of(config)
    if limit is not None and prompt_length <= limit < prompt_length + new_tokens:
        raise InputError(
            f"A prompt of {prompt_length} tokens and {new_tokens} new ones cross the {limit} positions at "
            "which this model changes its position factors: lower max_new_tokens or dynamic_hd."
        )


def split_at_limit(
    config: Any, lengths: Tensor, compute: Callable[..., list[Result]], *columns: Sequence[Any]
) -> list[Result] | None:
    """Results of the rows, with those within the limit and those beyond it computed in two batches.

    None if all rows are on one side of the limit.

    Args:
        config: The model's.
        lengths: Tokens of each row, (rows,).
        compute: Takes the columns of some rows and returns their results.
        columns: Each has a value a row.
    """
    limit = limit_of(config)
    if limit is None or len(set((lengths > limit).tolist())) < 2:
        return None
    results: dict[int, Result] = {}
    for beyond in (False, True):
        rows = ((lengths > limit) == beyond).nonzero()[:, 0].tolist()
        results |= zip(rows, compute(*([column[i] for i in rows] for column in columns)), strict=True)
    return [results[i] for i in range(len(lengths))]


def watch(config: Any, mask: Tensor | None, positions: Tensor | None) -> None:
    """Warn, once a process, of a batch that crosses the limit while some of its rows are shorter.

    Args:
        config: The model's.
        mask: 1 for tokens and 0 for padding, (rows, length), the tokens in the cache included.
        positions: Of the tokens, as the model gets them; without them padding has positions as well.
    """
    limit = limit_of(config)
    if limit is None or mask is None or mask.ndim != 2 or mask.shape[1] <= limit:
        return
    longest = mask.shape[1] if positions is None else int(positions.max()) + 1
    if longest > limit >= int(mask.sum(1).min()):
        _warn(limit)


@functools.cache
def _warn(limit: int) -> None:
    logger.warning(
        "a batch crosses the %d positions at which this model changes its position factors while some of its "
        "rows are shorter, which get other log-probabilities than alone: lower dynamic_hd, or batch rows of "
        "like length",
        limit,
    )
