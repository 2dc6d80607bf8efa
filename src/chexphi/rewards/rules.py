"""How an answer and a graph are paid: the settings of both rewards, each written once.

The recipe of `grpo`, the flags of `chexphi rewards`, and the keywords of veRL and of `score` are made from
these fields. Standard library only.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from chexphi.answers import REWARD_MATCHES
from chexphi.graph.match import EMPTIES, MEASURES
from chexphi.schema import InputError, shown


def _choice(default: str, choices: tuple[str, ...], help: str) -> Any:
    return field(default=default, metadata={"help": help, "choices": choices})


@dataclass(frozen=True)
class AnswerRule:
    """When an answer is right; see `chexphi.rewards.score.accuracy`."""

    match: str = _choice(
        "exact",
        REWARD_MATCHES,
        "how answers are compared: exact, clinical (as meanings: LLL is left lower lobe), f1 or any (the "
        "original's)",
    )
    format_gate: bool = field(
        default=True, metadata={"help": "a malformed completion earns nothing for its answer, as in evaluate"}
    )


@dataclass(frozen=True)
class GraphRule:
    """What the graph of a reasoning earns; see `chexphi.rewards.score.score_graph`."""

    measure: str = _choice("jaccard", MEASURES, "how graphs are compared: jaccard or f1")
    empty: str = _choice(
        "skip",
        EMPTIES,
        "entities or relations that neither graph has: skip, one (the original's) or zero",
    )
    contradictions: str = _choice(
        "discount",
        ("discount", "ignore"),
        "findings with the wrong polarity or side: discount takes their share of the graph reward, ignore "
        "(the original's) counts them as left out",
    )
    repetitions: str = _choice(
        "discount",
        ("discount", "ignore"),
        "statements that are made again: discount divides the graph reward by the times, ignore (the "
        "original's) counts them once",
    )


NAMES = tuple(one.name for rule in (AnswerRule, GraphRule) for one in dataclasses.fields(rule))
"""Of the fields of both."""


def check(where: str, *rules: AnswerRule | GraphRule) -> None:
    """Refuse a setting that is not one of its known values.

    Raises:
        InputError: For the first such setting, or what is no rule; `where` is the beginning of the message.
    """
    for rule in rules:
        if not isinstance(rule, AnswerRule | GraphRule):
            raise InputError(f"{where}: its rule is {shown(rule)}: give an AnswerRule or a GraphRule")
        for one in dataclasses.fields(rule):
            value, choices = getattr(rule, one.name), one.metadata.get("choices")
            if choices and value not in choices:
                raise InputError(f"{where}: {one.name} is {shown(value)}: use {', '.join(choices)}")
