from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import tiny_families
import torch

from chexphi.models.generate import generate
from chexphi.models.likelihood import sequence_logprobs
from chexphi.models.policy import load
from chexphi.prompts import messages

QUESTIONS = ["Is there an opacity?", "What is seen in the left upper zone of the film?", "Is it new?"]


@pytest.fixture(scope="module", params=["phi4_multimodal", *tiny_families.BUILDERS])
def tiny_folder(
    request: pytest.FixtureRequest, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Every family must do all of this."""
    return tiny_families.folder(request.param, tmp_path_factory) or tiny_folder


@pytest.fixture(scope="module")
def tiny_pair(tiny_folder: Path) -> tuple[Any, Any]:
    return load(tiny_folder)


@pytest.fixture(scope="module")
def rows(film: Any) -> list[list[Any]]:
    return [[], [film(1)], [film(2, 20, 50), film(1)]]


def forward_logprobs(
    pair: tuple[Any, Any], question: str, films: list[Any], ids: tuple[int, ...]
) -> list[float]:
    """The same log-probabilities from one forward pass over prompt and completion, alone and unpadded."""
    model, processor = pair
    text = processor.apply_chat_template(messages(question, len(films)), add_generation_prompt=True)
    inputs = dict(processor(text=[text], images=[films], add_special_tokens=False, return_tensors="pt"))
    inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([ids])], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    for name in {"token_type_ids", "mm_token_type_ids"} & inputs.keys():  # text is 0
        inputs[name] = torch.cat([inputs[name], torch.zeros(1, len(ids), dtype=torch.long)], dim=1)
    with torch.no_grad():
        logprobs = model(**inputs).logits[0, -len(ids) - 1 : -1].log_softmax(-1)
    return logprobs.gather(1, torch.tensor(ids)[:, None])[:, 0].tolist()


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0, 3.0])
def test_logprobs_are_those_of_an_independent_forward_at_temperature_one(
    tiny_pair: Any, rows: Any, temperature: float
) -> None:
    found = generate(
        *tiny_pair, QUESTIONS, rows, max_new_tokens=12, temperature=temperature, samples=3, seed=1
    )
    for question, films, group in zip(QUESTIONS, rows, found, strict=True):
        for one in group:
            expected = forward_logprobs(tiny_pair, question, films, one.token_ids)
            assert one.logprobs == pytest.approx(expected, abs=1e-4)


def test_the_fields_of_a_generation_agree(tiny_pair: Any, rows: Any) -> None:
    model, processor = tiny_pair
    ends = processor.tokenizer.convert_tokens_to_ids(list(model.end_tokens))
    assert set(ends) == set(model.generation_config.eos_token_id)  # what TRL stops at
    found = generate(*tiny_pair, QUESTIONS, rows, max_new_tokens=60, temperature=4.0, samples=8, seed=0)
    assert [len(group) for group in found] == [8, 8, 8]
    truncated = [one.truncated for group in found for one in group]
    assert any(truncated)
    assert not all(truncated)
    for question, films, group in zip(QUESTIONS, rows, found, strict=True):
        text = processor.apply_chat_template(messages(question, len(films)), add_generation_prompt=True)
        for one in group:
            assert len(one.token_ids) == len(one.tokens) == len(one.logprobs) <= 60
            assert one.prompt == text
            assert one.text == processor.tokenizer.decode(one.token_ids, skip_special_tokens=True)
            assert one.truncated == (one.token_ids[-1] not in ends)
            assert not one.truncated or len(one.token_ids) == 60
            assert not set(one.token_ids[:-1]) & set(ends)


def test_greedy_in_a_mixed_batch_is_greedy_alone(tiny_pair: Any, rows: Any) -> None:
    together = generate(*tiny_pair, QUESTIONS, rows, max_new_tokens=10)
    for i in range(3):
        [[alone]] = generate(*tiny_pair, QUESTIONS[i : i + 1], rows[i : i + 1], max_new_tokens=10)
        assert alone.token_ids == together[i][0].token_ids
        assert alone.logprobs == pytest.approx(together[i][0].logprobs, abs=1e-5)


def test_greedy_is_what_the_librarys_own_generation_gives(tiny_pair: Any, rows: Any) -> None:
    model, processor = tiny_pair
    text = processor.apply_chat_template(messages(QUESTIONS[2], 2), add_generation_prompt=True)
    inputs = processor(text=[text], images=[rows[2]], add_special_tokens=False, return_tensors="pt")
    output = model.generate(**inputs, max_new_tokens=10, do_sample=False)
    expected = output[0, inputs["input_ids"].shape[1] :].tolist()
    [[got]] = generate(*tiny_pair, QUESTIONS[2:], rows[2:], max_new_tokens=10)
    assert list(got.token_ids) == expected


def test_a_seed_gives_the_same_samples_and_leaves_torch_alone(tiny_pair: Any, rows: Any) -> None:
    def sample(seed: int | None) -> Any:
        return generate(*tiny_pair, QUESTIONS, rows, max_new_tokens=8, temperature=1.0, samples=2, seed=seed)

    state = torch.get_rng_state()
    first = sample(5)
    assert torch.equal(state, torch.get_rng_state())
    assert first == sample(5)
    assert first != sample(6)
    assert first[0][0] != first[0][1]
    torch.manual_seed(0)
    without = sample(None)
    torch.manual_seed(0)
    assert without == sample(None)


@pytest.mark.parametrize("number", [0, 1])
def test_generation_stops_at_either_end_token(tiny_folder: Any, film: Any, number: int) -> None:
    model, processor = load(tiny_folder)
    end = model.end_tokens[number]
    token = processor.tokenizer.convert_tokens_to_ids(end)
    with torch.no_grad():
        model.lm_head.weight[token] = 0
        model.lm_head.bias = torch.nn.Parameter(torch.zeros(len(model.lm_head.weight)))
        model.lm_head.bias[token] = 100.0
    [[one]] = generate(model, processor, ["Is it new?"], [[film(0)]], max_new_tokens=5)
    assert one.token_ids == (token,)
    assert one.tokens == (end,)
    assert one.text == ""
    assert not one.truncated


def test_sequence_logprobs_sum_those_of_the_tokens(tiny_pair: Any, rows: Any) -> None:
    texts = ["<answer>yes</answer><|end|>", " no", "<think>The left zone.</think>"]
    got = sequence_logprobs(*tiny_pair, QUESTIONS, rows, texts)
    for question, films, text, value in zip(QUESTIONS, rows, texts, got, strict=True):
        ids = tuple(tiny_pair[1].tokenizer(text, add_special_tokens=False)["input_ids"])
        assert value == pytest.approx(sum(forward_logprobs(tiny_pair, question, films, ids)), abs=1e-4)


def test_nothing_asked_gives_nothing(tiny_pair: Any) -> None:
    assert generate(*tiny_pair, [], []) == []
    assert sequence_logprobs(*tiny_pair, [], [], []) == []


def test_the_models_mode_is_put_back(tiny_folder: Any) -> None:
    model, processor = load(tiny_folder)
    model.train()
    generate(model, processor, ["q"], [[]], max_new_tokens=1)
    assert model.training


def test_a_generation_is_frozen(tiny_pair: Any) -> None:
    [[one]] = generate(*tiny_pair, ["q"], [[]], max_new_tokens=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.text = "x"
