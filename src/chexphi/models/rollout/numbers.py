"""The random numbers of each token, fixed before anything is sampled.

A token is a function of what stands before it and of its numbers. They are a function of the run's seed, the
row and the position of the token, so that no other row of a batch, and no draft, can change a sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

_STEP, _MIX = -7046029254386353131, (-4658895280553007687, -7723592293110705685)
"""Constants of SplitMix64 (Steele, Lea and Flood 2014), as signed 64-bit integers."""
_UNIT = 2.0**-53


@dataclass(frozen=True, slots=True)
class RowNumbers:
    """The numbers of some rows."""

    keys: Tensor
    """One for each row, int64 (rows,)."""

    @classmethod
    def of(cls, seed: int, rows: Sequence[tuple[int, ...]], device: torch.device | str = "cpu") -> Self:
        """The numbers of rows.

        Args:
            seed: Of the run.
            rows: What tells a row from all others of the run, such as (question, sample).
            device: Where they are drawn.
        """
        key_columns = torch.tensor([(seed, *row) for row in rows], dtype=torch.int64, device=device)
        keys = torch.zeros(len(key_columns), dtype=torch.int64, device=device)
        for key_column in key_columns.unbind(1) if len(key_columns) else ():
            keys = _mixed((keys ^ key_column) + _STEP)
        return cls(keys)

    def select(self, rows: Tensor) -> RowNumbers:
        """Those of some rows, int (chosen,)."""
        return RowNumbers(self.keys[rows])

    def at(self, positions: Tensor, count: int = 1) -> Tensor:
        """The numbers of tokens, fp64 (rows, tokens, count) in [0, 1).

        Args:
            positions: Of the tokens in their completions, int (rows, tokens).
            count: Numbers of each token.
        """
        bits = _mixed(self.keys[:, None] + (positions + 1) * _STEP)
        steps = torch.arange(1, count + 1, device=bits.device) * _STEP
        return _shifted(_mixed(bits[..., None] + steps), 11).double() * _UNIT


def number_of_id(id: str) -> int:
    """The number of an example, by which its samples are drawn: the same in any file, order and batch."""
    return int.from_bytes(hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()[:7], "big")


def _mixed(bits: Tensor) -> Tensor:
    """The finaliser of SplitMix64: every bit of the result depends on every bit of the input, int64."""
    bits = (bits ^ _shifted(bits, 30)) * _MIX[0]
    bits = (bits ^ _shifted(bits, 27)) * _MIX[1]
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Tensor, by: int) -> Tensor:
    """A shift to the right that brings in zeros: torch's brings in the sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)
