"""Caches to decode on against the library's own, and attention to held prompts against the usual one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicSlidingWindowLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from chexphi.models.shared_prompts.kv_cache import ROOM, RowGroups, hold_prompts, reserve

HEADS, WIDTH = 2, 4
STEPS = st.one_of(
    st.tuples(st.just("update"), st.integers(1, ROOM + 3)),
    st.tuples(st.just("select"), st.lists(st.integers(0, 1), min_size=2, max_size=2)),
    st.tuples(st.just("repeat"), st.just(1)),
    st.tuples(st.just("crop"), st.just(-1)),
    st.tuples(st.just("reorder"), st.just([1, 0])),
)


def states(rows: int, length: int, seed: int, heads: int = HEADS) -> Tensor:
    return torch.randn(rows, heads, length, WIDTH, generator=torch.Generator().manual_seed(seed))


def filled(rows: int, length: int, layers: int = 2) -> DynamicCache:
    cache = DynamicCache()
    for layer in range(layers):
        cache.update(states(rows, length, layer), states(rows, length, 10 + layer), layer)
    return cache


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, max_size=8))
def test_a_cache_with_room_is_the_native_one_whatever_is_done_to_it(steps: list[tuple[str, Any]]) -> None:
    native, ours = filled(2, 5), filled(2, 5)
    reserve(ours, length=10_000)
    for seed, (what, value) in enumerate(steps):
        for cache in (native, ours):
            for layer in range(2):
                if what == "update":
                    returned = cache.update(
                        *(states(2, value, 100 * seed + layer + k) for k in (1, 2)), layer
                    )
                    assert all(
                        map(torch.equal, returned, (cache.layers[layer].keys, cache.layers[layer].values))
                    )
            if what == "select":
                cache.batch_select_indices(torch.tensor(value))
            elif what == "repeat":
                cache.batch_repeat_interleave(value)
            elif what == "crop":
                cache.crop(value)
            elif what == "reorder":
                cache.reorder_cache(torch.tensor(value))
        assert native.get_seq_length() == ours.get_seq_length()
        for a, b in zip(native.layers, ours.layers, strict=True):
            assert torch.equal(a.keys, b.keys)
            assert torch.equal(a.values, b.values)
            assert a.get_mask_sizes(1) == b.get_mask_sizes(1)


def test_a_token_is_written_into_room_and_not_joined() -> None:
    cache = filled(2, 5)
    reserve(cache, length=100)
    places = set()
    for seed in range(ROOM - 5):
        cache.update(states(2, 1, seed), states(2, 1, seed), 0)
        places.add(cache.layers[0].keys.data_ptr())
    assert len(places) == 1


@pytest.mark.parametrize(("window", "given_room"), [(9, False), (10, False), (11, True)])
def test_a_sliding_window_that_the_tokens_leave_stays_native(window: int, given_room: bool) -> None:
    cache = DynamicCache()
    cache.layers = [DynamicSlidingWindowLayer(window)]
    cache.update(states(2, 5, 0), states(2, 5, 1), 0)
    reserve(cache, length=10)
    assert (type(cache.layers[0]) is DynamicSlidingWindowLayer) is not given_room
    assert (hold_prompts(cache, None, RowGroups.of(torch.tensor([0, 0, 1]), 2)) is not None) is given_room


@settings(max_examples=60, deadline=None)
@given(
    place=st.lists(st.integers(0, 2), min_size=1, max_size=9),
    kept=st.lists(st.booleans(), min_size=9, max_size=9),
    padding=st.lists(st.integers(0, 4), min_size=3, max_size=3),
    repeats=st.sampled_from([1, 3]),
    tokens=st.integers(1, 3),
    kind=st.sampled_from([torch.float32, torch.bfloat16]),
    autocast=st.booleans(),
)
def test_attention_to_a_held_prompt_is_that_to_a_copy_of_it(
    place: list[int],
    kept: list[bool],
    padding: list[int],
    repeats: int,
    tokens: int,
    kind: torch.dtype,
    autocast: bool,
) -> None:
    """Groups of any size in any order, of which rows leave; left padding; several queries a key."""
    known = (torch.arange(5) >= torch.tensor(padding)[:, None]).long()
    rows = torch.tensor(place)
    cache, plain = (filled(3, 5) for _ in range(2))
    for each in (cache, plain):
        for layer in each.layers:
            layer.keys, layer.values = layer.keys.to(kind), layer.values.to(kind)
    reserve(cache, length=100)
    held = hold_prompts(cache, known, RowGroups.of(rows, 3))
    plain.batch_select_indices(rows)
    assert held is not None
    assert cache.get_seq_length() == plain.get_seq_length() == 5
    mask = known[rows].bool()
    left = torch.tensor(kept[: len(rows)]).nonzero()[:, 0]
    for step in range(tokens):
        if step == 1 and len(left):
            held, mask = held.select(left), mask[left]
            for each in (cache, plain):
                each.batch_select_indices(left)
        mask = torch.nn.functional.pad(mask, (0, 1), value=True)
        for layer in range(2):
            module: Any = SimpleNamespace(layer_idx=layer, num_key_value_groups=repeats, is_causal=True)
            query = states(len(mask), 1, 7 * step + layer, HEADS * repeats).to(kind)
            new = [states(len(mask), 1, 50 + 7 * step + k).to(kind) for k in range(2)]
            whole, own = plain.update(*new, layer), cache.update(*new, layer)
            expected, _ = sdpa_attention_forward(
                module, query.float(), *(part.float() for part in whole), mask[:, None, None], scaling=0.5
            )
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                got = held.attend(module, query, *own, scaling=0.5)
            assert got.dtype == kind
            torch.testing.assert_close(
                got.float(), expected, **({"atol": 1e-6, "rtol": 1e-6} if kind == torch.float32 else
                                          {"atol": 4e-3, "rtol": 8e-3})
            )  # fmt: skip
