"""A small Phi-4 with LongRoPE, whose factors change within a test's lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chexphi.models.families import tiny
from chexphi.models.families.phi4 import Phi4MultimodalForCausalLM, load


def longrope_pair(tiny_folder: Path, limit: int) -> tuple[Any, Any]:
    """Model and processor; beyond `limit` tokens every position has other factors."""
    processor = load(tiny_folder, dynamic_hd=2)[1]
    config = tiny.config(
        processor.tokenizer, image_size=32, patch_size=8, hidden_size=32, num_layers=2, vision_hidden=24,
        vision_layers=2,
    )  # fmt: skip
    config.original_max_position_embeddings = limit
    config.rope_parameters = {
        "rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 1.0,
        "original_max_position_embeddings": limit, "short_factor": [1.0] * 4,
        "long_factor": [4.0, 8.0, 16.0, 32.0],
    }  # fmt: skip
    model = Phi4MultimodalForCausalLM(config)
    tiny.initialise(model, seed=0)
    return model.eval(), processor
