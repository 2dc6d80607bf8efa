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
from chexphi.rewards.checked import Checked, totals
from chexphi.rewards.combine import ACCURACY, FORMAT, GRAPH, PENALTIES, Scheme
from chexphi.rewards.score import gold_answer
from chexphi.rewards.settings import RewardFields
from chexphi.schema import Example, InputError, shown

GARBAGE = (
    "",
    "lorem ipsum",
    "<think></think><answer></answer>",
    "<think>lorem ipsum</think><answer>lorem ipsum</answer>",
)
"""What has to earn the floor."""
NO_COLUMNS = frozenset(
    {"completion", "completions", "completion_ids", "token_ids", "log_metric", "log_extra"}
)
"""Fields of a row that do not go to rewards under their own name: these are arguments of a reward."""
AT_MOST_ONE = (ACCURACY, GRAPH, FORMAT, "think_format_reward")
"""Rewards whose greatest value is 1."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """Rewards as one run has them."""

    fields: RewardFields
    weights: Sequence[float] | None = None
    max_completion_length: int | None = None

    @property
    def scheme(self) -> Scheme:
        return settings.scheme_of(self.fields, self.weights)

    def open(self, extractor: Extractor | None = None) -> list[Checked]:
        """The rewards by their names; see `by_name.open_rewards`."""
        reader = extractor or by_name.extractor_of(self.fields)
        return by_name.open_rewards(self.fields, reader, max_completion_length=self.max_completion_length)


@dataclasses.dataclass
class _TrlFields:
    """What rewards read of TRL's own settings, which stand in the same file."""

    reward_weights: list[float] | None = None
    max_completion_length: int | None = None


def setup(rewards: Sequence[str] = (), weights: Sequence[float] | None = None, **changes: Any) -> Setup:
    """What the words after `--rewards` say: names, with commas or apart, or config files of `grpo`.

    Args:
        rewards: Names, or paths of `.yaml`, later ones over earlier ones; none: the default rewards.
        weights: One a reward.
        changes: Fields of `RewardFields` that go before the config's; None leaves it.

    Raises:
        InputError: For settings that no reward can be made of.
    """
    words = [word for text in rewards for word in text.split(",") if word]
    values: dict[str, Any] = {}
    files = [word for word in words if Path(word).suffix in (".yaml", ".yml")]
    for file in files:
        values |= config.read_yaml(Path(file))
    if names := [word for word in words if word not in files]:
        values |= {"rewards": names}
    kinds = {field.name for field in dataclasses.fields(RewardFields)}
    _refuse_near_misses(values, kinds)
    ours = {key: value for key, value in values.items() if key in kinds}
    ours |= {key: value for key, value in changes.items() if value is not None}
    where = " over ".join(reversed(files)) or "rewards"
    fields = RewardFields(**field_values.check_values(ours, [RewardFields], where))
    trl: dict[str, Any] = {
        key: values[key] for key in ("reward_weights", "max_completion_length") if key in values
    }
    beside = _TrlFields(**field_values.check_values(trl, [_TrlFields], where))
    ranges.check(vars(beside), {"max_completion_length": COUNT}, where)
    if weights is None and not names:
        weights = beside.reward_weights
    settings.check(fields, weights, where=where)
    by_name.check_places(fields.rewards)
    return Setup(fields, weights, beside.max_completion_length)


def _refuse_near_misses(values: Mapping[str, Any], known: Set[str]) -> None:
    """A config of `grpo` has keys that are no reward's; one that is nearly a reward's is a slip.

    Raises:
        InputError: For the first such key.
    """
    for key in values:
        near = difflib.get_close_matches(key[:100], known, n=1, cutoff=0.85)
        if key not in known and near:
            raise InputError(
                f"unknown key {shown(key)} among the rewards' settings: did you mean {near[0]!r}?"
            )


def numbers(text: str | None) -> list[float] | None:
    """Weights as they stand after `--weights`.

    Raises:
        InputError: If one is no number.
    """
    try:
        return None if text is None else [float(word) for word in text.split(",")]
    except ValueError:
        raise InputError(f"weights are {shown(text)}: give numbers with commas between them") from None


def score_rows(rows: Sequence[Mapping[str, Any]], using: Setup, rewards: Sequence[Checked]) -> dict[str, Any]:
    """Score rows, those of a `group` in one call as a trainer would.

    Returns:
        `n`, `mean` of every reward and of the total, `malformed` by kind, `groups` and
        `groups_without_spread` where rows have a `group`, and `rows` in their order, each with `id`,
        `group`, `status`, `rewards` and `total`.
    """
    alone = is_original(using.fields.compat)  # its calls know one solution, the first
    calls: dict[Any, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        calls[("group", row["group"]) if "group" in row else ("row", number if alone else 0)].append(number)
    scored: dict[int, dict[str, Any]] = {}
    for numbers in calls.values():
        found = score_call([rows[number] for number in numbers], using.scheme, rewards)
        scored.update(zip(numbers, found, strict=True))
    lines = [scored[number] for number in range(len(rows))]
    groups = [
        [scored[n]["total"] for n in numbers] for (kind, _), numbers in calls.items() if kind == "group"
    ]
    figures: dict[str, Any] = {"n": len(rows), "mean": _means(lines, using.fields.rewards)}
    figures["malformed"] = dict(Counter(line["status"] for line in lines if line["status"] != "ok"))
    if groups:
        figures["groups"] = len(groups)
        figures["groups_without_spread"] = sum(len(set(totals)) == 1 for totals in groups)
    return figures | {"rows": lines}


def score_call(
    rows: Sequence[Mapping[str, Any]], scheme: Scheme, rewards: Sequence[Checked]
) -> list[dict[str, Any]]:
    """Each row with its `id`, `status`, `rewards` by name and `total`, all in one call of every reward."""
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
            "rewards": {name: column[place] for name, column in values.items()},
            "total": total[place],
        }
        for place, (row, text) in enumerate(zip(rows, texts, strict=True))
    ]


def _means(lines: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, float | None]:
    columns = {name: [line["rewards"][name] for line in lines] for name in names}
    columns["total"] = [line["total"] for line in lines]
    given = {name: [value for value in column if value is not None] for name, column in columns.items()}
    return {name: sum(values) / len(values) if values else None for name, values in given.items()}


def pay_of_references(rewards: Sequence[str]) -> Callable[[Sequence[Example]], dict[str, Any]]:
    """`check_examples` with the rewards that these words say, which are checked now; see `setup`."""
    return functools.partial(check_examples, using=setup(rewards))


def check_examples(examples: Sequence[Example], using: Setup) -> dict[str, Any]:
    """What the references of a dataset earn as completions, and what garbage does.

    Gold has to earn 1 of every reward that can be scored (of a function of the user's: more than garbage
    does), garbage has to earn nothing. Penalties, which count tokens, are left out.

    Returns:
        `rows` (those with an explanation), `gold` and `garbage` (mean totals), `unscorable` by reward,
        `below` (ids of rows whose gold earns less than it could) and `above` (of rows whose garbage earns
        something).
    """
    names = [name for name in using.fields.rewards if name not in PENALTIES]
    known = using.scheme.weight()
    fields = dataclasses.replace(using.fields, rewards=names)
    using = Setup(fields, [known[name] for name in names], using.max_completion_length)
    scheme, rewards = using.scheme, using.open()
    rows = [gold_row(example) for example in examples if example.explanation]
    if not rows:
        raise InputError("no row has an explanation: there is nothing that rewards could be checked on")
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
    """The reference of an example as a completion of it."""
    text, labels = example.explanation, list(example.answer)
    if prompts.parse(text).answer is None and gold_answer(text, labels):  # plain text: the reasoning alone
        completion = prompts.render(prompts.reference_reasoning(text), ", ".join(labels))
    else:
        completion = text
    return {"id": example.id, "completion": completion, "solution": text, "answer": labels}


def _is_best(line: Mapping[str, Any], garbage: float) -> bool:
    values = line["rewards"]
    least = all(values[name] in (None, 1.0) for name in AT_MOST_ONE if name in values)
    own = any(name not in AT_MOST_ONE for name in values)
    return least and (not own or (line["total"] or 0.0) > garbage)
