"""Flags of TRL's fields: what transformers' own parser accepts has the same value here."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import pytest
from transformers import HfArgumentParser
from trl import GRPOConfig, SFTConfig

from chexphi.config.flags import read_flags
from chexphi.field_values import described_fields
from chexphi.schema import InputError

WORDS = (
    *([], ["true"], ["false"], ["no"], ["YES"], ["0"], ["1"], ["2.5"], ["-1"], ["1e-3"], ["010"], ["none"]),
    *(
        ["steps"],
        ["linear"],
        ["adamw_torch"],
        ["all"],
        ["a", "b"],
        ["1", "2"],
        ['{"a": 1}'],
        ["auto"],
        ["x y"],
    ),
)
"""What follows a flag."""


class Parser(HfArgumentParser):
    def error(self, message: str) -> Any:
        raise InputError(message)


def plain(value: Any) -> Any:
    """A value without the enums of the library, and a list of one as its entry."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value.value if isinstance(value, enum.Enum) else value


@pytest.mark.parametrize("kind", [SFTConfig, GRPOConfig])
def test_what_the_librarys_parser_accepts_has_the_same_value(kind: type) -> None:
    theirs = Parser(kind, allow_abbrev=False, add_help=False)
    ours = described_fields([kind])
    accepted = 0
    for field in dataclasses.fields(kind):
        for flags in ([f"--{field.name}", *words] for words in WORDS):
            try:
                value = getattr(theirs.parse_args(flags), field.name)
            except (InputError, TypeError):  # ParallelismConfig takes no word
                continue
            assert plain(read_flags(flags, [ours[field.name]], "verb")[field.name]) == plain(value), flags
            accepted += 1
        if field.default is True:
            flags = [f"--no_{field.name}"]
            assert read_flags(flags, [ours[field.name]], "verb")[field.name] is getattr(
                theirs.parse_args(flags), field.name
            )
    assert accepted > 1_000
