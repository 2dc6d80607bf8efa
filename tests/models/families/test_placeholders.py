"""The image and the audio token are never sampled, however the policy likes them and whoever decodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import GenerationConfig
from trl import GRPOConfig, GRPOTrainer

from chexphi.models.families.phi4 import load
from chexphi.models.generate import generate
from chexphi.prompts import messages


@pytest.fixture
def eager(tiny_folder: Path) -> tuple[Any, Any]:
    """A policy that gives both placeholders nearly all probability."""
    model, processor = load(tiny_folder)
    with torch.no_grad():
        model.lm_head.bias = torch.nn.Parameter(torch.zeros(model.config.vocab_size))
        model.lm_head.bias[model.placeholder_ids] = 50.0
    return model, processor


def inputs_of(pair: tuple[Any, Any], film: Any) -> dict[str, Any]:
    text = pair[1].apply_chat_template(messages("Is it new?", 1), add_generation_prompt=True)
    return dict(pair[1](text=[text] * 4, images=[[film(i)] for i in range(4)], return_tensors="pt"))


def test_the_policy_wants_them(eager: Any, film: Any) -> None:
    """Otherwise the tests below could not fail."""
    model = eager[0]
    assert model.config.image_token_id in model.placeholder_ids  # where TRL looks
    logits = model(**inputs_of(eager, film)).logits[:, -1]
    assert set(logits.topk(2).indices.flatten().tolist()) == set(model.placeholder_ids)
    assert logits.softmax(-1)[:, model.placeholder_ids].sum(-1).min() > 0.999


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"do_sample": True},
        {"do_sample": True, "top_k": 2},
        {"do_sample": True, "top_k": 1, "temperature": 0.01},
        {"do_sample": True, "top_p": 0.1, "temperature": 10.0},
        {"do_sample": True, "min_p": 0.9},
        {"num_beams": 3},
        {"repetition_penalty": 1.5},
        {"suppress_tokens": [40, 41]},
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["arguments", "config", "positional"])
def test_the_librarys_generation(eager: Any, film: Any, how: dict[str, Any], form: str) -> None:
    model = eager[0]
    inputs = inputs_of(eager, film)
    how = {"max_new_tokens": 8, "pad_token_id": 0} | how
    if form == "arguments":
        output = model.generate(**inputs, **how)
    elif form == "config":
        output = model.generate(**inputs, generation_config=GenerationConfig(**how))
    else:
        output = model.generate(inputs.pop("input_ids"), GenerationConfig(**how), **inputs)
    new = output[:, -8:]
    assert not torch.isin(new, torch.tensor([*model.placeholder_ids, *how.get("suppress_tokens", [])])).any()


def test_what_the_models_own_configuration_suppresses_stays_suppressed(eager: Any, film: Any) -> None:
    model = eager[0]
    inputs = inputs_of(eager, film)
    liked = model.generate(**inputs, max_new_tokens=1)[:, -1].unique().tolist()
    model.generation_config.suppress_tokens = liked
    for config in (None, GenerationConfig(max_new_tokens=1)):
        new = model.generate(**inputs, max_new_tokens=1, generation_config=config)[:, -1]
        assert not set(new.tolist()) & {*liked, *model.placeholder_ids}
    assert model.generation_config.suppress_tokens == liked


@pytest.mark.parametrize("temperature", [0.0, 0.1, 10.0])
def test_our_generation(eager: Any, film: Any, temperature: float) -> None:
    [group] = generate(
        *eager, ["q"], [[film(0)]], max_new_tokens=9, temperature=temperature, samples=8, seed=0
    )
    assert not {token for one in group for token in one.token_ids} & set(eager[0].placeholder_ids)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"top_k": 2, "temperature": 0.5},
        {"top_p": 0.5, "temperature": 3.0},
        {"generation_kwargs": {"suppress_tokens": None}},  # would undo TRL's own suppression
        {"generation_kwargs": {"suppress_tokens": [40]}},
    ],
    ids=str,
)
@pytest.mark.parametrize("lora", [False, True])
def test_trls_generation(eager: Any, film: Any, tmp_path: Path, how: dict[str, Any], lora: bool) -> None:
    model, processor = eager
    placeholders = set(model.placeholder_ids)
    sampled: list[list[int]] = []

    def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
        sampled.extend(completion_ids)
        return [float(i % 2) for i in range(len(completion_ids))]

    args = GRPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=4, num_generations=4, max_completion_length=8,
        max_steps=1, beta=0.0, use_cpu=True, bf16=False, report_to="none", save_strategy="no",
        disable_tqdm=True, **how,
    )  # fmt: skip
    if lora:
        model = get_peft_model(model, LoraConfig(r=2, target_modules=r"model\.layers\.\d+\..*qkv_proj"))
    rows = [
        {"prompt": messages("Is it new?", n), "images": [film(i)] * n} for i, n in enumerate([1, 0, 2, 1])
    ]
    GRPOTrainer(
        model=model,
        args=args,
        reward_funcs=reward,
        train_dataset=Dataset.from_list(rows),
        processing_class=processor,
    ).train()
    assert sum(map(len, sampled)) >= 4
    assert not {token for ids in sampled for token in ids} & placeholders
