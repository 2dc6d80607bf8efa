"""`completions.jsonl`: one line a sampled completion, written while training, and its reader."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chexphi.runs import read_jsonl
from chexphi.schema import Completion, InputError

SCHEMA = 1


def read(path: Path) -> Iterator[Completion]:
    """The completions of a run, in the order they were sampled.

    Raises:
        InputError: If a line is broken or of another schema.
    """
    for number, row in enumerate(read_jsonl(path), 1):
        if row.get("schema") != SCHEMA:
            raise InputError(
                f"{path}, line {number} has schema {row.get('schema')!r}: this version reads {SCHEMA}"
            )
        yield _completion(row)


def _completion(row: dict[str, Any]) -> Completion:
    sequences = ("token_ids", "raw_completion_tokens", "per_token_logps")
    return Completion(**{**row, **{key: tuple(row[key]) for key in sequences}})


def finish(
    row: Mapping[str, Any], tokenizer: Any, word: Callable[[int], str], ends: Container[int]
) -> Completion:
    """The record of a sampled row, which knows all but what its ids say.

    Args:
        row: The fields of `Completion` that the trainer knows.
        tokenizer: The policy's.
        word: The text of one id.
        ends: Ids that end a completion.
    """
    ids = tuple(row["token_ids"])
    return Completion(
        **{**row, "token_ids": ids, "per_token_logps": tuple(row["per_token_logps"])},
        completion=tokenizer.decode(ids, skip_special_tokens=True),
        raw_completion_tokens=tuple(map(word, ids)),
        truncated=not ids or ids[-1] not in ends,
    )


def rewards_of(row: str, names: Sequence[str], values: Sequence[float]) -> dict[str, float | None]:
    """One completion's rewards by name; None for NaN, which is TRL's word for a reward that does not apply.

    Raises:
        FloatingPointError: If one is infinite; `row` is named.
    """
    for name, value in zip(names, values, strict=True):
        if math.isinf(value):
            raise FloatingPointError(f"reward {name} of row {row} is {value}: the last checkpoint is kept")
    return {name: None if math.isnan(value) else value for name, value in zip(names, values, strict=True)}
