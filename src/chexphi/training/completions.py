"""`completions.jsonl`: one line a sampled completion, written while training, and its reader.

`pandas.DataFrame(read(path))` is a frame of it, `Dataset.from_list([row.to_dict() for row in read(path)])` a
data set; `pandas.read_json(path, lines=True)` and `load_dataset("json")` read the file itself.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chexphi.files import LINE_ADVICE
from chexphi.prompts import text_of
from chexphi.rewards.combine import weighted_sum
from chexphi.runs import jsonl
from chexphi.runs.jsonl import JsonLines
from chexphi.schema import Completion, InputError, NotFiniteError

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = 1


def read(path: str | os.PathLike[str]) -> Iterator[Completion]:
    """The completions of a run, in the order they were sampled; a last line still being written is left out.

    Raises:
        InputError: If a line is broken or of another schema.
    """
    for location, row in jsonl.rows_with_location(Path(path), growing=True):
        if row.get("schema") != SCHEMA:
            raise InputError(f"{location} has schema {row.get('schema')!r}: this version reads {SCHEMA}")
        yield _completion(row, location)


def _completion(row: dict[str, Any], location: str) -> Completion:
    sequences = ("token_ids", "raw_completion_tokens", "per_token_logps")
    try:
        return Completion(**{**row, **{key: tuple(row[key]) for key in sequences}})
    except (KeyError, TypeError):
        raise InputError(f"{location} lacks a field of a completion, or has another: {LINE_ADVICE}") from None


def sampled_row(
    step: int,
    row: Mapping[str, Any],
    token_ids: list[int],
    *,
    names: Sequence[str],
    rewards: Sequence[float],
    weights: Sequence[float],
    advantage: float,
) -> dict[str, Any]:
    """A completion as the trainer knows it before its log-probabilities, for `CompletionLog.begin`.

    Args:
        step: The optimizer step that it is sampled for.
        row: `id`, `prompt` and, if the prompt opens the reasoning, `opened_think`.
        token_ids: Of the completion, without padding.
        names: Of the rewards.
        rewards: NaN for a reward that does not apply.
        weights: One a reward.
        advantage: As TRL computed it.
    """
    return {
        "step": step,
        "id": str(row["id"]),
        "prompt": text_of(row["prompt"]),
        "token_ids": token_ids,
        "rewards": rewards_of(str(row["id"]), names, rewards),
        "total": weighted_sum(rewards, weights),
        "advantage": advantage,
        "opened_think": row.get("opened_think", False),
    }


def finish(
    row: Mapping[str, Any], tokenizer: Any, word: Callable[[int], str], end_ids: Container[int]
) -> Completion:
    """The record of a sampled row, with its text and whether it was truncated.

    Args:
        row: The fields of `Completion` that the trainer knows.
        tokenizer: The policy's.
        word: The text of one id.
        end_ids: Ids that end a completion.
    """
    ids = tuple(row["token_ids"])
    return Completion(
        **{**row, "token_ids": ids, "per_token_logps": tuple(row["per_token_logps"])},
        completion=tokenizer.decode(ids, skip_special_tokens=True),
        raw_completion_tokens=tuple(map(word, ids)),
        truncated=not ids or ids[-1] not in end_ids,
    )


def not_finite(name: str, value: float, step: int, rows: Iterable[str]) -> NotFiniteError:
    """The error that stops a run, with the ids of the rows it came from."""
    row_ids = ", ".join(dict.fromkeys(rows))
    return NotFiniteError(
        f"{name} is {value} at step {step} in row {row_ids}: the run stops, the last checkpoint is kept"
    )


def rewards_of(row: str, names: Sequence[str], values: Sequence[float]) -> dict[str, float | None]:
    """One completion's rewards by name; None for NaN, which in TRL is a reward that does not apply.

    Raises:
        NotFiniteError: If one is infinite; `row` is named.
    """
    for name, value in zip(names, values, strict=True):
        if math.isinf(value):
            raise NotFiniteError(f"reward {name} of row {row} is {value}: the last checkpoint is kept")
    return {name: None if math.isnan(value) else value for name, value in zip(names, values, strict=True)}


def is_logged(step: int, log_every: int, *, accumulation: int, period: int) -> bool:
    """Whether a step's completions are written: of the steps that sample, the first and each N-th after.

    A function of the step alone, so that a resumed run writes the steps that an unbroken one does.

    Args:
        step: Optimizer steps done before.
        log_every: N; of the steps at which completions are generated.
        accumulation: Micro-batches of an optimizer step.
        period: Micro-batches from one generation to the next.

    >>> [step + 1 for step in range(12) if is_logged(step, 2, accumulation=2, period=4)]
    [1, 4, 5, 8, 9, 12]
    """
    return min(step, math.ceil(step * accumulation / period)) % log_every == 0


class CompletionLog:
    """The rows of a generation, which wait for their log-probabilities and are written once all have them.

    Args:
        lines: The file.
        tokenizer: The policy's.
        end_ids: Ids that end a completion.
        gather: Joins the rows of all processes, in their order.
        main: Whether this process writes.
    """

    def __init__(
        self,
        lines: JsonLines,
        tokenizer: Any,
        end_ids: Container[int],
        *,
        gather: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
        main: bool,
    ) -> None:
        self._lines, self._tokenizer, self._end_ids = lines, tokenizer, end_ids
        self._gather, self._main = gather, main
        self._word = functools.cache(lambda token: tokenizer.decode([token]))
        self._rows: list[dict[str, Any]] = []
        self._waiting_rows: set[int] = set()
        self.on = True
        """Whether this generation is written; what is not finite stops the run all the same."""

    def begin(self, rows: list[dict[str, Any]]) -> None:
        self._rows, self._waiting_rows = rows, set(range(len(rows)))

    def ids(self, rows: Tensor) -> list[str]:
        return [self._rows[index]["id"] for index in rows.tolist()]

    def waits_for(self, rows: Tensor) -> bool:
        return not self._waiting_rows.isdisjoint(rows.tolist())

    def keep(self, rows: Tensor, logps: Tensor) -> None:
        """Join log-probabilities (rows, tokens) with their rows; write the batch once it is complete.

        Raises:
            NotFiniteError: If one is not finite; its row is named.
        """
        for index, values in zip(rows.tolist(), logps.tolist(), strict=True):
            row = self._rows[index]
            row["per_token_logps"] = values[: len(row["token_ids"])]
            if not math.isfinite(sum(row["per_token_logps"])):
                value = next(value for value in row["per_token_logps"] if not math.isfinite(value))
                raise not_finite("a log-probability", value, row["step"], [row["id"]])
        self._waiting_rows.difference_update(rows.tolist())
        if self.on and not self._waiting_rows:
            self.write(self._gather(self._rows))

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write these rows, if this generation is written and this process writes."""
        if self.on and self._main:
            records = (finish(row, self._tokenizer, self._word, self._end_ids) for row in rows)
            self._lines.write(*(record.to_dict() for record in records))
