"""Each film of a batch is processed once, and the batch is the one the native processor makes."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_families
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import ProcessorMixin

from chexphi.data.films import Film, FilmLoader
from chexphi.models import policy
from chexphi.prompts import messages
from chexphi.schema import InputError

KINDS = ("phi4", *tiny_families.BUILDERS)
SIZES = [(32, 32), (20, 50), (64, 64), (97, 40), (300, 211), (33, 31), (64, 32), (1, 1)]


@pytest.fixture(scope="module", params=KINDS)
def processor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    other = tiny_families.folder(request.param, tmp_path_factory)
    folder = other or request.getfixturevalue("tiny_folder")
    found = policy.load(folder)[1]
    if other is None:
        found.image_processor.dynamic_hd = 6
    return found


def native(processor: Any) -> Any:
    """The same processor with the library's own way of films: every row's, all together."""
    found = copy.copy(processor)
    found._process_images = functools.partial(ProcessorMixin._process_images, found)
    return found


def noise(seed: int, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def batch(processor: Any, rows: Sequence[Sequence[Image.Image]], **settings: Any) -> Any:
    """As TRL calls it for the policy's pass."""
    texts = [
        processor.apply_chat_template(messages("Is it new?", len(films)), add_generation_prompt=True)
        for films in rows
    ]
    settings = {"padding": True, "return_tensors": "pt"} | settings
    return processor(text=texts, images=[list(films) for films in rows], **settings)


def prompts(processor: Any, rows: Sequence[Sequence[Image.Image]]) -> Any:
    """As TRL calls it before generation: no padding, no tensors asked for."""
    conversations = []
    for films in rows:
        parts = [{"type": "image", "image": film} for film in films]
        conversations.append([{"role": "user", "content": [*parts, {"type": "text", "text": "Is it new?"}]}])
    return processor.apply_chat_template(
        conversation=conversations, add_generation_prompt=True, tokenize=True, return_dict=True
    )


def same(found: Any, expected: Any) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        own = found[name]
        if isinstance(value, list) and isinstance(value[0], torch.Tensor):  # Gemma's without `return_tensors`
            value = torch.stack(value)
        if isinstance(value, torch.Tensor):
            assert own.dtype == value.dtype
            assert torch.equal(own, value), name
        else:
            assert own == value, name


@settings(max_examples=25)
@given(
    sizes=st.lists(st.sampled_from(SIZES), min_size=1, max_size=4),
    rows=st.lists(st.lists(st.integers(0, 3), max_size=2), min_size=1, max_size=5),
)
def test_a_batch_is_the_native_one(
    processor: Any, sizes: list[tuple[int, int]], rows: list[list[int]]
) -> None:
    """Rows of 0, 1 and 2 films of any sizes, the same film in several of them or twice in one."""
    films = [noise(seed, size) for seed, size in enumerate(sizes)]
    given_rows = [[films[i % len(films)] for i in row] for row in rows]
    same(batch(processor, given_rows), batch(native(processor), given_rows))
    if all(given_rows):  # TRL's form without a film differs
        same(prompts(processor, given_rows), prompts(native(processor), given_rows))
