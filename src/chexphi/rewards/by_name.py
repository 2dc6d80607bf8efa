"""A reward by its name: ours, TRL's, RadEval's or a function of the user's.

A library is loaded only when a reward of it is named.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from chexphi.compat import is_original
from chexphi.graph.open import check_extractor, open_extractor
from chexphi.graph.types import Extractor
from chexphi.rewards import original, radeval_reward
from chexphi.rewards.batch_texts import texts_of
from chexphi.rewards.callables import AccuracyReward, FormatReward, GraphReward
from chexphi.rewards.checked import CheckedReward, CombinedReward
from chexphi.rewards.combine import ACCURACY, CONSISTENCY, FORMAT, GRAPH, PENALTIES
from chexphi.rewards.consistency_reward import ConsistencyReward
from chexphi.rewards.settings import RewardFields, scheme_of
from chexphi.schema import InputError


def extractor_of(fields: RewardFields) -> Extractor:
    """The extractor of these settings; with `compat: original` the neural one cuts texts as the original."""
    return open_extractor(fields.extractor, ontology=fields.ontology, **_extractor_options(fields))


def check_extractor_of(fields: RewardFields) -> None:
    """Refuse settings whose extractor cannot be opened, before it is; see `open.check_extractor`."""
    check_extractor(fields.extractor, **_extractor_options(fields))


def _extractor_options(fields: RewardFields) -> dict[str, str]:
    is_neural = fields.extractor.startswith("rexkg:")
    return {"compat": "original"} if is_neural and is_original(fields.compat) else {}


def check_functions(names: Iterable[str]) -> None:
    """Refuse functions and libraries that do not exist, before long work starts.

    Raises:
        InputError: For the first of them.
    """
    for name in names:
        if name.startswith("radeval:"):
            radeval_reward.open_metric(name)
        elif ":" in name:
            find_callable(name)


def open_rewards(
    fields: RewardFields,
    extractor: Extractor,
    *,
    end_token_ids: Iterable[int] = (),
    max_completion_length: int | None = None,
) -> list[CheckedReward]:
    """The rewards that a recipe names, in its order, each checked at every call.

    Args:
        fields: Settings that `settings.check_settings` accepts.
        extractor: What reads graphs.
        end_token_ids: A completion whose last id is another one is truncated.
        max_completion_length: In tokens; `soft_overlong` needs it.

    Raises:
        InputError: For a function that does not exist, or a library that is not installed.
    """
    ends = frozenset(end_token_ids)
    return [
        CheckedReward(name, _open(name, fields, extractor, ends, max_completion_length))
        for name in fields.rewards
    ]


def trainer_rewards(
    fields: RewardFields, rewards: Sequence[CheckedReward], weights: Sequence[float] | None
) -> tuple[list[Any], list[float] | None]:
    """The functions that TRL's trainer takes, and their weights: one by one, or combined as one.

    A combined reward comes first, then its members with weight 0, then the penalties, which are added.
    """
    if fields.combine == "sum":
        return list(rewards), None if weights is None else list(weights)
    scheme = scheme_of(fields, weights)
    weight_of = scheme.weight()
    combined_rewards = [reward for reward in rewards if reward.__name__ not in PENALTIES]
    penalties = [reward for reward in rewards if reward.__name__ in PENALTIES]
    names = tuple(reward.__name__ for reward in combined_rewards)
    combined_scheme = dataclasses.replace(
        scheme, rewards=names, weights=tuple(weight_of[name] for name in names)
    )
    combined = CombinedReward(combined_rewards, combined_scheme)
    penalty_weights = [weight_of[reward.__name__] for reward in penalties]
    return [combined, *combined.parts(), *penalties], [
        1.0,
        *(0.0 for _ in combined_rewards),
        *penalty_weights,
    ]


def _open(
    name: str,
    fields: RewardFields,
    extractor: Extractor,
    ends: frozenset[int],
    max_completion_length: int | None,
) -> Callable[..., Any]:
    if name in (ACCURACY, GRAPH) and is_original(fields.compat):
        return _original(name, fields, extractor)
    if name == ACCURACY:
        return AccuracyReward(fields, ends)
    if name == GRAPH:
        return GraphReward(extractor, fields, ends)
    if name == CONSISTENCY:
        return ConsistencyReward(extractor, fields, ends)
    if name == FORMAT:
        return FormatReward(ends)
    if name.startswith("radeval:"):
        return radeval_reward.RadevalReward(name, ends)
    if ":" in name:
        return find_callable(name)
    trl = importlib.import_module("trl.rewards")
    if name == "repetition":
        return _counting_tokens(name, trl.get_repetition_penalty_reward(fields.repetition_ngram, -1.0))
    if name == "soft_overlong":
        if max_completion_length is None:
            raise InputError(f"reward {name} needs max_completion_length: set it, or leave the reward out")
        cache = max(1, round(fields.soft_overlong_share * max_completion_length))
        return _counting_tokens(name, trl.get_soft_overlong_punishment(max_completion_length, cache))
    return functools.partial(_as_conversations, trl.think_format_reward)


def _original(name: str, fields: RewardFields, extractor: Extractor) -> Callable[..., Any]:
    graph = original.OriginalGraphReward(extractor, fields.measure)
    function: Callable[..., Any] = graph if name == GRAPH else original.external_r1v_acc

    def reward(completions: Sequence[Any], **columns: Any) -> list[float]:
        return function(completions=texts_of(completions, columns.get("opened_think"), columns), **columns)

    return reward


def _as_conversations(function: Callable[..., Any], completions: Sequence[Any], **columns: Any) -> Any:
    texts = texts_of(completions, columns.get("opened_think"), columns)
    turns = [[{"role": "assistant", "content": text}] for text in texts]
    return function(completions=turns, **columns)


def _counting_tokens(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def penalty(completions: Sequence[Any], completion_ids: Any = None, **columns: Any) -> Any:
        if completion_ids is None:
            raise InputError(f"reward {name} counts tokens and there are none: give rows with token_ids")
        return function(completion_ids=completion_ids)

    return penalty


def find_callable(name: str) -> Callable[..., Any]:
    """The function that `package.module:callable` names; modules of the working folder are found too.

    Raises:
        InputError: If there is no such module, or it has no such function.
    """
    module_name, _, attribute_path = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there and lacks another one
        raise InputError(
            f"reward {name}: there is no module {error.name} in {os.getcwd()} or among the installed "
            "packages: check its name, and run from the folder that holds it"
        ) from None
    except ValueError:
        raise InputError(f"reward {name} names no module: write package.module:callable") from None
    target: Any = module
    for attribute in attribute_path.split("."):
        target = getattr(target, attribute, None)
    if not callable(target):
        raise InputError(f"reward {name}: {module_name} has no function {attribute_path!r}: check its name")
    return target
