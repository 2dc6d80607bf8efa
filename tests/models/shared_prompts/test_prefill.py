"""The native `generate` with each prompt read once, against the same with every row read."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_families
import torch
from peft import LoraConfig, get_peft_model
from transformers import DynamicCache, GenerationMixin, LogitsProcessor, LogitsProcessorList

from chexphi.models import adapter
from chexphi.models.families import tiny
from chexphi.models.families.phi4 import Phi4MultimodalForCausalLM
from chexphi.models.policy import load
from chexphi.models.shared_prompts import prefill
from chexphi.models.shared_prompts.sharing import SharedPrompts
from chexphi.prompts import messages

SHORT, LONG = "Is it new?", "What is seen in the left upper zone of the film?"
GREEDY = {"do_sample": False}
SAMPLED = {"do_sample": True, "temperature": 1.3, "top_k": 0}
BATCHES = {
    "groups": ([(SHORT, ()), (LONG, (1,)), (SHORT, (2, 1))], [4, 4, 4], 3),
    "one group": ([(LONG, (1, 2))], [3], 1),
    "without films": ([(SHORT, ()), (LONG, ())], [2, 2], 2),
    "sizes differ": ([(SHORT, (1,)), (LONG, (2,)), (SHORT, ())], [1, 5, 2], 3),
    "same text, other film": ([(SHORT, (1,)), (SHORT, (2,)), (SHORT, (1, 2)), (SHORT, (2, 1))], [2] * 4, 4),
    "torn apart": ([(SHORT, (1,)), (LONG, (2,)), (SHORT, (1,)), (SHORT, (2,)), (LONG, (2,))], [1] * 5, 3),
    "all differ": ([(SHORT, ()), (SHORT, (1,)), (LONG, (1,))], [1, 1, 1], 3),
}
"""Prompts (question, seeds of its films), how often each is there in turn, and how many are distinct."""


@pytest.fixture(scope="module", params=["phi4_multimodal", *tiny_families.BUILDERS])
def pair(request: Any, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    return load(tiny_families.folder(request.param, tmp_path_factory) or tiny_folder)


def encode(processor: Any, film: Any, prompts: list[Any], times: list[int]) -> dict[str, Any]:
    """As TRL has a batch: every row with films of its own, equal ones or not."""
    rows = [prompt for prompt, count in zip(prompts, times, strict=True) for _ in range(count)]
    films = [[film(seed, 30 + 25 * seed, 40) for seed in seeds] for _, seeds in rows]
    texts = [
        processor.apply_chat_template(messages(question, len(seeds)), add_generation_prompt=True)
        for question, seeds in rows
    ]
    return dict(processor(text=texts, images=films, padding=True, return_tensors="pt"))


@contextmanager
def rows_read(model: Any) -> Iterator[list[int]]:
    """Rows of every forward whose queries are more than one token."""
    seen: list[int] = []

    def note(_: Any, __: Any, kwargs: Any) -> None:
        if kwargs["input_ids"].shape[1] > 1:
            seen.append(len(kwargs["input_ids"]))

    hook = model.model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield seen
    finally:
        hook.remove()


@contextmanager
def keys_read(model: Any) -> Iterator[list[int]]:
    """Keys and values that the first layer's cache gives its attention, by forward."""
    seen: list[int] = []
    update = DynamicCache.update

    def noting(cache: Any, *args: Any, **kwargs: Any) -> Any:
        found = update(cache, *args, **kwargs)
        if args[2] == 0:
            seen.append(found[0].shape[-2])
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DynamicCache, "update", noting)
        yield seen


class Seen(LogitsProcessor):
    def __init__(self) -> None:
        self.logits: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.logits.append(scores.clone())
        return scores


def both(model: Any, inputs: dict[str, Any], read: list[int], **how: Any) -> tuple[Any, Any]:
    """Outputs with and without sharing from the same seed; `read` rows are read with it."""
    base = adapter.unwrapped(model)
    outputs = []
    for base.prompt_sharing in (SharedPrompts(), SharedPrompts("off")):
        torch.manual_seed(0)
        with rows_read(base) as seen:
            outputs.append(
                model.generate(
                    **inputs,
                    **{"max_new_tokens": 8, "output_logits": True, "return_dict_in_generate": True} | how,
                )
            )
        copies = max(how.get("num_return_sequences", 1), how.get("num_beams", 1))
        assert seen == (
            read if base.prompt_sharing == SharedPrompts() else [copies * len(inputs["input_ids"])]
        )
    del base.prompt_sharing
    return outputs[0], outputs[1]


def same(shared: Any, plain: Any) -> None:
    assert torch.equal(shared.sequences, plain.sequences)
    for got, expected in zip(shared.logits, plain.logits, strict=True):
        torch.testing.assert_close(got, expected, atol=5e-6, rtol=5e-6)


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("how", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_tokens_and_logits_are_those_of_every_row_read(pair: Any, film: Any, name: str, how: Any) -> None:
    model, processor = pair
    prompts, times, distinct = BATCHES[name]
    same(*both(model, encode(processor, film, prompts, times), [distinct], **how))


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("how", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_decoding_on_prompts_held_once(pair: Any, film: Any, name: str, how: Any, monkeypatch: Any) -> None:
    """Without a dictionary asked for, no one else sees the cache."""
    model, processor = pair
    if model.config.model_type == "gemma3":  # its window of 16 would drop tokens of the prompts
        monkeypatch.setattr(model.config.text_config, "sliding_window", 1000)
    prompts, times, distinct = BATCHES[name]
    inputs = encode(processor, film, prompts, times)
    monkeypatch.setattr(prefill, "MIN_SAVED_TOKENS", 0)
    tokens, logits = [], []
    for model.prompt_sharing in (SharedPrompts(), SharedPrompts("off")):
        torch.manual_seed(0)
        seen = LogitsProcessorList([Seen()])
        with keys_read(model) as lengths:
            tokens.append(model.generate(**inputs, max_new_tokens=8, logits_processor=seen, **how))
        logits.append(seen[0].logits)
        repeated = distinct < len(inputs["input_ids"])
        held = model.prompt_sharing == SharedPrompts() and repeated and len(seen[0].logits) > 1
        assert (lengths[-1] < 8) is held
    del model.prompt_sharing
    same(*(SimpleNamespace(sequences=a, logits=b) for a, b in zip(tokens, logits, strict=True)))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("window", [None, 1000, 20])
def test_decoding_with_fewer_key_heads_and_a_window(
    tiny_folder: Path, film: Any, attention: str, window: int | None, monkeypatch: Any
) -> None:
    """As in the published model: several heads a key, and a window that no row here leaves, or all do."""
    _, processor = load(tiny_folder)
    config = tiny.config(processor.tokenizer, image_size=32, patch_size=8, hidden_size=32, num_layers=2)
    config.num_key_value_heads, config.sliding_window = 2, window
    config._attn_implementation = attention
    model = Phi4MultimodalForCausalLM(config).eval()
    tiny.initialise(model, seed=0)
    monkeypatch.setattr(prefill, "MIN_SAVED_TOKENS", 0)
    inputs = encode(processor, film, *BATCHES["sizes differ"][:2])
    with keys_read(model) as lengths:
        tokens = model.generate(**inputs, max_new_tokens=6, **GREEDY)
    assert (lengths[-1] == 5) is (window != 20)
    model.prompt_sharing = SharedPrompts("off")
    assert torch.equal(tokens, model.generate(**inputs, max_new_tokens=6, **GREEDY))


@pytest.mark.parametrize(
    "how",
    [
        GREEDY | {"num_beams": 3},
        SAMPLED | {"num_return_sequences": 3},
        GREEDY | {"repetition_penalty": 1.5, "min_new_tokens": 3},
    ],
)
def test_other_ways_to_decode(pair: Any, film: Any, how: Any) -> None:
    prompts, times, distinct = BATCHES["sizes differ"]
    inputs = encode(pair[1], film, prompts, times)
    same(*both(pair[0], inputs, [distinct], **how))


@pytest.mark.parametrize(
    ("how", "read"),
    [
        ({"use_cache": False}, None),
        ({"cache_implementation": "static"}, [8]),
        ({"prefill_chunk_size": 1000, "cache": "own"}, [8]),
        ({"cache": "own"}, [3]),
    ],
)
def test_what_is_left_alone(tiny_pair: Any, film: Any, how: Any, read: list[int] | None) -> None:
    model, processor = tiny_pair
    prompts, times, _ = BATCHES["sizes differ"]
    how = GREEDY | how | ({"cache": DynamicCache(config=model.config)} if "cache" in how else {})
    inputs = encode(processor, film, prompts, times)
    expected = model.generate(**inputs, max_new_tokens=4, **GREEDY)
    with rows_read(model) as seen:
        assert torch.equal(model.generate(**inputs, max_new_tokens=4, **how), expected)
    assert seen == (read or [8, 8, 8, 8])


def test_hidden_states_are_those_of_every_row(tiny_folder: Path, film: Any) -> None:
    """Without films, on a model of its own: asked for hidden states once, the native class reads no films."""
    model, processor = load(tiny_folder)
    inputs = encode(processor, film, [(LONG, ())], [3])
    outputs = both(model, inputs, [3], output_hidden_states=True, **GREEDY)
    assert all(output.hidden_states[0][0].shape[0] == 3 for output in outputs)


def test_rows_with_positions_of_their_own_are_read_each(tiny_pair: Any, film: Any) -> None:
    inputs = encode(tiny_pair[1], film, [(LONG, ())], [3])
    positions = torch.arange(inputs["input_ids"].shape[1]).repeat(3, 1)
    positions[1] += 5
    same(*both(tiny_pair[0], inputs | {"position_ids": positions}, [3], **GREEDY))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_an_adapter_in_training(tiny_folder: Path, film: Any, dropout: float) -> None:
    """Two equal rows of one that drops out differ: they are read each."""
    base, processor = load(tiny_folder)
    config = LoraConfig(r=2, target_modules=base.lora_targets, init_lora_weights=False, lora_dropout=dropout)
    model = get_peft_model(base, config).train()
    inputs = encode(processor, film, *BATCHES["groups"][:2])
    same(*both(model, inputs, [12 if dropout else 3], **SAMPLED))


def test_beyond_the_length_at_which_positions_change(tiny_folder: Path, film: Any) -> None:
    """Rows on both sides of LongRoPE's limit, and one that crosses it."""
    _, processor = load(tiny_folder)
    sizes = {"hidden_size": 32, "num_layers": 2, "vision_hidden": 24, "vision_layers": 2}
    config = tiny.config(processor.tokenizer, image_size=32, patch_size=8, **sizes)
    limit = encode(processor, film, [(LONG, (1,))], [1])["input_ids"].shape[1] + 3
    config.original_max_position_embeddings = limit
    config.rope_parameters = {
        "rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 1.0,
        "original_max_position_embeddings": limit, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4,
    }  # fmt: skip
    model = Phi4MultimodalForCausalLM(config).eval()
    tiny.initialise(model, seed=0)
    for long in (LONG, LONG * 3):
        inputs = encode(processor, film, [(SHORT, ()), (long, (1,))], [2, 3])
        same(*both(model, inputs, [2], **GREEDY))


def test_the_librarys_generation_reads_prompts_where_we_take_part() -> None:
    parameters = list(inspect.signature(GenerationMixin._prefill).parameters)
    assert parameters == ["self", "input_ids", "generation_config", "model_kwargs", "is_first_iteration"]
    for decoding in (GenerationMixin._sample, GenerationMixin._beam_search):
        assert "self._prefill(" in inspect.getsource(decoding)
