"""The library's `generate` asks for the logits of one token a row, however long the prompt."""

from __future__ import annotations

from typing import Any

import torch


def test_no_logits_of_whole_prompts(tiny_pair: Any) -> None:
    model, processor = tiny_pair
    shapes: list[tuple[int, ...]] = []
    hook = model.lm_head.register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape)))
    inputs = processor(
        text=["<|user|>\nIs there an opacity?<|end|>\n<|assistant|>\n"] * 2, return_tensors="pt"
    )
    with torch.no_grad():
        model.generate(**inputs, max_new_tokens=3, do_sample=False)
    hook.remove()
    assert shapes
    assert {shape[:2] for shape in shapes} == {(2, 1)} or {shape[:2] for shape in shapes} == {(1, 1), (2, 1)}
