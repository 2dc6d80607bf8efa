"""The native name of every tensor of a checkpoint in the original layout, from headers alone. No torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from chexphi.models.lora_names import PREFIX, TARGETS, adapter_shapes
from chexphi.models.original_layout.tensor_names import ADAPTERS, lora, native
from chexphi.models.tensor_headers import Header
from chexphi.number_text import counted
from chexphi.schema import InputError

DROPPED = {
    r".*\.rotary_emb\.inv_freq": "computed from the configuration",
    r".*\.embeddings\.position_ids": "counted, not learned",
}
"""Pattern of tensors of the original that do not exist natively -> reason."""
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
        InputError: If a tensor has no native name, a native tensor has no source, or shapes differ; the
            message has the first such tensor.
    """
    base: dict[str, str] = {}
    adapters: dict[str, dict[str, str]] = {}
    dropped: dict[str, str] = {}
    for name in tensors:
        reason = next((text for pattern, text in DROPPED.items() if re.fullmatch(pattern, name)), None)
        if reason is not None:
            dropped[name] = reason
        elif adapter_and_name := lora(name):
            adapter, peft_name = adapter_and_name
            adapters.setdefault(adapter, {})[name] = peft_name
        else:
            base[name] = native(name)
    _check(tensors, base, shapes, optional={HEAD})
    for adapter, names in adapters.items():
        if adapter not in ADAPTERS or adapter not in ranks:
            raise InputError(
                f"{next(iter(names))} belongs to the adapter {adapter!r}, which config.json does not "
                "describe: take both from the same checkpoint"
            )
        lora_shapes = adapter_shapes(shapes, TARGETS, ranks[adapter])
        _check(tensors, {name: peft.removeprefix(PREFIX) for name, peft in names.items()}, lora_shapes)
    return Plan(base, adapters, dropped)


def _check(
    tensors: Mapping[str, Header], names: Mapping[str, str], shapes: Shapes, optional: set[str] | None = None
) -> None:
    """Check a mapping of original to native names against the shapes of all native tensors."""
    for name, native_name in names.items():
        if native_name not in shapes:
            raise InputError(
                f"{tensors[name].file} has {name}, which the native model does not have: "
                "take it and config.json from the same checkpoint"
            )
        if tensors[name].shape != shapes[native_name]:
            raise InputError(
                f"{tensors[name].file} has {name} of shape {tensors[name].shape}, where config.json asks for "
                f"{shapes[native_name]}: one of the two belongs to another checkpoint"
            )
    repeated = [native_name for native_name, count in Counter(names.values()).items() if count > 1]
    if repeated:
        originals = " and ".join(name for name, native_name in names.items() if native_name == repeated[0])
        raise InputError(f"{originals} have one name natively, {repeated[0]}: remove one of them")
    if missing := sorted(shapes.keys() - (optional or set()) - set(names.values())):
        raise InputError(
            f"the checkpoint lacks {counted(len(missing), 'tensor')}, the first is natively "
            f"{missing[0]}: copy the files again"
        )
