"""How an answer and a graph are paid: the settings of both rewards, each written once.

The recipe of `grpo`, the flags of `chexphi rewards`, and the keywords of veRL and of `score` are made from
these fields. Standard library only.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from chexphi.answers import REWARD_MATCHES
from chexphi.graph.match import EMPTIES, MEASURES
from chexphi.ranges import check_choices
from chexphi.schema import InputError, shown

CHOICES: dict[str, tuple[str, ...]] = {
    "match": REWARD_MATCHES,
    "measure": MEASURES,
    "empty": EMPTIES,
    "contradictions": ("discount", "ignore"),
    "repetitions": ("discount", "ignore"),
}
"""Fields of the rules that have a few known values."""


@dataclass(frozen=True)
class AnswerRule:
    """When an answer is right; see `chexphi.rewards.score.accuracy`."""

    match: str = field(
        default="exact",
        metadata={
            "help": "how answers are compared: exact, clinical (as meanings: LLL is left lower lobe), f1 or "
            "any (the original's)"
        },
    )
    format_gate: bool = field(
        default=True, metadata={"help": "a malformed completion earns nothing for its answer, as in evaluate"}
    )


@dataclass(frozen=True)
class GraphRule:
    """What the graph of a reasoning earns; see `chexphi.rewards.score.score_graph`."""

    measure: str = field(default="jaccard", metadata={"help": "how graphs are compared: jaccard or f1"})
    empty: str = field(
        default="skip",
        metadata={"help": "entities or relations that neither graph has: skip, one (the original's) or zero"},
    )
    contradictions: str = field(
        default="discount",
        metadata={
            "help": "findings with the wrong polarity or side: discount takes their share of the graph "
            "reward, ignore (the original's) counts them as left out"
        },
    )
    repetitions: str = field(
        default="discount",
        metadata={
            "help": "statements that are made again: discount divides the graph reward by the times, ignore "
            "(the original's) counts them once"
        },
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
        check_choices(where, vars(rule), CHOICES)
