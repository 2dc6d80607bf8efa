"""`completions.jsonl`: one line a sampled completion, written while training, and its reader."""

from __future__ import annotations

from collections.abc import Iterator
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
