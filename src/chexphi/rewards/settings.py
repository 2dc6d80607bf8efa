"""The settings of all rewards: the fields of a recipe, and their check. Standard library only."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from chexphi import compat, ranges
from chexphi.compat import canonical
from chexphi.graph.findings.ontology import open_ontology
from chexphi.number_text import counted
from chexphi.ranges import COUNT, FINITE, Range
from chexphi.rewards import rules
from chexphi.rewards.combine import ACCURACY, COMBINES, CONSISTENCY, FORMAT, GRAPH, PENALTIES, Scheme
from chexphi.rewards.rules import AnswerRule, GraphRule
from chexphi.schema import InputError, shown

NAMES = (ACCURACY, GRAPH, CONSISTENCY, FORMAT, "think_format_reward", *PENALTIES)
CHOICES: dict[str, tuple[str, ...]] = {"combine": COMBINES, "compat": compat.CHOICES}
"""Allowed values of settings that do not belong to one reward alone; for the others see `rules`."""

RANGES = {
    "gate_at": Range(0, 1, excluded="minimum"),
    "soft_overlong_share": Range(0, 1, excluded="minimum"),
    "repetition_ngram": COUNT,
    "reward_weights": FINITE,
}


@dataclass(frozen=True)
class RewardFields(GraphRule, AnswerRule):
    """Which rewards a completion earns, how each is computed (both rules), and how they make a total."""

    HEADING: ClassVar[str] = "Rewards"
    rewards: list[str] = field(
        default_factory=lambda: [ACCURACY, GRAPH],
        metadata={
            "help": f"any of {', '.join(NAMES)}, radeval:METRIC[:KEY] or package.module:callable; weights: "
            "--reward_weights"
        },
    )
    extractor: str = field(default="lexicon", metadata={"help": rules.EXTRACTOR_HELP})
    combine: str = field(
        default="sum",
        metadata={"help": "sum (the original's), product, or gated: one reward is the gate of the others"},
    )
    gate: str = field(
        default="", metadata={"help": "the reward that is the gate of the others (default: the first)"}
    )
    gate_at: float = field(default=1.0, metadata={"help": "from which value on the gate is open"})
    gated: list[str] = field(
        default_factory=list, metadata={"help": "the rewards that the gate closes (default: all others)"}
    )
    soft_overlong_share: float = field(
        default=0.2,
        metadata={"help": "last share of max_completion_length over which soft_overlong falls to -1"},
    )
    repetition_ngram: int = field(
        default=3, metadata={"help": "length in tokens of a phrase that may not come again"}
    )
    compat: str = field(
        default="default",
        metadata={
            "help": "default, or original: rewards and dynamic_sample as in the original, faults included"
        },
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "compat", canonical(self.compat))  # as config.yaml and the manifest have it


_DEFAULTS = GraphRule()


def scheme_of(fields: RewardFields, weights: Sequence[float] | None = None) -> Scheme:
    """How these rewards make the total."""
    return Scheme(
        tuple(fields.rewards),
        tuple(weights or ()),
        fields.combine,  # type: ignore[arg-type]
        fields.gate,
        fields.gate_at,
        tuple(fields.gated),
    )


def check_settings(
    fields: RewardFields, weights: Sequence[float] | None = None, *, source: str = "rewards"
) -> None:
    """Refuse settings that rewards cannot be made of.

    Raises:
        InputError: For the first such setting; the message begins with `source`.
    """
    for name in fields.rewards:
        check_name(name, source)
    rules.check_rules(source, fields)
    ranges.check_choices(source, vars(fields), CHOICES)
    ranges.check(vars(fields) | {"reward_weights": list(weights or ())}, RANGES, source)
    if not fields.rewards or len(set(fields.rewards)) != len(fields.rewards):
        raise InputError(f"{source}: rewards is {shown(fields.rewards)}: name each reward once")
    if weights is not None and len(weights) != len(fields.rewards):
        raise InputError(
            f"{source}: reward_weights has {counted(len(weights), 'value')} for "
            f"{counted(len(fields.rewards), 'reward')}: give one each"
        )
    _check_measure(fields, source)
    _check_combination(fields, weights or (), source)


def _check_measure(fields: RewardFields, source: str) -> None:
    """Refuse a measure or an ontology that this configuration does not use, and an ontology with mistakes."""
    if compat.is_original(fields.compat):
        rules.check_original_measure(source, fields.measure)
    check_ontology(source, fields.measure, fields.ontology)
    for name in ("empty", "contradictions"):
        value = getattr(fields, name)
        if fields.measure == rules.CLINICAL and value != getattr(_DEFAULTS, name):
            raise InputError(
                f"{source}: {name} is {shown(value)}, which measure clinical does not use: leave {name} out, "
                "or use another measure"
            )


def check_ontology(source: str, measure: str, ontology: str) -> None:
    """Refuse an ontology that the measure does not use, and one with mistakes.

    Raises:
        InputError: With the file; `source` begins the message of the first.
    """
    if ontology and measure != rules.CLINICAL:
        raise InputError(
            f"{source}: ontology is {shown(ontology)}, which only measure clinical uses: set measure to "
            "clinical, or leave ontology out"
        )
    if ontology:
        open_ontology(ontology)


def _check_combination(fields: RewardFields, weights: Sequence[float], source: str) -> None:
    if fields.combine == "product" and any(weight < 0 for weight in weights):
        raise InputError(f"{source}: reward_weights is {shown(list(weights))}: in a product give at least 0")
    if fields.gated and fields.combine != "gated":
        raise InputError(
            f"{source}: gated is {shown(fields.gated)}, with combine {fields.combine}: set it to gated"
        )
    if fields.combine == "sum":
        return
    combined = [name for name in fields.rewards if name not in PENALTIES]
    if len(combined) < 2:
        raise InputError(
            f"{source}: combine is {fields.combine!r} with {combined}: name two rewards besides "
            f"{' and '.join(PENALTIES)}, or use sum"
        )
    gate = fields.gate or combined[0]  # as in Scheme.gate_name, which refuses a gate without the source
    if fields.combine == "gated" and gate not in combined:
        raise InputError(f"{source}: gate is {shown(fields.gate)}: use one of {', '.join(combined)}")
    if wrong := [name for name in fields.gated if name not in combined or name == gate]:
        others = [name for name in combined if name != gate]
        raise InputError(
            f"{source}: gated names {shown(wrong[0])}: use {' and '.join(others)}, or "
            "leave gated out for all of them"
        )
    if compat.is_original(fields.compat):
        raise InputError(f"{source}: compat original works with combine sum only: leave one of them out")


def check_name(name: str, source: str) -> None:
    """Refuse a name that is not a known reward, and not a function or a metric of RadEval either.

    Raises:
        InputError: The message has the nearest known names.
    """
    if name in NAMES or ":" in name:
        return
    nearest_names = difflib.get_close_matches(name[:100], NAMES, n=2, cutoff=0.4) or NAMES
    raise InputError(
        f"{source}: rewards names {shown(name)}: did you mean {' or '.join(nearest_names)}? "
        "A function of your own is package.module:callable, one of RadEval radeval:METRIC"
    )
