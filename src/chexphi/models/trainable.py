"""What learns in a policy: its vision LoRA, `lm_head`, everything, or the parameters that a pattern matches.

The original trains the vision LoRA and `lm_head` (its README; `FREEZE_NON_VISION_PARAMS=1`). A LoRA of the
language layers stays an adapter, and the adapter gets its own copy of `lm_head`, so that TRL's reference
policy keeps the old values of both. `all` and a pattern train tensors of the base: an adapter is merged into
it first, and with `beta` the reference is a full copy of the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from chexphi.models import adapter
from chexphi.models.lora_names import PREFIX
from chexphi.models.what_learns import SETTINGS, by_adapter, trains_head
from chexphi.number_text import counted
from chexphi.schema import InputError, shown

HEAD = "lm_head.weight"


def prepare(model: Any, what_learns: str, *, targets: str, rank: int, alpha: int) -> Any:
    """The policy ready to train: only what learns has gradients, and it is fp32.

    LoRA and `lm_head` are cast by themselves. If tensors of the base learn, the whole model is cast.

    Args:
        model: As `policy.load` returns it.
        what_learns: One of `SETTINGS`, or a pattern searched in the native names of parameters.
        targets: Pattern of the modules that get a LoRA if the model has none.
        rank: Of such a LoRA.
        alpha: Of such a LoRA.

    Raises:
        InputError: If the pattern matches nothing.
    """
    if by_adapter(what_learns):
        with_head = trains_head(what_learns)
        if not hasattr(model, "peft_config"):
            model = adapter.with_new_lora(model, targets=targets, rank=rank, alpha=alpha, with_head=with_head)
        model.set_adapter(adapter.NAME)
        pattern = r"\.lora_[AB]\." if not with_head else r"\.lora_[AB]\.|lm_head\.modules_to_save\."
        names = [name for name in _names(model) if re.search(pattern, name) and f".{adapter.NAME}." in name]
    else:
        model = adapter.merged(model) if hasattr(model, "peft_config") else model
        names = select(_names(model), what_learns)
        _untie(model, names)
        model = model.float()
    freeze_all_but(model, names)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model


def select(names: Iterable[str], pattern: str) -> list[str]:
    """The names that a pattern matches; `all` stands for every name.

    Raises:
        InputError: If the pattern is not a regular expression or matches nothing.
    """
    names = list(names)
    if pattern == "all":
        return names
    try:
        matching = [name for name in names if re.search(pattern, name)]
    except re.error as error:
        raise InputError(
            f"trainable is {shown(pattern)}, which is not a regular expression ({error}): correct it"
        ) from None
    if not matching:
        raise InputError(
            f"trainable is {shown(pattern)}, which names no parameter: use {', '.join(SETTINGS)} or a "
            f"pattern of names like {names[-1]}"
        )
    return matching


def freeze_all_but(model: Any, names: Iterable[str]) -> None:
    """Gradients for the named parameters and no others: PEFT gives them to a whole adapter."""
    names = set(names)
    tensors = dict(model.named_parameters(remove_duplicate=False))
    learning = {id(parameter) for name, parameter in tensors.items() if name in names}
    for parameter in tensors.values():
        parameter.requires_grad_(id(parameter) in learning)


def learning(model: Any) -> list[str]:
    """Names of the parameters that have gradients."""
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def summary(model: Any) -> dict[str, Any]:
    """For the manifest: the names of what learns, its number of parameters, and their share of the model's.

    An adapter counts as part of the model; what its `lm_head` replaces does not.
    """
    parameters = {
        name: tensor for name, tensor in model.named_parameters() if ".original_module." not in name
    }
    names = learning(model)
    count = sum(parameters[name].numel() for name in names)
    return {
        "tensors": len(names),
        "parameters": count,
        "share": count / sum(parameter.numel() for parameter in parameters.values()),
        "names": names,
    }


def summary_lines(summarised: Mapping[str, Any]) -> list[str]:
    """A `summary` as lines to read: one for each kind of tensor with the range of its layers.

    If everything learns, the first line is all.
    """
    layers_of_kind: dict[str, list[int]] = {}
    for name in summarised["names"]:
        name = name.removeprefix(PREFIX).replace(f".{adapter.NAME}.", ".")
        layer = re.search(r"(?<=layers\.)\d+(?=\.)", name)
        kind = name if layer is None else f"{name[: layer.start()]}*{name[layer.end() :]}"
        layers_of_kind.setdefault(kind, []).append(int(layer[0]) if layer else -1)
    size = f"{summarised['parameters']:,} parameters in {counted(summarised['tensors'], 'tensor')}"
    head = f"{size} learn, {summarised['share']:.2%} of the model"
    if summarised["share"] == 1:
        return [head]
    rows = [
        kind if layers == [-1] else f"{kind} (layers {min(layers)} to {max(layers)})"
        for kind, layers in layers_of_kind.items()
    ]
    return [head, *rows]


def _names(model: Any) -> list[str]:
    return [name for name, _ in model.named_parameters(remove_duplicate=False)]


def _untie(model: Any, learning_names: list[str]) -> None:
    """Give `lm_head` weights of its own if it learns and the input embedding does not."""
    inputs = next(name for name, module in model.named_modules() if module is model.get_input_embeddings())
    embedding_learns = f"{inputs}.weight" in learning_names
    if model.config.tie_word_embeddings and HEAD in learning_names and not embedding_learns:
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
        adapter.untie(model.config)
