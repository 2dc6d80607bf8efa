"""Log-probabilities of logged completions by a forward pass of their own, one row at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from chexphi.data.read import read_examples
from chexphi.models.families import phi4
from chexphi.schema import Completion
from chexphi.training.dataset import grpo_dataset


def same_as_independent(folder: Path, pool: Path, rows: Sequence[Completion]) -> None:
    """Prompt, film, ids and log-probabilities of each row belong together under the policy in `folder`.

    The run had a learning rate of 0, which keeps the policy where it was.
    """
    model, processor = phi4.load(folder)
    examples = read_examples(pool)
    dataset = grpo_dataset(examples, pool.parents[2] / "images")
    place = {example.id: number for number, example in enumerate(examples)}
    for row in rows:
        item = dataset[place[row.id]]
        text = processor.apply_chat_template(item["prompt"], add_generation_prompt=True)
        inputs = processor(
            text=[text], images=[item["images"]], return_tensors="pt", add_special_tokens=False
        )
        prompt = inputs["input_ids"].shape[1]
        ids = torch.tensor([row.token_ids])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], ids], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        with torch.no_grad():
            logits = model(**inputs).logits[0, prompt - 1 : -1]
        expected = logits.double().log_softmax(-1).gather(1, ids.T)[:, 0]
        assert row.per_token_logps == pytest.approx(expected.tolist(), abs=1e-4)
        assert row.prompt == examples[place[row.id]].question
