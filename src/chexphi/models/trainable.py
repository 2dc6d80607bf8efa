"""What of a policy learns: its vision LoRA, `lm_head`, all of it, or what a pattern names.

The original trains the vision LoRA and `lm_head` (its README; `FREEZE_NON_VISION_PARAMS=1`). A LoRA of the
language layers stays an adapter, and `lm_head` a copy of the adapter's own, so that TRL's reference policy
keeps the old values of both. `all` and a pattern train tensors of the base: an adapter is folded in first,
and with `beta` the reference is a full copy of the model.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from chexphi.models import adapter
from chexphi.models.lora_names import PREFIX
from chexphi.schema import InputError, shown

SETTINGS = ("vision_lora", "vision_lora+lm_head", "all")
DEFAULT = "vision_lora+lm_head"
HEAD = "lm_head.weight"


def setting(asked: str, environment: Mapping[str, str] = os.environ) -> str:
    """What learns, after the original's environment variable.

    Raises:
        InputError: If nothing is asked for, or `FREEZE_NON_VISION_PARAMS=1` is set beside another choice.
    """
    if not asked.strip():
        raise InputError(f"trainable is empty: use {', '.join(SETTINGS)} or a pattern of parameter names")
    if environment.get("FREEZE_NON_VISION_PARAMS") == "1" and asked not in SETTINGS[:2]:
        raise InputError(
            f"trainable is {shown(asked)} and FREEZE_NON_VISION_PARAMS=1 freezes all but the vision LoRA and "
            "lm_head: unset the variable or choose vision_lora+lm_head"
        )
    return asked


def trains_head(asked: str) -> bool:
    """Whether a setting trains an `lm_head` of the adapter's own."""
    return asked == "vision_lora+lm_head"


def by_adapter(asked: str) -> bool:
    """Whether a setting trains an adapter, and no tensor of the base."""
    return asked in SETTINGS[:2]


def prepare(model: Any, asked: str, *, targets: str, rank: int, alpha: int) -> Any:
    """The policy ready to train: gradients where the setting asks for them, in fp32, and nowhere else.

    LoRA and `lm_head` are cast alone; where tensors of the base learn, the whole model is.

    Args:
        model: As `policy.load` returns it.
        asked: One of `SETTINGS`, or a pattern searched in the native names of parameters.
        targets: Pattern of the modules that get a LoRA where there is none.
        rank: Of such a LoRA.
        alpha: Of such a LoRA.

    Raises:
        InputError: If nothing matches, or the rank is none.
    """
    if rank < 1 or alpha < 1:
        raise InputError(f"lora_rank is {rank} and lora_alpha {alpha}: use at least 1 for both")
    if by_adapter(asked):
        with_head = trains_head(asked)
        if not hasattr(model, "peft_config"):
            model = adapter.fresh(model, targets=targets, rank=rank, alpha=alpha, with_head=with_head)
        model.set_adapter(adapter.NAME)
        pattern = r"\.lora_[AB]\." if not with_head else r"\.lora_[AB]\.|lm_head\.modules_to_save\."
        chosen = [name for name in _names(model) if re.search(pattern, name) and f".{adapter.NAME}." in name]
    else:
        model = adapter.merged(model) if hasattr(model, "peft_config") else model
        chosen = select(_names(model), asked)
        _untie(model, chosen)
        model = model.float()
    freeze_all_but(model, chosen)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model


def select(names: Iterable[str], asked: str) -> list[str]:
    """The names that `all` or a pattern chooses.

    Raises:
        InputError: If the pattern is no regular expression or names nothing.
    """
    names = list(names)
    if asked == "all":
        return names
    try:
        chosen = [name for name in names if re.search(asked, name)]
    except re.error as error:
        raise InputError(
            f"trainable is {shown(asked)}, which is not a regular expression ({error}): correct it"
        ) from None
    if not chosen:
        raise InputError(
            f"trainable is {shown(asked)}, which names no parameter: use {', '.join(SETTINGS)} or a "
            f"pattern of names like {names[-1]}"
        )
    return chosen


def freeze_all_but(model: Any, names: Iterable[str]) -> None:
    """Gradients for the named parameters and no others: PEFT gives them to a whole adapter."""
    chosen = set(names)
    tensors = dict(model.named_parameters(remove_duplicate=False))
    learning = {id(parameter) for name, parameter in tensors.items() if name in chosen}
    for parameter in tensors.values():
        parameter.requires_grad_(id(parameter) in learning)


def learning(model: Any) -> list[str]:
    """Names of the parameters that have gradients."""
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def summary(model: Any) -> dict[str, Any]:
    """For the manifest: what learns by name, how many numbers, and which share of the model's.

    An adapter counts as part of the model, what its `lm_head` replaces does not.
    """
    own = {name: tensor for name, tensor in model.named_parameters() if ".original_module." not in name}
    names = learning(model)
    count = sum(own[name].numel() for name in names)
    return {
        "tensors": len(names),
        "parameters": count,
        "share": count / sum(parameter.numel() for parameter in own.values()),
        "names": names,
    }


def lines(found: Mapping[str, Any]) -> list[str]:
    """The same for people: one line for each kind of tensor, its layers joined, unless all learn."""
    kinds: dict[str, list[int]] = {}
    for name in found["names"]:
        name = name.removeprefix(PREFIX).replace(f".{adapter.NAME}.", ".")
        place = re.search(r"(?<=layers\.)\d+(?=\.)", name)
        kind = name if place is None else f"{name[: place.start()]}*{name[place.end() :]}"
        kinds.setdefault(kind, []).append(int(place[0]) if place else -1)
    size = f"{found['parameters']:,} parameters in {found['tensors']} tensors"
    head = f"{size} learn, {found['share']:.2%} of the model"
    if found["share"] == 1:
        return [head]
    rows = [
        kind if layers == [-1] else f"{kind} (layers {min(layers)} to {max(layers)})"
        for kind, layers in kinds.items()
    ]
    return [head, *rows]


def _names(model: Any) -> list[str]:
    return [name for name, _ in model.named_parameters(remove_duplicate=False)]


def _untie(model: Any, chosen: Iterable[str]) -> None:
    """Give `lm_head` weights of its own where it is chosen and the input embedding is not."""
    inputs = next(name for name, module in model.named_modules() if module is model.get_input_embeddings())
    if model.config.tie_word_embeddings and HEAD in chosen and f"{inputs}.weight" not in chosen:
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
        adapter.untie(model.config)
