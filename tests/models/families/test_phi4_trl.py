"""TRL's own trainers on the adapter, unpatched: two steps with none, one and two films in a batch."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from chexphi.models.families.phi4 import load
from chexphi.models.generate import generate
from chexphi.prompts import messages, render

COMMON = {
    "max_steps": 2,
    "learning_rate": 1e-3,
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
    "logging_steps": 1,
}
ANSWER = render("The heart is big.", "yes")


@pytest.fixture
def rows(film: Any) -> list[dict[str, Any]]:
    """Eight rows of 0, 1, 2, 1, ... films, not all of the crop's size."""
    return [
        {
            "prompt": messages(f"Is there a nodule in zone {i}?", n),
            "images": [film(10 * i + j, 32, 32 + 5 * j) for j in range(n)],
            "completion": [{"role": "assistant", "content": ANSWER}],
            "solution": "yes",
        }
        for i, n in enumerate([0, 1, 2, 1] * 2)
    ]


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def moved(before: dict[str, torch.Tensor], model: Any) -> set[str]:
    return {name for name, parameter in model.named_parameters() if not torch.equal(before[name], parameter)}


@pytest.mark.parametrize("dynamic_hd", [1, 4])
def test_sft(tiny_folder: Path, rows: Any, tmp_path: Path, dynamic_hd: int) -> None:
    model, processor = load(tiny_folder, dynamic_hd=dynamic_hd)
    before = weights(model)
    data = Dataset.from_list(rows).remove_columns("solution")
    args = SFTConfig(output_dir=str(tmp_path), per_device_train_batch_size=4, max_length=None, **COMMON)
    trainer = SFTTrainer(model=model, args=args, train_dataset=data, processing_class=processor)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 2
    assert float(losses[1]) < float(losses[0])
    assert {"model.layers.0.self_attn.qkv_proj.weight"} < moved(before, model)
    assert any("img_processor.embeddings" in name for name in moved(before, model))


def test_only_the_answer_turn_is_learned(tiny_pair: Any, rows: Any) -> None:
    _, processor = tiny_pair
    batch = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)(rows[:4])
    for labels in batch["labels"]:
        text = processor.tokenizer.decode(labels[labels != -100])
        assert text == ANSWER + "<|end|>\n<|endoftext|>"


@pytest.mark.parametrize(("batch", "accumulation"), [(8, 1), (2, 4)])
def test_grpo(tiny_folder: Path, rows: Any, tmp_path: Path, batch: int, accumulation: int) -> None:
    model, processor = load(tiny_folder)
    before = weights(model)
    seen: list[Any] = []

    def reward(completions: Any, solution: Any, completion_ids: Any, **_: Any) -> list[float]:
        seen.extend(zip(completions, solution, completion_ids, strict=True))
        return [float(len(ids) % 5) + random.Random(i).random() for i, ids in enumerate(completion_ids)]

    args = GRPOConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        num_generations=2,
        max_completion_length=6,
        beta=0.0,
        temperature=5.0,
        **COMMON,
    )
    data = Dataset.from_list(rows).remove_columns("completion")
    GRPOTrainer(
        model=model, args=args, reward_funcs=reward, train_dataset=data, processing_class=processor
    ).train()
    assert len(seen) == 16
    sampled = {token for _, _, ids in seen for token in ids}
    assert not sampled & set(model.placeholder_ids)
    assert any("img_processor.embeddings" in name for name in moved(before, model))


def test_trls_log_probabilities_are_those_of_generation(tiny_folder: Path, film: Any, tmp_path: Path) -> None:
    """Sliced into micro-batches, films beside their own rows: the policy pass agrees with our decoding."""
    model, processor = load(tiny_folder)
    counts = [0, 1, 2, 1]
    questions = [f"Is there a nodule in zone {i}?" for i in range(4)]
    films = [[film(10 * i + j, 32, 20 + 9 * j) for j in range(n)] for i, n in enumerate(counts)]
    found = [group[0] for group in generate(model, processor, questions, films, max_new_tokens=6)]
    data = Dataset.from_list([{"prompt": messages(q, 0), "solution": "yes"} for q in questions])
    args = GRPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=4, num_generations=2, beta=0.0, **COMMON
    )
    trainer = GRPOTrainer(
        model=model, args=args, reward_funcs=lambda **_: [], train_dataset=data, processing_class=processor
    )
    prompts = [one.prompt for one in found]
    inputs = processor(text=prompts, images=films, padding=True, return_tensors="pt")
    width = max(len(one.token_ids) for one in found)
    ids = torch.tensor([[*one.token_ids, *[0] * (width - len(one.token_ids))] for one in found])
    real = torch.tensor([[1] * len(one.token_ids) + [0] * (width - len(one.token_ids)) for one in found])
    model.eval()
    with torch.no_grad():
        logps, _, _ = trainer._get_per_token_logps_and_entropies(
            model,
            torch.cat([inputs["input_ids"], ids], dim=1),
            torch.cat([inputs["attention_mask"], real], dim=1),
            width,
            batch_size=2,
            num_images=counts,
            pixel_values=inputs["pixel_values"],
            image_sizes=inputs["image_sizes"],
        )
    for row, one in zip(logps, found, strict=True):
        assert row[: len(one.logprobs)].tolist() == pytest.approx(one.logprobs, abs=1e-4)
