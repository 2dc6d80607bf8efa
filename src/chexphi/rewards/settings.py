"""What a user says about rewards: the fields of a recipe, checked in words. Standard library only."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

from chexphi import compat, ranges
from chexphi.compat import canonical
from chexphi.ranges import COUNT, FINITE, Range
from chexphi.rewards import rules
from chexphi.rewards.combine import ACCURACY, COMBINES, FORMAT, GRAPH, PENALTIES, Scheme
from chexphi.rewards.rules import AnswerRule, GraphRule
from chexphi.schema import InputError, shown

NAMES = (ACCURACY, GRAPH, FORMAT, "think_format_reward", *PENALTIES)
CHOICES: dict[str, tuple[str, ...]] = {"combine": COMBINES, "compat": compat.CHOICES}
"""Of what is no rule of one reward; for those see `rules`."""

RANGES = {
    "gate_at": Range(0, 1, excluded="minimum"),
    "soft_overlong_share": Range(0, 1, excluded="minimum"),
    "repetition_ngram": COUNT,
    "reward_weights": FINITE,
}


@dataclass(frozen=True)
class RewardFields(GraphRule, AnswerRule):
    """Which rewards a completion earns, and how they are counted: both rules, and what joins the rewards."""

    rewards: list[str] = field(
        default_factory=lambda: [ACCURACY, GRAPH],
        metadata={
            "help": f"any of {', '.join(NAMES)}, radeval:METRIC[:KEY] or package.module:callable; weights: "
            "--reward_weights"
        },
    )
    extractor: str = field(
        default="lexicon", metadata={"help": "what reads graphs: lexicon, rexkg:FOLDER or radgraph"}
    )
    combine: str = field(
        default="sum",
        metadata={"help": "sum (the original's), product, or gated: one reward opens the others"},
    )
    gate: str = field(default="", metadata={"help": "the reward that opens the others (default: the first)"})
    gate_at: float = field(default=1.0, metadata={"help": "from which value on it does"})
    soft_overlong_share: float = field(
        default=0.2,
        metadata={"help": "last share of max_completion_length over which soft_overlong falls to -1"},
    )
    repetition_ngram: int = field(default=3, metadata={"help": "tokens of what may not come again"})
    compat: str = field(
        default="default",
        metadata={"help": "original: both rewards and dynamic_sample as in the original, faults included"},
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "compat", canonical(self.compat))  # as config.yaml and the manifest have it


def scheme_of(fields: RewardFields, weights: Sequence[float] | None = None) -> Scheme:
    """How the rewards make the total."""
    return Scheme(tuple(fields.rewards), tuple(weights or ()), fields.combine, fields.gate, fields.gate_at)  # type: ignore[arg-type]


def check(fields: RewardFields, weights: Sequence[float] | None = None, *, where: str = "rewards") -> None:
    """Refuse what no reward can be made of.

    Raises:
        InputError: For the first such setting; `where` stands before it.
    """
    for name in fields.rewards:
        check_name(name, where)
    rules.check(where, fields)
    ranges.check_choices(where, vars(fields), CHOICES)
    ranges.check(vars(fields) | {"reward_weights": list(weights or ())}, RANGES, where)
    if not fields.rewards or len(set(fields.rewards)) != len(fields.rewards):
        raise InputError(f"{where}: rewards is {shown(fields.rewards)}: name each reward once")
    if weights is not None and len(weights) != len(fields.rewards):
        raise InputError(
            f"{where}: {len(weights)} reward_weights for {len(fields.rewards)} rewards: one each"
        )
    _check_combination(fields, weights or (), where)


def _check_combination(fields: RewardFields, weights: Sequence[float], where: str) -> None:
    if fields.combine == "product" and any(weight < 0 for weight in weights):
        raise InputError(f"{where}: reward_weights is {shown(list(weights))}: in a product give at least 0")
    if fields.combine == "sum":
        return
    joined = [name for name in fields.rewards if name not in PENALTIES]
    if len(joined) < 2:
        raise InputError(
            f"{where}: combine is {fields.combine!r} with {joined}: name two rewards besides "
            f"{' and '.join(PENALTIES)}, or use sum"
        )
    if fields.combine == "gated" and (fields.gate or joined[0]) not in joined:
        raise InputError(f"{where}: gate is {shown(fields.gate)}: use one of {', '.join(joined)}")
    if compat.is_original(fields.compat):
        raise InputError(f"{where}: compat original knows only combine sum: leave one of them out")


def check_name(name: str, where: str) -> None:
    """Refuse a reward that has neither a known name nor a place.

    Raises:
        InputError: With the nearest known names.
    """
    if name in NAMES or ":" in name:
        return
    near = difflib.get_close_matches(name[:100], NAMES, n=2, cutoff=0.4) or NAMES
    raise InputError(
        f"{where}: rewards names {shown(name)}: did you mean {' or '.join(near)}? A function of your own is "
        "package.module:callable, one of RadEval radeval:METRIC"
    )
