"""Films of any size and any number of crops: as many tokens as the model makes features, and none refused."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import Phi4MultimodalConfig
from transformers.models.phi4_multimodal import image_processing_phi4_multimodal as native_image

from chexphi.models.families.phi4 import (
    Phi4MultimodalImageProcessor,
    Phi4MultimodalModel,
    Phi4MultimodalProcessor,
    extent_mask,
    load,
)
from chexphi.models.families.phi4_processor import MAX_CROPS
from chexphi.schema import InputError

IMAGE = 3
"""The placeholder's id in the models below."""
GEOMETRIES = [(20, 5), (24, 8), (20, 4), (32, 6), (28, 8)]
"""Sides of crop and patch: an even grid, two odd ones, and two that patches do not fill."""
SIDES = st.one_of(
    st.integers(1, 40), st.integers(1, 700), st.sampled_from([1, 2, 9, 10, 11, 20, 21, 32, 33, 5000])
)


@functools.cache
def backbone(size: int, patch_size: int) -> Phi4MultimodalModel:
    """A model with towers as small as they go; what it makes of films has the real shapes."""
    tower = {"hidden_size": 4, "intermediate_size": 4, "num_attention_heads": 1}
    audio = {
        "hidden_size": 8, "intermediate_size": 8, "num_blocks": 1, "num_attention_heads": 1,
        "audio_token_id": 4, "ext_pw_out_channel": 8, "depthwise_separable_out_channel": 8,
        "nemo_conv_channels": 8,
        "bias_max_distance": 8,
    }  # fmt: skip
    vision = {"num_hidden_layers": 1, "image_size": size, "crop_size": size, "patch_size": patch_size}
    config = Phi4MultimodalConfig(
        **tower,
        vocab_size=16,
        num_hidden_layers=1,
        num_key_value_heads=1,
        pad_token_id=0,
        vision_config=tower | vision | {"image_token_id": IMAGE, "feature_layer": -1},
        audio_config=audio,
        attn_implementation="sdpa",
    )
    torch.manual_seed(0)
    return Phi4MultimodalModel(config).eval()


def grey(width: int, height: int) -> Image.Image:
    pixels = np.arange(width * height, dtype=np.uint32).reshape(height, width) * 2654435761 >> 24
    return Image.fromarray((pixels % 200).astype(np.uint8))


def processors(size: int, patch_size: int, dynamic_hd: int) -> tuple[Any, Any]:
    kwargs = {"size": {"height": size, "width": size}, "patch_size": patch_size, "dynamic_hd": dynamic_hd}
    return Phi4MultimodalImageProcessor(**kwargs), native_image.Phi4MultimodalImageProcessor(**kwargs)


def features_of(inputs: Any, size: int, patch_size: int) -> list[int]:
    """How many features the model's own assembly makes of each film."""
    embed = backbone(size, patch_size).embed_tokens_extend.image_embed
    pixels, sizes = inputs["pixel_values"], inputs["image_sizes"]
    ids = torch.full((1, int(sum(inputs["num_img_tokens"]))), IMAGE)
    seen: list[int] = []
    hook = embed.img_projection_down.register_forward_hook(lambda *call: seen.append(call[2].shape[1]))
    try:
        with torch.no_grad():
            found = embed(
                ids,
                torch.zeros(*ids.shape, 4),
                image_pixel_values=pixels,
                image_sizes=sizes[:, :2],
                image_attention_mask=extent_mask(sizes, pixels.shape[1], size=size, patch_size=patch_size),
            )
    finally:
        hook.remove()
    assert torch.isfinite(found).all()
    return seen


@settings(max_examples=200)
@given(
    st.sampled_from(GEOMETRIES),
    st.integers(1, MAX_CROPS),
    st.lists(st.tuples(SIDES, SIDES).filter(lambda s: s[0] * s[1] < 200_000), min_size=1, max_size=2),
)
@example((20, 5), 36, [(1, 5000), (5000, 1)])
@example((24, 8), 1, [(1, 5000), (1, 1)])
@example((20, 4), 2, [(5000, 1), (2, 1)])
@example((32, 6), 4, [(33, 64)])  # natively a whole tile is padding here
def test_any_film_has_as_many_tokens_as_features(
    geometry: tuple[int, int], dynamic_hd: int, sizes: list[tuple[int, int]]
) -> None:
    ours, theirs = processors(*geometry, dynamic_hd)
    films = [grey(*size) for size in sizes]
    inputs = ours(films, return_tensors="pt")
    assert features_of(inputs, *geometry) == list(inputs["num_img_tokens"])
    assert inputs["pixel_values"].shape[1] - 1 <= dynamic_hd
    assert (inputs["image_sizes"][:, 2:] > 0).all()
    with contextlib.suppress(ValueError):  # natively a narrow film is refused; any other is the same
        assert torch.equal(inputs["pixel_values"], theirs(films, return_tensors="pt")["image_pixel_values"])


@pytest.mark.parametrize(
    ("dynamic_hd", "sizes"),
    [
        (1, [(448, 448), (1, 1), (5000, 1), (33, 47)]),
        (4, [(2500, 3056), (447, 449), (100, 3000)]),
        (12, [(1, 5000), (1793, 897)]),
        (36, [(2500, 3056)]),
    ],
)
def test_at_the_published_geometry_too(dynamic_hd: int, sizes: list[tuple[int, int]]) -> None:
    inputs = processors(448, 14, dynamic_hd)[0]([grey(*size) for size in sizes], return_tensors="pt")
    assert features_of(inputs, 448, 14) == list(inputs["num_img_tokens"])


@pytest.mark.parametrize(("width", "height"), [(1, 5000), (5000, 1), (3, 900)])
@pytest.mark.parametrize("dynamic_hd", [1, 7, 36])
def test_a_narrow_film_is_still_seen_from_end_to_end(width: int, height: int, dynamic_hd: int) -> None:
    film = Image.new("L", (width, height), 0)
    inputs = processors(32, 8, dynamic_hd)[0]([film], return_tensors="pt")
    down, across = (inputs["image_sizes"][0, :2] // 32).tolist()
    tiles = inputs["pixel_values"][0, 1 : 1 + down * across, 0].view(down, across, 32, 32)
    edge = tiles[:, 0, :, 0].flatten() if height > width else tiles[0, :, 0].flatten()
    assert (edge < 0).all()  # black; the margin is white, 1


@pytest.mark.parametrize("dynamic_hd", [0, -1, 37, 2.0, True, "4"])
def test_a_number_of_crops_out_of_range_is_one_sentence(tiny_folder: Any, dynamic_hd: Any) -> None:
    for make in (
        lambda: Phi4MultimodalImageProcessor(dynamic_hd=dynamic_hd),
        lambda: load(tiny_folder, dynamic_hd=dynamic_hd),
    ):
        with pytest.raises(InputError, match=r"dynamic_hd is .*: give .* from 1 to 36"):
            make()


def test_a_folder_that_asks_for_no_crops_is_refused(tiny_pair: Any, tmp_path: Any) -> None:
    model, _ = tiny_pair
    model.save_pretrained(tmp_path)
    processor = Phi4MultimodalProcessor.from_pretrained(tiny_pair[0].name_or_path)
    processor.image_processor.dynamic_hd = 0
    processor.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="dynamic_hd is 0"):
        load(tmp_path)
