"""Packed rows: log-probabilities, entropies and gradients are those of the plain rows."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from trl.trainer.utils import add_fused_lm_head

from chexphi.models import adapter, packed, phi4, trainable
from chexphi.models.checkpoint.names import TARGETS
from chexphi.models.prefix import same_prompts
from chexphi.prompts import messages

QUESTIONS = ["Is there an opacity?", "What is seen in the left upper zone of the film?", "Is it new?"]


def batch_of(processor: Any, groups: Any, film: Any, keep: int, seed: int) -> dict[str, Any]:
    """Rows of (question, film seeds, completions) groups, shuffled, with completions of any length from 0."""
    generator = torch.Generator().manual_seed(seed)
    rows = [(question, films) for question, films, count in groups for _ in range(count)]
    rows = [rows[i] for i in torch.randperm(len(rows), generator=generator)]
    films = [[film(s, *((40, 70), (32, 32), (90, 31))[s % 3]) for s in own] for _, own in rows]
    texts = [
        processor.apply_chat_template(messages(QUESTIONS[q], len(own)), add_generation_prompt=True)
        for q, own in rows
    ]
    inputs = processor(text=texts, images=films, padding=True, return_tensors="pt")
    completion = torch.randint(10, 100, (len(rows), keep), generator=generator)
    lengths = torch.randint(0, keep + 1, (len(rows),), generator=generator)
    kept = (torch.arange(keep)[None] < lengths[:, None]).long()
    return {
        "input_ids": torch.cat([inputs["input_ids"], completion * kept], 1),
        "attention_mask": torch.cat([inputs["attention_mask"], kept], 1),
        "films": {name: inputs[name] for name in ("pixel_values", "image_sizes") if name in inputs},
        "counts": [len(own) for own in films],
    }


def plain_pass(model: Any, batch: dict[str, Any], keep: int) -> tuple[Tensor, Tensor]:
    ids, mask = batch["input_ids"], batch["attention_mask"]
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :-keep] = -100
    output = model(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True, **batch["films"])
    return output.log_probs[:, -keep:], output.entropy[:, -keep:]


def packed_pass(model: Any, batch: dict[str, Any], keep: int) -> tuple[Tensor, Tensor, int]:
    ids, mask, films = batch["input_ids"], batch["attention_mask"], batch["films"]
    prompt = ids.shape[1] - keep
    distinct, place = same_prompts(ids[:, :prompt], mask[:, :prompt], batch["counts"], list(films.values()))
    ends = [0, *accumulate(batch["counts"])]
    kept = [film for row in distinct.tolist() for film in range(ends[row], ends[row + 1])]
    packing = packed.pack(ids, mask, keep, distinct, place)
    given = {name: value[kept] for name, value in films.items()} if kept else {}
    output = model(**packing.inputs, **given, fused_lm_head=True)
    return packing.plain(output.log_probs), packing.plain(output.entropy), len(distinct)


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def policy(request: pytest.FixtureRequest, tiny_folder: Path) -> tuple[Any, Any]:
    """A model with a trained-looking LoRA and its own lm_head, ready for both passes."""
    model, processor = phi4.load(tiny_folder, attn_implementation=request.param)
    assert packed.enable(model)
    add_fused_lm_head(model, temperature=0.9, outputs=("log_probs", "entropy"))
    model = adapter.fresh(model, targets=TARGETS, rank=3, alpha=6, with_head=True)
    model = trainable.prepare(model, trainable.DEFAULT, targets=TARGETS, rank=3, alpha=6)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    processor.image_processor.dynamic_hd = 4
    return model, processor


GROUPS = st.lists(
    st.tuples(st.integers(0, 2), st.lists(st.integers(1, 4), max_size=2), st.integers(1, 4)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=25, deadline=None)
@given(groups=GROUPS, keep=st.integers(1, 9), seed=st.integers(0, 99), checkpointing=st.booleans())
def test_values_and_gradients_equal_the_plain_ones(
    policy: Any, film: Any, groups: Any, keep: int, seed: int, checkpointing: bool
) -> None:
    model, processor = policy
    batch = batch_of(processor, groups, film, keep, seed)
    causal = model.get_base_model()
    model.train()
    if checkpointing:
        causal.activation_checkpointing_enable()
        model.enable_input_require_grads()
    weights = torch.randn(batch["input_ids"].shape[0], keep, generator=torch.Generator().manual_seed(seed))
    results = []
    for run in (plain_pass, packed_pass):
        logps, entropies = run(model, batch, keep)[:2]
        (logps * weights + 0.1 * entropies).sum().backward()
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        model.zero_grad()
        results.append((logps.detach(), entropies.detach(), gradients))
    causal.activation_checkpointing_disable()
    (logps, entropies, gradients), (shared, shared_entropies, shared_gradients) = results
    torch.testing.assert_close(shared, logps, atol=1e-5, rtol=0)
    torch.testing.assert_close(shared_entropies, entropies, atol=1e-5, rtol=0)
    assert shared_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert (shared_gradients[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-7, name


def test_each_distinct_prompt_is_read_once(policy: Any, film: Any) -> None:
    model, processor = policy
    groups = [(0, [1], 3), (0, [2], 2), (1, [], 2), (0, [1], 1)]  # one text with two films; one group in two
    batch = batch_of(processor, groups, film, 6, 0)
    read: list[tuple[int, ...]] = []
    hook = model.get_base_model().model.embed_tokens.register_forward_hook(
        lambda module, args, output: read.append(tuple(args[0].shape))
    )
    with torch.no_grad():
        _, _, distinct = packed_pass(model, batch, 6)
    hook.remove()
    length = batch["input_ids"].shape[1]
    assert distinct == 3
    assert read == [(3, length - 6 - 1 + 4 * 6)]  # four completions at most, each behind its own last token


def test_the_towers_keep_their_own_attention(tiny_folder: Path) -> None:
    model, _ = phi4.load(tiny_folder)
    assert packed.enable(model)
    assert packed.enable(model)  # once more changes nothing
    assert model.config._attn_implementation == "shared_sdpa"
    assert model.config.vision_config._attn_implementation == "sdpa"
    model.config._attn_implementation_internal = "flash_attention_2"
    assert not packed.enable(model)


def test_an_enabled_model_saves_nothing_of_it(tiny_folder: Path, tmp_path: Path) -> None:
    model, processor = phi4.load(tiny_folder)
    packed.enable(model)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert "shared" not in (tmp_path / "config.json").read_text()
    assert phi4.load(tmp_path)[0].config._attn_implementation == "sdpa"
