"""Rewards of rows on disk: `chexphi rewards score FILE`, and `data check --rewards`."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from chexphi import config, field_values, prompts, ranges
from chexphi.compat import is_original
from chexphi.graph.types import Extractor
from chexphi.ranges import COUNT
from chexphi.rewards import by_name, settings
from chexphi.rewards.checked import CheckedReward, totals
from chexphi.rewards.combine import ACCURACY, CONSISTENCY, FORMAT, GRAPH, PENALTIES, Scheme
from chexphi.rewards.score import gold_answer
from chexphi.rewards.settings import RewardFields
from chexphi.schema import Example, InputError, shown

GARBAGE = (
    "",
    "lorem ipsum",
    "<think></think><answer></answer>",
    "<think>lorem ipsum</think><answer>lorem ipsum</answer>",
)
"""Completions that have to earn the lowest reward."""
NO_COLUMNS = frozenset(
    {"completion", "completions", "completion_ids", "token_ids", "log_metric", "log_extra"}
)
"""Fields of a row that are not passed on as columns: rewards have arguments of these names."""
AT_MOST_ONE = (ACCURACY, GRAPH, FORMAT, "think_format_reward")
"""Rewards of which a reference earns 1."""


@dataclasses.dataclass(frozen=True)
class RewardSetup:
    """The rewards of one run."""

    fields: RewardFields
    weights: Sequence[float] | None = None
    max_completion_length: int | None = None

    @property
    def scheme(self) -> Scheme:
        return settings.scheme_of(self.fields, self.weights)

    def open(self, extractor: Extractor | None = None) -> list[CheckedReward]:
        """The rewards by their names; see `by_name.open_rewards`."""
        reader = extractor or by_name.extractor_of(self.fields)
        return by_name.open_rewards(self.fields, reader, max_completion_length=self.max_completion_length)


@dataclasses.dataclass
class _TrlFields:
    """The settings of TRL, from the same file, that rewards need."""

    reward_weights: list[float] | None = None
    max_completion_length: int | None = None


def setup(rewards: Sequence[str] = (), weights: Sequence[float] | None = None, **changes: Any) -> RewardSetup:
    """The rewards that `--rewards` names, with their settings.

    Args:
        rewards: Names, one or several with commas in a text, or paths of `.yaml` configs of `grpo`, of which
            later ones override earlier ones. Without any: the default rewards.
        weights: One for each reward.
        changes: Fields of `RewardFields` that override the config's; None changes nothing.

    Raises:
        InputError: For settings that rewards cannot be made of.
    """
    words = [word for text in rewards for word in field_values.listed(text)]
    values: dict[str, Any] = {}
    files = [word for word in words if Path(word).suffix in (".yaml", ".yml")]
    for file in files:
        values |= config.read_yaml(Path(file))
    if names := [word for word in words if word not in files]:
        values |= {"rewards": names}
    kinds = {field.name for field in dataclasses.fields(RewardFields)}
    _refuse_near_misses(values, kinds)
    ours = {key: value for key, value in values.items() if key in kinds}
    ours |= {key: _taken_apart(value) for key, value in changes.items() if value is not None}
    source = " over ".join(reversed(files)) or "rewards"
    fields = RewardFields(**field_values.check_values(ours, [RewardFields], source))
    trl: dict[str, Any] = {
        key: values[key] for key in ("reward_weights", "max_completion_length") if key in values
    }
    beside = _TrlFields(**field_values.check_values(trl, [_TrlFields], source))
    ranges.check(vars(beside), {"max_completion_length": COUNT}, source)
    if weights is None and not names:
        weights = beside.reward_weights
    settings.check_settings(fields, weights, source=source)
    by_name.check_functions(fields.rewards)
    by_name.check_extractor_of(fields)
    return RewardSetup(fields, weights, beside.max_completion_length)


def _taken_apart(value: Any) -> Any:
    """A value of the command line; of a list the words that have commas between them."""
    return (
        [word for text in value for word in field_values.listed(text)] if isinstance(value, list) else value
    )


def _refuse_near_misses(values: Mapping[str, Any], known_keys: Set[str]) -> None:
    """Refuse a key that is nearly the name of a reward's setting: it is a typing error.

    Other keys are accepted, because a config of `grpo` has settings that do not belong to rewards.

    Raises:
        InputError: For the first such key.
    """
    for key in values:
        nearest = difflib.get_close_matches(key[:100], known_keys, n=1, cutoff=0.85)
        if key not in known_keys and nearest:
            raise InputError(
                f"unknown key {shown(key)} among the rewards' settings: did you mean {nearest[0]!r}?"
            )


def numbers(text: str | None) -> list[float] | None:
    """The numbers of `--weights`.

    Raises:
        InputError: If one of them is not a number.
    """
    try:
        return None if text is None else [float(word) for word in text.split(",")]
    except ValueError:
        raise InputError(f"weights are {shown(text)}: give numbers with commas between them") from None


def score_rows(
    rows: Sequence[Mapping[str, Any]], reward_setup: RewardSetup, rewards: Sequence[CheckedReward]
) -> dict[str, Any]:
    """Score rows; those of one `group` in one call, as a trainer does.

    Returns:
        `n`, `mean` of every reward and of the total, `malformed` by kind, `groups` and
        `groups_without_spread` where rows have a `group`, and `rows` in their order, each with `id`,
        `group`, `status`, `rewards` and `total`.
    """
    one_row_a_call = is_original(reward_setup.fields.compat)  # there a call uses its first solution only
    calls: dict[Any, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        calls[("group", row["group"]) if "group" in row else ("row", number if one_row_a_call else 0)].append(
            number
        )
    scored: dict[int, dict[str, Any]] = {}
    for numbers in calls.values():
        call_lines = score_call([rows[number] for number in numbers], reward_setup.scheme, rewards)
        scored.update(zip(numbers, call_lines, strict=True))
    lines = [scored[number] for number in range(len(rows))]
    groups = [
        [scored[n]["total"] for n in numbers] for (kind, _), numbers in calls.items() if kind == "group"
    ]
    figures: dict[str, Any] = {"n": len(rows), "mean": _means(lines, reward_setup.fields.rewards)}
    figures["malformed"] = dict(Counter(line["status"] for line in lines if line["status"] != "ok"))
    if groups:
        figures["groups"] = len(groups)
        figures["groups_without_spread"] = sum(len(set(totals)) == 1 for totals in groups)
    return figures | {"rows": lines}


def score_call(
    rows: Sequence[Mapping[str, Any]], scheme: Scheme, rewards: Sequence[CheckedReward]
) -> list[dict[str, Any]]:
    """Each row's `id`, `status`, `rewards` by name and `total`; every reward is called once with all rows."""
    texts = [prompts.text_of(row["completion"]) for row in rows]
    shared = set.intersection(*(set(row) for row in rows)) - NO_COLUMNS
    fields: dict[str, Any] = {key: [row[key] for row in rows] for key in shared}
    if any("answer" in row for row in rows):  # a row without one is read from its solution
        labels = [row.get("answer") for row in rows]
        fields["answer"] = [[label] if isinstance(label, str) else label for label in labels]
    fields["opened_think"] = [bool(row.get("opened_think")) for row in rows]
    ids = [row.get("completion_ids", row.get("token_ids")) for row in rows]
    if None not in ids:
        fields["completion_ids"] = ids
    values = {reward.__name__: reward(completions=texts, **fields) for reward in rewards}
    total = totals(scheme, values, len(rows), fields)
    return [
        {
            "id": row["id"],
            **({"group": row["group"]} if "group" in row else {}),
            "status": str(prompts.parse(text, opened_think=bool(row.get("opened_think"))).status),
            "rewards": {name: column[position] for name, column in values.items()},
            "total": total[position],
        }
        for position, (row, text) in enumerate(zip(rows, texts, strict=True))
    ]


def _means(lines: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, float | None]:
    columns = {name: [line["rewards"][name] for line in lines] for name in names}
    columns["total"] = [line["total"] for line in lines]
    scored_values = {
        name: [value for value in column if value is not None] for name, column in columns.items()
    }
    return {name: sum(values) / len(values) if values else None for name, values in scored_values.items()}


def pay_of_references(rewards: Sequence[str]) -> Callable[[Sequence[Example]], dict[str, Any]]:
    """`check_examples` with the rewards of `--rewards` (see `setup`), whose settings are checked now."""
    return functools.partial(check_examples, reward_setup=setup(rewards))


def check_examples(examples: Sequence[Example], reward_setup: RewardSetup) -> dict[str, Any]:
    """What the references of a dataset earn as completions, and what garbage earns.

    A reference has to earn 1 of every reward that can be scored, something of consistency, and of a
    function of the user's more than garbage does. Garbage has to earn nothing. Penalties, which count tokens,
    are left out.

    Returns:
        `rows` (those with an explanation), `gold` and `garbage` (mean totals), `unscorable` (by reward),
        `below` (ids of rows whose reference earns less than it could) and `above` (ids of rows whose garbage
        earns something).
    """
    names = [name for name in reward_setup.fields.rewards if name not in PENALTIES]
    weight_of = reward_setup.scheme.weight()
    fields = dataclasses.replace(reward_setup.fields, rewards=names)
    reward_setup = RewardSetup(
        fields, [weight_of[name] for name in names], reward_setup.max_completion_length
    )
    scheme, rewards = reward_setup.scheme, reward_setup.open()
    rows = [gold_row(example) for example in examples if example.explanation]
    if not rows:
        raise InputError("no row has an explanation: rewards need at least one to be checked with")
    gold = score_call(rows, scheme, rewards)
    garbage = [score_call([row | {"completion": text} for row in rows], scheme, rewards) for text in GARBAGE]
    worst = [max(line["total"] or 0.0 for line in lines) for lines in zip(*garbage, strict=True)]
    unscorable = Counter(name for line in gold for name, value in line["rewards"].items() if value is None)
    return {
        "rows": len(rows),
        "gold": _means(gold, names)["total"],
        "garbage": sum(worst) / len(worst),
        "unscorable": dict(unscorable),
        "below": [line["id"] for line, low in zip(gold, worst, strict=True) if not _is_best(line, low)],
        "above": [line["id"] for line, low in zip(gold, worst, strict=True) if low > 0],
    }


def gold_row(example: Example) -> dict[str, Any]:
    """The reference of an example as its own completion."""
    text, labels = example.explanation, list(example.answer)
    if prompts.parse(text).answer is None and gold_answer(text, labels):  # plain text: the reasoning alone
        completion = prompts.render(prompts.reference_reasoning(text), ", ".join(labels))
    else:
        completion = text
    return {
        "id": example.id,
        "question": example.question,
        "completion": completion,
        "solution": text,
        "answer": labels,
    }


def _is_best(line: Mapping[str, Any], garbage: float) -> bool:
    values = line["rewards"]
    known_are_full = all(values[name] in (None, 1.0) for name in AT_MOST_ONE if name in values)
    if values.get(CONSISTENCY) == 0:  # the reference contradicts its own answer
        return False
    has_foreign_reward = any(name not in (*AT_MOST_ONE, CONSISTENCY) for name in values)
    return known_are_full and (not has_foreign_reward or (line["total"] or 0.0) > garbage)
