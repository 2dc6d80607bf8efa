"""None, one and two films of several crops in one batch: each row has the log-probabilities it has alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from trl import GRPOConfig
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from chexphi.models.families.phi4 import load
from chexphi.models.generate import generate
from chexphi.models.likelihood import sequence_logprobs
from chexphi.prompts import messages, render
from chexphi.runs.jsonl import JsonLines
from chexphi.training.grpo_trainer import LoggedGRPOTrainer

BAR = 1e-4
COUNTS = [0, 2, 1, 2, 0, 1, 1]
SIZES = [(100, 40), (32, 200), (64, 64), (20, 50), (31, 97), (1, 300), (90, 90)]
"""Of the films in turn, width and height: wide, high, whole crops, padded ones, one of 1 px."""


@pytest.fixture(scope="module", params=[1, 4, 9])
def pair(request: Any, tiny_folder: Path) -> tuple[Any, Any]:
    return load(tiny_folder, dynamic_hd=request.param)


@pytest.fixture(scope="module")
def questions() -> list[str]:
    return [f"Is there {'a nodule in the ' * (i % 3)}left zone {i}?" for i in range(len(COUNTS))]


@pytest.fixture(scope="module")
def films(film: Any) -> list[list[Any]]:
    sizes = iter(SIZES)
    return [[film(10 * i + j, *next(sizes)) for j in range(n)] for i, n in enumerate(COUNTS)]


@pytest.fixture(scope="module")
def answers() -> list[str]:
    return [render("There is an opacity. " * (1 + i % 3), "yes") for i in range(len(COUNTS))]


def prompt_inputs(pair: Any, questions: Any, films: Any) -> dict[str, Any]:
    processor = pair[1]
    texts = [
        processor.apply_chat_template(messages(question, len(row)), add_generation_prompt=True)
        for question, row in zip(questions, films, strict=True)
    ]
    return dict(processor(text=texts, images=films, padding=True, return_tensors="pt"))


def alone(pair: Any, question: str, row: list[Any], ids: Any) -> torch.Tensor:
    """Log-probabilities of the ids behind one prompt, from one plain forward without any padding."""
    inputs = prompt_inputs(pair, [question], [row])
    inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([list(ids)])], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    with torch.no_grad():
        logits = pair[0](**inputs).logits[0, -len(ids) - 1 : -1]
    return logits.log_softmax(-1).gather(1, torch.tensor(list(ids))[:, None])[:, 0]


def padded(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])


def same(got: Any, expected: torch.Tensor) -> None:
    torch.testing.assert_close(torch.as_tensor(got), expected, rtol=0, atol=BAR)


def test_the_batch_is_a_hard_one(pair: Any, questions: Any, films: Any) -> None:
    inputs = prompt_inputs(pair, questions, films)
    lengths = inputs["attention_mask"].sum(1)
    assert (inputs["attention_mask"][:, 0] == 0).sum() >= len(COUNTS) - 1
    assert lengths.max() > 2 * lengths.min()
    side = 32 // 8
    sizes = inputs["image_sizes"]
    assert (sizes[:, 2:] < sizes[:, :2] // 32 * side).any()  # some patches hold no film
    if pair[1].image_processor.dynamic_hd > 1:
        crops = sizes[:, 0] // 32 * (sizes[:, 1] // 32)
        assert crops.min() < crops.max() == inputs["pixel_values"].shape[1] - 1


@pytest.mark.parametrize("micro", [1, 2, 3, 7])
def test_grpos_policy_pass(
    pair: Any, questions: Any, films: Any, answers: Any, tmp_path: Path, micro: int
) -> None:
    """TRL cuts the films to each micro-batch by `num_images`."""
    model, processor = pair
    args = GRPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=2, num_generations=2, beta=0.0, use_cpu=True,
        bf16=False, report_to="none", disable_tqdm=True,
    )  # fmt: skip
    trainer = LoggedGRPOTrainer(
        model=model,
        args=args,
        reward_funcs=lambda **_: [],
        train_dataset=Dataset.from_list([{"prompt": messages(q, 0), "id": q} for q in questions]),
        processing_class=processor,
        completions=JsonLines(tmp_path / "completions.jsonl"),
    )
    rows = processor.tokenizer(answers, add_special_tokens=False)["input_ids"]
    ids, mask = padded(rows)
    inputs = prompt_inputs(pair, questions, films)
    model.eval()
    with torch.no_grad():
        logps, _, _ = trainer._get_per_token_logps_and_entropies(
            model,
            torch.cat([inputs["input_ids"], ids], dim=1),
            torch.cat([inputs["attention_mask"], mask], dim=1),
            ids.shape[1],
            batch_size=micro,
            num_images=COUNTS,
            pixel_values=inputs["pixel_values"],
            image_sizes=inputs["image_sizes"],
        )
    for got, question, row, answer in zip(logps, questions, films, rows, strict=True):
        same(got[: len(answer)], alone(pair, question, row, answer))


def test_sfts_collator_and_forward(pair: Any, questions: Any, films: Any, answers: Any) -> None:
    model, processor = pair
    batch = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)(
        [
            {
                "prompt": messages(question, len(row)),
                "images": row,
                "completion": [{"role": "assistant", "content": answer}],
            }
            for question, row, answer in zip(questions, films, answers, strict=True)
        ]
    )
    labels = batch.pop("labels")[:, 1:]
    with torch.no_grad():
        logprobs = model(**batch).logits[:, :-1].log_softmax(-1)
    for row, target, question, images in zip(logprobs, labels, questions, films, strict=True):
        learned = target != -100
        got = row[learned].gather(1, target[learned][:, None])[:, 0]
        same(got, alone(pair, question, images, target[learned].tolist()))


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_our_generation(pair: Any, questions: Any, films: Any, temperature: float) -> None:
    found = generate(*pair, questions, films, max_new_tokens=12, temperature=temperature, samples=2, seed=0)
    for group, question, row in zip(found, questions, films, strict=True):
        for one in group:
            same(one.logprobs, alone(pair, question, row, one.token_ids))


def test_our_scoring(pair: Any, questions: Any, films: Any, answers: Any) -> None:
    got = sequence_logprobs(*pair, questions, films, answers)
    for value, question, row, answer in zip(got, questions, films, answers, strict=True):
        ids = pair[1].tokenizer(answer, add_special_tokens=False)["input_ids"]
        same(value / len(ids), alone(pair, question, row, ids).mean())


@pytest.mark.parametrize("copies", [1, 3])
def test_the_librarys_generation(pair: Any, questions: Any, films: Any, copies: int) -> None:
    """With several sequences a prompt, too: natively the films of a row would be torn apart."""
    model = pair[0]
    inputs = prompt_inputs(pair, questions, films)
    torch.manual_seed(0)
    out = model.generate(
        **inputs, max_new_tokens=10, do_sample=True, num_return_sequences=copies, output_logits=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    ids = out.sequences[:, inputs["input_ids"].shape[1] :]
    logprobs = torch.stack(out.logits, dim=1).log_softmax(-1).gather(2, ids[..., None])[..., 0]
    ends = torch.tensor(model.generation_config.eos_token_id)
    questions, films = ([row for row in rows for _ in range(copies)] for rows in (questions, films))
    for got, row_ids, question, row in zip(logprobs, ids, questions, films, strict=True):
        end = torch.isin(row_ids, ends).nonzero()
        count = int(end[0]) + 1 if len(end) else len(row_ids)
        same(got[:count], alone(pair, question, row, row_ids[:count].tolist()))
