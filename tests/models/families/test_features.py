"""Films' features: known by content, bounded, the same from memory and disk, never those of other weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_families
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_families import encode
from torch import Tensor

from chexphi.models import policy
from chexphi.models.families.film_features import FeatureCache, digest, weights_digest

CPU = torch.device("cpu")
TYPES = (torch.float32, torch.bfloat16, torch.float16, torch.int32, torch.int64, torch.bool)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    shape = draw(st.sampled_from([(), (0,), (1,), (2,), (2, 1), (1, 2), (3,), (2, 3)]))
    values = draw(st.lists(st.integers(0, 1), min_size=6, max_size=6))
    return torch.tensor(values[: int(np.prod(shape))]).reshape(shape).to(draw(st.sampled_from(TYPES)))


@given(st.lists(tensors(), max_size=2), st.lists(tensors(), max_size=2), st.sampled_from("ab"))
def test_digests_are_equal_exactly_if_types_shapes_and_values_are(
    first: list[Tensor], second: list[Tensor], note: str
) -> None:
    def whole(values: list[Tensor]) -> list[Any]:
        return [(value.dtype, value.shape, value.tolist()) for value in values]

    same = whole(first) == whole(second) and note == "a"
    assert (digest(*first, note="a") == digest(*second, note=note)) == same


@given(st.integers(0, 7), st.sampled_from(TYPES))
def test_where_a_tensor_lies_in_memory_does_not_count(place: int, dtype: torch.dtype) -> None:
    values = torch.arange(64).reshape(8, 8).to(dtype)
    for view in (values[:, place], values.T[place], values[place], values[::2, 1::3]):
        assert digest(view) == digest(view.clone())
    with torch.inference_mode():
        assert digest(values.clone()) == digest(values)


def test_one_bit_of_a_large_film_counts() -> None:
    film = torch.zeros(3, 448, 448)
    other = film.clone()
    other.view(torch.uint8)[2, 100, 1000] = 1
    assert digest(film) != digest(other)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=30), st.integers(0, 5))
def test_memory_holds_the_last_used_ones_up_to_its_limit(steps: list[tuple[str, bool]], room: int) -> None:
    """Against a list in the order of use; a feature is four values of four bytes."""
    kept = FeatureCache(limit=16 * room + 3)
    expected: list[str] = []
    for key, puts in steps:
        value = kept.get(key, CPU)
        assert (value is not None) == (key in expected)
        if value is not None:
            assert value.tolist() == [float(ord(key))] * 4
            expected.remove(key)
            expected.append(key)
        if puts:
            kept.put(key, torch.full((4,), float(ord(key))))
            expected = [*(other for other in expected if other != key), key][-room:] if room else []
    kept.clear()
    assert all(kept.get(key, CPU) is None for key in "abcdef")


def test_what_is_kept_is_a_copy() -> None:
    kept, batch = FeatureCache(), torch.ones(4, 3)
    kept.put("a", batch[0])
    batch.zero_()
    found = kept.get("a", CPU)
    assert found is not None
    assert found.tolist() == [1, 1, 1]
    assert found.untyped_storage().nbytes() == 12  # or one row would hold the batch


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_folder_gives_the_same_bits(dtype: torch.dtype, tmp_path: Path) -> None:
    values = torch.randn(2, 3, 5).to(dtype).mT
    values[0, 0] = torch.nan
    FeatureCache(tmp_path / "a" / "b", limit=0).put("key", values)
    found = FeatureCache(tmp_path / "a" / "b").get("key", CPU)
    assert found is not None
    assert found.dtype == dtype
    assert digest(found) == digest(values)
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["key.safetensors"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),  # its header is whole
        lambda content: b"\x80\x04" + content,
        lambda content: content.replace(b"features", b"featurez"),
    ],
)
def test_a_damaged_file_is_said_and_made_again(
    damage: Callable[[bytes], bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = torch.randn(5, 3)
    FeatureCache(tmp_path).put("key", values)
    path = tmp_path / "key.safetensors"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    kept = FeatureCache(tmp_path)
    assert kept.get("key", CPU) is None
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} is damaged: the film is read again"
    ]
    kept.put("key", values)
    assert path.read_bytes() == whole


@pytest.fixture(scope="module", params=["phi4_multimodal", *tiny_families.BUILDERS])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    return tiny_families.folder(request.param, tmp_path_factory) or tiny_folder


@pytest.fixture
def pair(base: Path) -> tuple[Any, Any]:
    """To change."""
    return policy.load(base)


@contextmanager
def reads(model: Any) -> Iterator[list[int]]:
    """How many patches went through the tower, a number a pass of it."""
    seen: list[int] = []
    vision = model.tower.vision
    first = vision.patch_embed if hasattr(vision, "patch_embed") else vision.embeddings.patch_embedding

    def hook(module: Any, args: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append(output.numel() // output.shape[1 if output.ndim == 4 else -1])

    handle = first.register_forward_hook(hook)
    try:
        yield seen
    finally:
        handle.remove()


def logits(model: Any, inputs: Any) -> Tensor:
    with torch.no_grad():
        return model(**inputs).logits


def test_a_film_is_read_once_whatever_its_name_row_and_text(
    pair: tuple[Any, Any], film: Callable[..., Any]
) -> None:
    model, processor = pair
    rows = [[film(1)], [film(2)], [film(1), film(2)], [film(1).copy()], []]
    inputs = encode(processor, rows)
    with reads(model) as alone:
        logits(model, encode(processor, [[film(1)]]))
    with reads(model) as plain:
        expected = logits(model, inputs)
    assert (len(alone), plain) == (1, [2 * alone[0]])
    model.tower.features = FeatureCache()
    with reads(model) as kept:
        for question in ("Is it new?", "Is there a nodule?", "Is it new?"):
            found = logits(model, encode(processor, rows, question))
        other = logits(model, encode(processor, [[film(3)], [film(1)]]))
    assert kept == [2 * alone[0], alone[0]]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        other, logits(model, encode(processor, [[film(3)], [film(1)]])), atol=1e-6, rtol=0
    )
    assert (other[0, -1] - other[1, -1]).abs().max() > 1e-2  # the same text


def test_gradients_of_a_projector_start_at_what_is_kept(
    pair: tuple[Any, Any], film: Callable[..., Any]
) -> None:
    """Kept in inference mode, as evaluation does; of Qwen's tower the projector is a part."""
    model, processor = pair
    inputs = encode(processor, [[film(1)], [film(2)]])
    vision = set(model.tower.vision.parameters())
    for parameter in model.parameters():
        parameter.requires_grad_(parameter not in vision)

    def gradients() -> list[Tensor]:
        model.zero_grad()
        model(**inputs).logits.square().mean().backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    expected = gradients()
    model.tower.features = FeatureCache()
    with torch.inference_mode():
        model(**inputs)
    with reads(model) as kept:
        found = gradients()
    assert kept == []
    assert len(found) == len(expected) > 10
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_features_follow_the_weights_of_a_tower_that_learns(
    pair: tuple[Any, Any], film: Callable[..., Any]
) -> None:
    model, processor = pair
    model.requires_grad_(True)
    model.tower.features = FeatureCache()
    inputs = encode(processor, [[film(1)], [film(1)]])
    before = model(**inputs).logits
    before.square().mean().backward()
    gradients = [p.grad.clone() for p in model.tower.vision.parameters() if p.grad is not None]
    assert any(gradient.abs().max() > 0 for gradient in gradients)
    model.zero_grad()
    one = encode(processor, [[film(1)]])
    for _ in range(2):  # the loss of two equal rows is the mean of each one's
        (model(**one).logits.square().mean() / 2).backward()
    again = [p.grad for p in model.tower.vision.parameters() if p.grad is not None]
    for first, second in zip(gradients, again, strict=True):
        torch.testing.assert_close(first, second, atol=1e-6, rtol=1e-4)
    with torch.no_grad():
        for parameter in model.tower.vision.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    after = logits(model, inputs)
    assert (after - before).abs().max() > 1e-3
    model.tower.features = None
    assert torch.equal(after, logits(model, inputs))


def test_a_tower_that_drops_values_keeps_none(pair: tuple[Any, Any], film: Callable[..., Any]) -> None:
    model, processor = pair
    for module in model.tower.vision.modules():
        for name in ("attention_dropout", "dropout"):
            if hasattr(module, name):
                setattr(module, name, 0.5)
    model.tower.features = FeatureCache()
    inputs = encode(processor, [[film(1)], [film(1)]])
    model.tower.vision.train()
    with reads(model) as seen:
        first, second = logits(model, inputs), logits(model, inputs)
    assert seen[0] == seen[1]
    assert (first[0] - first[1]).abs().max() > 1e-4  # each row its own draw
    assert (first - second).abs().max() > 1e-4
    model.tower.vision.eval()
    with reads(model) as kept:
        assert torch.equal(logits(model, inputs), logits(model, inputs))
    assert len(kept) == 1


@pytest.mark.parametrize(("dtype", "passes"), [("bfloat16", 1), ("float32", 2)])
def test_a_cast_around_it_is_told_apart_where_it_matters(
    base: Path, film: Callable[..., Any], dtype: str, passes: int
) -> None:
    """TRL generates with an adapter outside of the cast and trains inside of it."""
    model, processor = policy.load(base, dtype=dtype)
    inputs = encode(processor, [[film(1)]])

    def cast() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return logits(model, inputs)

    plain = [logits(model, inputs), cast()]
    model.tower.features = FeatureCache()
    with reads(model) as seen:
        found = [logits(model, inputs), cast(), logits(model, inputs), cast()]
    assert len(seen) == passes
    assert all(torch.equal(one, other) for one, other in zip(found, [*plain, *plain], strict=True))


def test_the_digest_of_a_tower_is_that_of_its_weights_type_and_settings(base: Path) -> None:
    def of(change: Callable[[Any], Any] = lambda vision: None, **settings: Any) -> str:
        vision = policy.load(base, **settings)[0].tower.vision
        change(vision)
        return weights_digest(vision)

    def nudge(vision: Any) -> None:
        list(vision.parameters())[-1].data.view(-1)[-1] += 1e-3

    found = [of(), of(nudge), of(dtype="bfloat16"), of(attn_implementation="eager")]
    assert len(set(found)) == 4
    assert of() == found[0]
