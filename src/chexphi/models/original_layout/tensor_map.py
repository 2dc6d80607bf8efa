"""Where every tensor of a checkpoint in the original layout goes natively, from headers alone. No torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from chexphi.models.lora_names import PREFIX, TARGETS, adapter_shapes
from chexphi.models.original_layout.tensor_names import ADAPTERS, lora, native
from chexphi.models.tensor_headers import Header
from chexphi.schema import InputError

DROPPED = {
    r".*\.rotary_emb\.inv_freq": "computed from the configuration",
    r".*\.embeddings\.position_ids": "counted, not learned",
}
"""Tensors of the original that have no place natively -> why."""
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """Every tensor of a source, by its original name."""

    base: dict[str, str]
    """-> native name."""
    adapters: dict[str, dict[str, str]]
    """Adapter -> original name -> name in its file."""
    dropped: dict[str, str]
    """-> reason."""


def make_plan(tensors: Mapping[str, Header], shapes: Shapes, ranks: Mapping[str, int]) -> Plan:
    """Account for every tensor of the source and of the target.

    Args:
        tensors: The source's.
        shapes: Of every tensor of the native model.
        ranks: Of the adapters, as the configuration has them.

    Raises:
        InputError: If a tensor has no place, a place no tensor, or a shape does not fit; the first is named.
    """
    base: dict[str, str] = {}
    adapters: dict[str, dict[str, str]] = {}
    dropped: dict[str, str] = {}
    for name in tensors:
        reason = next((why for pattern, why in DROPPED.items() if re.fullmatch(pattern, name)), None)
        if reason is not None:
            dropped[name] = reason
        elif own := lora(name):
            adapters.setdefault(own[0], {})[name] = own[1]
        else:
            base[name] = native(name)
    _check(tensors, base, shapes, optional={HEAD})
    for adapter, names in adapters.items():
        if adapter not in ADAPTERS or adapter not in ranks:
            raise InputError(
                f"{next(iter(names))} belongs to the adapter {adapter!r}, which config.json does not describe"
            )
        own_shapes = adapter_shapes(shapes, TARGETS, ranks[adapter])
        _check(tensors, {name: new.removeprefix(PREFIX) for name, new in names.items()}, own_shapes)
    return Plan(base, adapters, dropped)


def _check(
    tensors: Mapping[str, Header], names: Mapping[str, str], shapes: Shapes, optional: set[str] | None = None
) -> None:
    """Original name -> new one against the shapes of all that must be there."""
    for name, new in names.items():
        if new not in shapes:
            raise InputError(f"{tensors[name].file} has {name}, for which the native model has no place")
        if tensors[name].shape != shapes[new]:
            raise InputError(
                f"{tensors[name].file} has {name} of shape {tensors[name].shape}, where config.json asks for "
                f"{shapes[new]}: one of the two belongs to another checkpoint"
            )
    twice = [new for new, count in Counter(names.values()).items() if count > 1]
    if twice:
        both = " and ".join(name for name, new in names.items() if new == twice[0])
        raise InputError(f"{both} have one place natively: remove one of them")
    if missing := sorted(shapes.keys() - (optional or set()) - set(names.values())):
        raise InputError(
            f"{len(missing)} tensors are missing, the first is natively {missing[0]}: copy the files again"
        )
