"""The two rewards as a reward function of veRL, and examples as its rows.

    reward.custom_reward_function.path=pkg://chexphi.integrations.verl
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.match=any

veRL calls it from many threads, one completion at a time. veRL passes the text without end tokens, so a
completion that was cut at the length limit is recognised by the tag that it did not close.
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chexphi import atomic, prompts
from chexphi.graph.open import open_extractor
from chexphi.rewards import AccuracyReward, GraphReward, Scheme, columns, rules, settings
from chexphi.schema import Example, InputError, shown

NAMES = (*rules.RULE_FIELDS, "extractor", "reward_weights", "opened_think")
"""The keys that `reward_kwargs` may have."""
ADDED_BY_VERL = ("reward_router_address", "reward_model_tokenizer")
"""The keys that veRL 0.9.1 adds to `reward_kwargs` if there is a reward model; not used."""

_lock = threading.Lock()
_DEFAULTS = vars(settings.RewardFields())


@functools.cache
def _build(
    extractor: str, settings_items: tuple[tuple[str, Any], ...]
) -> tuple[AccuracyReward | GraphReward, ...]:
    fields = settings.RewardFields(**dict(settings_items))
    return AccuracyReward(fields), GraphReward(open_extractor(extractor, ontology=fields.ontology), fields)


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    extractor: str = "lexicon",
    reward_weights: Sequence[float] = (1.0, 1.0),
    opened_think: bool = False,
    **kwargs: Any,
) -> dict[str, float]:
    """The weighted sum of both rewards under `score`, and its parts; the same keys for every row.

    veRL does not know missing rewards. A reward that the reference cannot give counts as 0 in the sum, which
    changes no advantage within its group, and its `scored/NAME` is 0. The mean of a reward over the rows that
    have it is its mean over all rows divided by the mean of `scored/NAME`.

    Args:
        data_source: Name of the data, for messages.
        solution_str: The completion; the name of the argument is veRL's.
        ground_truth: The reference explanation.
        extra_info: `answer`, the reference labels, which are read from `ground_truth` without it; and `id`,
            for messages. With an `answer` the `ground_truth` may be missing (None or NaN).
        extractor: The extractor of graphs, as in `open_extractor`; built once a process.
        reward_weights: Of the answer and of the graph.
        opened_think: Whether the model's chat template ends prompts in an open `<think>`
            (`chexphi.prompts.opens_think`). veRL passes what was sampled, which then begins inside it.
        kwargs: Fields of `AnswerRule` and `GraphRule` (`match`, `measure`, …), and `ADDED_BY_VERL`.

    Raises:
        InputError: If a setting is unknown, the row has a value of a wrong type, or its reference has neither
            an answer nor a reasoning with a graph.
    """
    rule_settings = _rule_settings(kwargs, reward_weights)
    with _lock:  # veRL's threads start together
        rewards = _build(extractor, tuple(sorted(rule_settings.items())))
    row = _checked_extra_info(extra_info, data_source)
    row_label = f"veRL row {row.get('id', row.get('index'))!r} of {data_source}"
    completion = columns.completion_text(solution_str, row_label)
    batch: dict[str, Any] = {
        "solution": [columns.solution_text(ground_truth, f"{row_label}: ground_truth")],
        "answer": [columns.row_labels(row.get("answer"), f"{row_label}: extra_info.answer")],
        "opened_think": [opened_think],
    }
    metrics: dict[str, float] = {}
    values: dict[str, float | None] = {}
    for reward in rewards:
        name = reward.__name__
        (values[name],) = reward([completion], log_metric=metrics.__setitem__, **batch)
        metrics[name] = values[name] or 0.0
        metrics[f"scored/{name}"] = float(values[name] is not None)
    total = Scheme(tuple(values), tuple(reward_weights)).total(values)
    if total is None:
        raise InputError(
            f"{row_label}: its ground_truth has neither an "
            "answer nor a reasoning with a graph: leave the row out, or add extra_info.answer"
        )
    return {"score": total} | metrics


def _checked_extra_info(extra_info: Any, data_source: str) -> Mapping[str, Any]:
    """The `extra_info` of a row; empty where it is missing.

    Raises:
        InputError: If it is not a mapping.
    """
    if extra_info is not None and not isinstance(extra_info, Mapping):
        raise InputError(
            f"veRL: extra_info of a row of {data_source} is a "
            f"{type(extra_info).__name__}: give a mapping, with `answer` and `id`"
        )
    return extra_info or {}


def _rule_settings(kwargs: Mapping[str, Any], reward_weights: Sequence[float]) -> dict[str, Any]:
    """The fields of both rules among the keywords.

    Raises:
        InputError: For a keyword that is unknown, or a value that its setting cannot have.
    """
    if unknown := sorted(kwargs.keys() - {*ADDED_BY_VERL, *NAMES}):
        nearest_names = difflib.get_close_matches(unknown[0], NAMES, n=1) or NAMES
        raise InputError(
            f"veRL: reward_kwargs has {unknown[0]!r}, which it does not know: use {', '.join(nearest_names)}"
        )
    rule_settings = {name: value for name, value in kwargs.items() if name in rules.RULE_FIELDS}
    if wrong := next(
        (name for name, value in rule_settings.items() if type(value) is not type(_DEFAULTS[name])), None
    ):
        raise InputError(
            f"veRL: reward_kwargs has {wrong} = {shown(rule_settings[wrong])}: give a text, or true or false"
        )
    settings.check_settings(settings.RewardFields(**rule_settings), reward_weights, source="veRL")
    return rule_settings


def to_row(example: Example, image_root: Path, index: int, *, data_source: str) -> dict[str, Any]:
    """One example as veRL's `RLHFDataset` reads it, with `<image>` in the prompt for each film."""
    (turn,) = prompts.messages(example.question, len(example.images))
    texts = ("<image>" if entry["type"] == "image" else entry["text"] for entry in turn["content"])
    root = image_root.absolute()
    return {
        "data_source": data_source,
        "prompt": [{"role": turn["role"], "content": "".join(texts)}],
        "images": [ref if ref[:5].lower() == "data:" else str(root / ref) for ref in example.images],
        "reward_model": {"style": "rule", "ground_truth": example.explanation},
        "extra_info": {"index": index, "id": example.id, "answer": list(example.answer)},
    }


def check_form(path: Path) -> None:
    """Refuse a file that is not Parquet.

    Raises:
        InputError: If the name does not end in `.parquet`, or pyarrow is missing.
    """
    if path.suffix.lower() != ".parquet":
        raise InputError(f"output {path} is not a Parquet file: end its name in .parquet")
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError("veRL's rows need pyarrow: install it with pip install pyarrow")


def write_rows(
    path: Path, examples: Sequence[Example], image_root: Path, *, data_source: str = "chexphi"
) -> None:
    """Write veRL's Parquet file, as a whole or not at all; the rows have the films' absolute paths.

    Raises:
        InputError: If the name does not end in `.parquet`, pyarrow is missing, or the file cannot be written.
    """
    check_form(path)
    import pyarrow.parquet

    text, texts = pyarrow.string(), pyarrow.list_(pyarrow.string())
    columns = {
        "data_source": text,
        "prompt": pyarrow.list_(pyarrow.struct({"role": text, "content": text})),
        "images": texts,
        "reward_model": pyarrow.struct({"style": text, "ground_truth": text}),
        "extra_info": pyarrow.struct({"index": pyarrow.int64(), "id": text, "answer": texts}),
    }
    rows = [to_row(example, image_root, i, data_source=data_source) for i, example in enumerate(examples)]
    with atomic.whole_file(path) as partial_path:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, pyarrow.schema(columns)), partial_path)
