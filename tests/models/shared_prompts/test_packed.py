"""Packed rows: log-probabilities, entropies and gradients are those of the plain rows."""

from __future__ import annotations

import copy
import functools
import inspect
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_families
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from trl import GRPOTrainer
from trl.trainer.utils import add_fused_lm_head

from chexphi.models import adapter, trainable, what_learns
from chexphi.models.families import phi4, tiny
from chexphi.models.policy import load
from chexphi.models.shared_prompts import packed_rows, row_inputs
from chexphi.models.shared_prompts.sharing import SharedPrompts
from chexphi.prompts import messages
from chexphi.training import shared_prompt_logps

QUESTIONS = ["Is there an opacity?", "What is seen in the left upper zone of the film?", "Is it new?"]


def batch_of(processor: Any, groups: Any, film: Any, keep: int, seed: int) -> dict[str, Any]:
    """What TRL passes: rows of (question, film seeds, completions) groups, shuffled, with completions of any
    length from 0."""
    generator = torch.Generator().manual_seed(seed)
    rows = [(question, films) for question, films, count in groups for _ in range(count)]
    rows = [rows[i] for i in torch.randperm(len(rows), generator=generator)]
    films = [[film(s, *((40, 70), (32, 32), (90, 31))[s % 3]) for s in own] for _, own in rows]
    texts = [
        processor.apply_chat_template(messages(QUESTIONS[q], len(own)), add_generation_prompt=True)
        for q, own in rows
    ]
    inputs = dict(processor(text=texts, images=films, padding=True, padding_side="left", return_tensors="pt"))
    completion = torch.randint(10, 100, (len(rows), keep), generator=generator)
    lengths = torch.randint(0, keep + 1, (len(rows),), generator=generator)
    kept = (torch.arange(keep)[None] < lengths[:, None]).long()
    added = {"input_ids": completion * kept, "attention_mask": kept} | dict.fromkeys(
        row_inputs.TOKEN_TYPES, kept * 0
    )
    inputs |= {name: torch.cat([inputs[name], added[name]], 1) for name in added.keys() & inputs.keys()}
    return inputs | {"logits_to_keep": keep, "num_images": [len(own) for own in films]}


def plain_pass(
    model: Any, batch: dict[str, Any], autocast: Any = nullcontext, **how: Any
) -> tuple[Tensor, Tensor]:
    """As TRL's own method, which knows how a batch is cut as well."""
    trainer = SimpleNamespace(accelerator=SimpleNamespace(autocast=autocast))
    method = inspect.unwrap(GRPOTrainer._get_per_token_logps_and_entropies)  # it times itself
    logps, entropies, _ = method(trainer, model, **batch, compute_entropy=True, **how)
    return logps, entropies


def packed_pass(
    model: Any, batch: dict[str, Any], autocast: Any = nullcontext, **how: Any
) -> tuple[Tensor, Tensor]:
    """Every batch that may be packed is; what is left is read plainly."""

    def plain(model: Any, *args: Any, **given: Any) -> Any:
        names = ("input_ids", "attention_mask", "logits_to_keep")
        given.pop("compute_entropy")
        return *plain_pass(model, dict(zip(names, args, strict=True)) | given, autocast), None

    causal = adapter.unwrapped(model)
    call = functools.partial(model)  # in several processes the trainer's model has nothing but a call
    reader = shared_prompt_logps.Reader(plain, autocast, causal)
    return reader.read(call, **batch, compute_entropy=True, **how)[:2]


KINDS = ["phi4_multimodal", *tiny_families.BUILDERS]


@pytest.fixture(scope="module", params=product(KINDS, ["sdpa", "eager"]), ids="-".join)
def policy(
    request: pytest.FixtureRequest, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Any]:
    """A model with a trained-looking LoRA and its own lm_head, ready for both passes."""
    kind, attention = request.param
    folder = tiny_families.folder(kind, tmp_path_factory) or tiny_folder
    return ready(folder, attn_implementation=attention)


def ready(folder: Path, **how: Any) -> tuple[Any, Any]:
    model, processor = load(folder, **how)
    assert SharedPrompts.for_training([model], share_prefix=True, sharded=False).in_training
    add_fused_lm_head(model, temperature=0.9, outputs=("log_probs", "entropy"))
    targets = model.lora_targets
    torch.manual_seed(0)
    model = trainable.prepare(model, what_learns.DEFAULT, targets=targets, rank=3, alpha=6)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    if hasattr(processor.image_processor, "dynamic_hd"):
        processor.image_processor.dynamic_hd = 4
    return model, processor


def gradients_of(model: Any, logps: Tensor, entropies: Tensor, weights: Tensor) -> dict[str, Tensor]:
    (logps * weights + 0.1 * entropies).sum().backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return gradients


GROUPS = st.lists(
    st.tuples(st.integers(0, 2), st.lists(st.integers(1, 4), max_size=2), st.integers(1, 4)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=20, deadline=None)
@given(
    groups=GROUPS,
    keep=st.integers(1, 9),
    seed=st.integers(0, 99),
    checkpointing=st.booleans(),
    rows=st.none() | st.integers(2, 5),
)
def test_values_and_gradients_equal_the_plain_ones(
    policy: Any, film: Any, groups: Any, keep: int, seed: int, checkpointing: bool, rows: int | None
) -> None:
    model, processor = policy
    batch = batch_of(processor, groups, film, keep, seed)
    causal = model.get_base_model()
    model.train()
    if checkpointing:
        causal.activation_checkpointing_enable()
        model.enable_input_require_grads()
    weights = torch.randn(len(batch["input_ids"]), keep, generator=torch.Generator().manual_seed(seed))
    results = []
    for run in (plain_pass, packed_pass):
        logps, entropies = run(model, batch, batch_size=rows)
        results.append((logps.detach(), entropies.detach(), gradients_of(model, logps, entropies, weights)))
    causal.activation_checkpointing_disable()
    (logps, entropies, gradients), (values, other_entropies, other_gradients) = results
    torch.testing.assert_close(values, logps, atol=1e-5, rtol=0)
    torch.testing.assert_close(other_entropies, entropies, atol=1e-5, rtol=0)
    assert other_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert (other_gradients[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-7, name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", ["bfloat16", "float32"])
def test_in_bf16_it_is_as_close_to_fp32_as_the_plain_pass(
    weights: str, kind: str, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory, film: Any
) -> None:
    """With weights in bf16, and in fp32 under autocast; of the mean errors of many numbers."""
    folder = tiny_families.folder(kind, tmp_path_factory) or tiny_folder
    model, processor = ready(folder, dtype=weights)
    exact = copy.deepcopy(model).float()
    add_fused_lm_head(exact.get_base_model(), temperature=0.9, outputs=("log_probs", "entropy"))
    cast = functools.partial(torch.autocast, "cpu", torch.bfloat16)
    errors = torch.zeros(2, 2)
    for seed in range(4):
        batch = batch_of(processor, [(0, [1], 4), (1, [2, 3], 4), (2, [], 4)], film, 9, seed)
        signs = torch.randn(12, 9, generator=torch.Generator().manual_seed(seed))
        expected, entropies = plain_pass(exact, batch)
        slopes = gradients_of(exact, expected, entropies, signs)
        for i, run in enumerate((plain_pass, packed_pass)):
            logps, entropies = run(model, batch, nullcontext if weights == "bfloat16" else cast)
            found = gradients_of(model, logps, entropies, signs)
            off = torch.cat([(found[name].float() - slopes[name]).flatten() for name in slopes])
            errors[i] += torch.stack([(logps - expected).abs().mean().detach(), off.norm()])
    assert (errors[0] > 0).all()
    assert (errors[1] <= 1.2 * errors[0]).all()


def test_each_distinct_prompt_is_read_once(policy: Any, film: Any) -> None:
    model, processor = policy
    groups = [(0, [1], 3), (0, [2], 2), (1, [], 2), (0, [1], 1)]  # one text with two films; one group in two
    batch = batch_of(processor, groups, film, 6, 0)
    read: list[tuple[int, ...]] = []
    hook = (
        model.get_base_model()
        .get_input_embeddings()
        .register_forward_hook(lambda module, args, output: read.append(tuple(args[0].shape)))
    )
    with torch.no_grad():
        packed_pass(model, batch)
    hook.remove()
    length = batch["input_ids"].shape[1]
    assert read == [(3, length - 6 - 1 + 4 * 6)]  # four completions at most, each behind its own last token


def test_a_sliding_window(tiny_folder: Path, film: Any) -> None:
    """One that prompts reach past, and one that completions alone do; it is every layer's in Phi-4."""
    model, processor = ready(tiny_folder)
    batch = batch_of(processor, [(0, [1], 3), (1, [], 2)], film, 9, 2)
    for window in (5, batch["input_ids"].shape[1] - 11):
        model.config.sliding_window = window
        with torch.no_grad():
            expected, found = plain_pass(model, batch)[0], packed_pass(model, batch)[0]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        model.config.sliding_window = None
        with torch.no_grad():
            assert (plain_pass(model, batch)[0] - expected).abs().max() > 1e-4


@pytest.mark.parametrize("beyond", [-5, -1, 0, 1, 2, 5])
def test_across_the_length_at_which_positions_change(tiny_folder: Path, film: Any, beyond: int) -> None:
    """A packed row is a token shorter than a plain one, which must not turn the factors of all."""
    _, processor = load(tiny_folder)
    batch = batch_of(processor, [(0, [1], 3), (1, [], 2)], film, 6, 1)
    limit = batch["input_ids"].shape[1] - beyond
    sizes = {"hidden_size": 32, "num_layers": 2, "vision_hidden": 24, "vision_layers": 2}
    config = tiny.config(processor.tokenizer, image_size=32, patch_size=8, **sizes)
    config.original_max_position_embeddings = limit
    config.rope_parameters = {
        "rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 1.0,
        "original_max_position_embeddings": limit, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4,
    }  # fmt: skip
    native = phi4.Phi4MultimodalForCausalLM(config).eval()
    tiny.initialise(native, seed=0)
    assert SharedPrompts.for_training([native], share_prefix=True, sharded=False).in_training
    add_fused_lm_head(native, temperature=1.0, outputs=("log_probs", "entropy"))
    with torch.no_grad():
        expected, found = (run(native, batch)[0] for run in (plain_pass, packed_pass))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("other", [{"compute_aux_loss": True}, {"num_images": None}])
def test_what_is_not_understood_is_left_to_trl(tiny_folder: Path, film: Any, other: dict[str, Any]) -> None:
    """Inputs of other families, and films of which nobody says whose they are: all as they came."""
    model, processor = ready(tiny_folder)
    given = batch_of(processor, [(0, [1], 3)], film, 4, 0) | other
    asked: list[dict[str, Any]] = []

    def plain(model: Any, *args: Any, **given: Any) -> Any:
        asked.append(given)
        return torch.zeros(3, 4), None, None

    reader = shared_prompt_logps.Reader(plain, nullcontext, model.get_base_model())
    assert reader.read(model, **given).packed_batches == []
    names = {"pixel_values", "image_sizes", "num_images", *other}
    assert [one.keys() for one in asked] == [names]
    assert all(asked[0][name] is given[name] for name in names)


def test_the_towers_keep_their_own_attention(tiny_folder: Path) -> None:
    model, _ = phi4.load(tiny_folder)
    assert packed_rows.enable(model)
    assert packed_rows.enable(model)  # once more changes nothing
    assert model.config._attn_implementation == "shared_sdpa"
    assert model.config.vision_config._attn_implementation == "sdpa"
    model.config._attn_implementation_internal = "flash_attention_2"
    assert not packed_rows.enable(model)


def test_an_enabled_model_saves_nothing_of_it(tiny_folder: Path, tmp_path: Path) -> None:
    model, processor = phi4.load(tiny_folder)
    packed_rows.enable(model)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert "shared" not in (tmp_path / "config.json").read_text()
    assert phi4.load(tmp_path)[0].config._attn_implementation == "sdpa"
