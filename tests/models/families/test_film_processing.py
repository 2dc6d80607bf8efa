"""Each film of a batch is processed once, and the batch is the one the native processor makes."""

from __future__ import annotations

import copy
import functools
import threading
import types
from collections.abc import Sequence
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

from chexphi.data.film_loader import FilmLoader
from chexphi.data.images import load_image
from chexphi.models import policy
from chexphi.prompts import messages

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


class Counted:
    """How often the image processor was called, and with how many films."""

    def __init__(self, processor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.films: list[int] = []
        original = type(processor.image_processor).preprocess

        def preprocess(own: Any, images: Any, **kwargs: Any) -> Any:
            self.films.append(len(images))
            return original(own, images, **kwargs)

        monkeypatch.setattr(type(processor.image_processor), "preprocess", preprocess)


def finish() -> None:
    for thread in threading.enumerate():
        if thread.name == "films":
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed, size in enumerate(SIZES):
        noise(seed, size).save(tmp_path / f"{seed}.png")
    noise(0, SIZES[0]).save(tmp_path / "again.png")
    return tmp_path


@pytest.mark.parametrize("ahead", [True, False])
def test_both_calls_of_a_step_process_a_film_once(
    processor: Any, root: Path, monkeypatch: pytest.MonkeyPatch, ahead: bool
) -> None:
    """Whether threads were there before or not; nothing of the random state moves."""
    counted, state = Counted(processor, monkeypatch), torch.get_rng_state()
    loader = FilmLoader(root, processor.prepare_film if ahead else None)
    names = [[f"{i}.png", f"{(i + 3) % len(SIZES)}.png"][: i % 3] for i in range(1, len(SIZES))]
    names = [row for row in names if row for _ in range(4)]
    distinct = {name for row in names for name in row}
    rows = [[loader(name) for name in row] for row in names]
    if ahead:
        finish()
        assert len(counted.films) == len(distinct)
    first, second = prompts(processor, rows), batch(processor, rows)
    again = batch(processor, rows[::-1])
    assert counted.films == [1] * len(distinct)
    assert torch.equal(torch.get_rng_state(), state)
    own = [[load_image(name, root) for name in row] for row in names]
    same(first, prompts(native(processor), own))
    same(second, batch(native(processor), own))
    same(again, batch(native(processor), own[::-1]))


def test_two_names_of_a_film_and_plain_images_are_equal(processor: Any, root: Path) -> None:
    loader = FilmLoader(root)
    rows = [[loader("0.png")], [loader("again.png")], [load_image("0.png", root)]]
    inputs = batch(processor, rows)
    for name in ("input_ids", "pixel_values"):
        first, second, third = inputs[name].chunk(3)
        assert torch.equal(first, second)
        assert torch.equal(first, third)


def test_what_was_made_under_other_settings_is_not_taken(processor: Any, root: Path) -> None:
    film = FilmLoader(root, processor.prepare_film)("4.png")
    finish()
    for asked in ({}, {"do_normalize": False}, {"do_rescale": False}, {}):
        same(batch(processor, [[film]], **asked), batch(native(processor), [[film]], **asked))


def test_what_a_batch_is_made_of_is_not_what_is_kept(processor: Any, root: Path) -> None:
    """A batch may be written into."""
    film = FilmLoader(root)("4.png")
    expected = batch(native(processor), [[film]])
    batch(processor, [[film]])["pixel_values"].zero_()
    same(batch(processor, [[film]]), expected)


def test_no_text_is_tokenized_in_a_thread(
    processor: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tokenizer that two threads have fails with `Already borrowed`."""
    monkeypatch.setattr(
        processor, "tokenizer", types.SimpleNamespace(init_kwargs=processor.tokenizer.init_kwargs)
    )
    film = FilmLoader(root, processor.prepare_film)("4.png")
    finish()
    assert film.is_processed
