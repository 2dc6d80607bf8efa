"""Names of the LoRA of Phi-4-multimodal's language layers, and of any LoRA in PEFT's files. Pure Python."""

from __future__ import annotations

import re
from collections.abc import Mapping

PREFIX = "base_model.model."
"""In an adapter's file this comes before the base's own names."""
ADAPTED = ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj")
"""Linear layers of every language layer that have adapters."""
TARGETS = rf"model\.layers\.\d+\.(?:{'|'.join(map(re.escape, ADAPTED))})"
"""Pattern of these modules; their suffixes alone would match modules of the audio encoder as well."""


def adapter_shapes(
    shapes: Mapping[str, tuple[int, ...]], targets: str, rank: int
) -> dict[str, tuple[int, ...]]:
    """Shapes of a LoRA's tensors: A (rank, in) and B (out, rank) of each module that `targets` matches.

    Args:
        shapes: Of the base's tensors.
        targets: Pattern of the modules.
        rank: Of the LoRA.
    """
    lora_shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        module = name.removesuffix(".weight")
        if module != name and re.fullmatch(targets, module):
            lora_shapes[f"{module}.lora_A.weight"] = (rank, shape[1])
            lora_shapes[f"{module}.lora_B.weight"] = (shape[0], rank)
    return lora_shapes
