"""What an answer and a graph earn: the settings of both rewards, each declared once.

The recipe of `grpo`, the flags of `chexphi rewards`, and the keywords of veRL and of `score` are made from
these fields. Standard library only.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar

from chexphi.answers import REWARD_MATCHES
from chexphi.graph.match import EMPTIES, MEASURES
from chexphi.ranges import check_choices
from chexphi.schema import InputError, shown

CLINICAL = "clinical"
"""The measure that compares findings; see `chexphi.graph.clinical`."""
CHOICES: dict[str, tuple[str, ...]] = {
    "match": REWARD_MATCHES,
    "measure": (*MEASURES, CLINICAL),
    "empty": EMPTIES,
    "contradictions": ("discount", "ignore"),
    "repetitions": ("discount", "ignore"),
}
"""Allowed values of the fields that have a few."""
WRONG_REASON = 0.5
"""A right answer whose graph scores less than this is right for the wrong reason (our choice)."""
MEASURE_HELP = "how graphs are compared: jaccard, f1, or clinical (findings, as radiologists weigh them)"
EXTRACTOR_HELP = "the extractor of graphs: lexicon, rexkg:FOLDER or radgraph"
ONTOLOGY_HELP = "a TOML file of concepts that measure clinical adds to its own, or replaces"


@dataclass(frozen=True)
class AnswerRule:
    """When an answer is right; see `chexphi.rewards.score.accuracy`.

    >>> AnswerRule("clinical", format_gate=False)
    AnswerRule(match='clinical', format_gate=False)
    """

    HEADING: ClassVar[str] = "Answer reward"
    """Of these fields in `--help`."""
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
    """What the graph of a reasoning earns; see `chexphi.rewards.score.score_graph`.

    >>> GraphRule("f1", contradictions="ignore")
    GraphRule(measure='f1', empty='skip', contradictions='ignore', repetitions='discount', ontology='')
    """

    HEADING: ClassVar[str] = "Graph reward"
    measure: str = field(default="jaccard", metadata={"help": MEASURE_HELP})
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
    ontology: str = field(default="", metadata={"help": ONTOLOGY_HELP})


RULE_FIELDS = tuple(entry.name for rule in (AnswerRule, GraphRule) for entry in dataclasses.fields(rule))
"""The names of the fields of both rules."""


def check_rules(source: str, *rules: AnswerRule | GraphRule) -> None:
    """Refuse a setting that is not one of its known values.

    Raises:
        InputError: For the first such setting, or a value that is not a rule; `source` begins the message.
    """
    for rule in rules:
        if not isinstance(rule, AnswerRule | GraphRule):
            raise InputError(f"{source}: its rule is {shown(rule)}: give an AnswerRule or a GraphRule")
        check_choices(source, vars(rule), CHOICES)


def check_original_measure(source: str, measure: str) -> None:
    """Refuse a measure that the original does not have.

    Raises:
        InputError: For `clinical`; `source` begins the message.
    """
    if measure == CLINICAL:
        raise InputError(f"{source}: compat original has no measure clinical: use jaccard or f1")
