"""Qwen2.5-VL and Qwen3-VL.

A film is cut into patches at its own size, between a smallest and a largest number of pixels (`size` of the
image processor). Positions are three-dimensional inside a film; those after it go on from its longer side.

* `pixel_values`: float, (patches of all images, channels * 2 * patch * patch).
* `image_grid_thw`: int, (images, 3): 1, then rows and columns of patches.
* `mm_token_type_ids`: int, (rows, length): 1 for the tokens of a film.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from PIL import Image, ImageOps
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as native25
from transformers.models.qwen2_5_vl import processing_qwen2_5_vl as native25_text
from transformers.models.qwen3_vl import modeling_qwen3_vl as native3
from transformers.models.qwen3_vl import processing_qwen3_vl as native3_text

from chexphi.models.families import family, film_features, processor

MAX_RATIO = 200
"""The largest ratio of a film's sides (`smart_resize` of the native image processor)."""


class _Tower(film_features.Tower):
    """Reads each distinct film once; the merging of patches into tokens is part of it."""

    def read_films(
        self, encode: Callable[..., Tensor], hidden_states: Tensor, grid_thw: Tensor, **kwargs: Any
    ) -> Tensor:
        """Features of all films, (..., tokens, width).

        Args:
            encode: The native forward: features (..., tokens, width) for patches and grids of films.
            hidden_states: Patches of all films, (patches, values).
            grid_thw: int (films, 3).
            kwargs: Further arguments of `encode`.
        """
        patches, grids = hidden_states.split(grid_thw.prod(1).tolist()), grid_thw.split(1)

        def encode_films(numbers: list[int]) -> Sequence[Tensor]:
            with self.encoding():
                film_grids = film_features.select_rows(grid_thw, numbers)
                pixels = hidden_states
                if len(numbers) < len(grids):
                    pixels = torch.cat([patches[number] for number in numbers])
                tokens = film_grids.prod(1) // self.spatial_merge_size**2  # type: ignore[attr-defined]
                return encode(pixels, film_grids, **kwargs).split(tokens.tolist(), dim=-2)

        return torch.cat(list(self.read([patches, grids], encode_films)), dim=-2)


class Qwen2_5_VisionTransformerPretrainedModel(  # noqa: N801
    _Tower, native25.Qwen2_5_VisionTransformerPretrainedModel
):
    """The native tower, which reads each distinct film once."""

    def forward(self, hidden_states: Tensor, grid_thw: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """Patches (patches, values) and grids (films, 3) -> `pooler_output` (tokens, width)."""
        native = super().forward
        features = self.read_films(
            lambda *films, **settings: native(*films, **settings).pooler_output,
            hidden_states,
            grid_thw,
            **kwargs,
        )
        return BaseModelOutputWithPooling(pooler_output=features)


class Qwen3VLVisionModel(_Tower, native3.Qwen3VLVisionModel):
    """The native tower, which reads each distinct film once, with the features of its inner layers."""

    def forward(
        self, hidden_states: Tensor, grid_thw: Tensor, **kwargs: Any
    ) -> native3.BaseModelOutputWithDeepstackFeatures:
        """Patches (patches, values), grids (films, 3) -> features (tokens, width), also of inner layers."""
        native = super().forward

        def encode(*films: Tensor, **settings: Any) -> Tensor:
            output = native(*films, **settings)
            return torch.stack([output.pooler_output, *output.deepstack_features])

        features, *deepstack = self.read_films(encode, hidden_states, grid_thw, **kwargs)
        return native3.BaseModelOutputWithDeepstackFeatures(
            pooler_output=features, deepstack_features=deepstack
        )


class _Qwen(family.PolicyModel):
    vision_model: ClassVar[type[Any]]
    """Class of the tower."""
    lora_targets = family.LAYERS
    end_tokens = ("<|im_end|>", "<|endoftext|>")
    film_inputs = ("pixel_values", "image_grid_thw")

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model.visual = self.vision_model._from_config(config.vision_config)
        self.post_init()

    @property
    def tower(self) -> film_features.Tower:
        """The module that reads films."""
        return self.model.visual

    @property
    def placeholder_ids(self) -> list[int]:
        """The tokens of images and videos, and those before and after one."""
        config = self.config
        delimiters = [config.vision_start_token_id, config.vision_end_token_id]
        return [config.image_token_id, config.video_token_id, *delimiters]

    def film_counts(self, input_ids: Tensor) -> list[int]:
        """How many films each prompt has (rows, length): the tokens that begin a film are counted."""
        return (input_ids == self.config.vision_start_token_id).sum(1).tolist()

    def single_films(self, inputs: Mapping[str, Any]) -> dict[str, Sequence[Tensor]]:
        """The patches and the grid of each film."""
        grids = inputs.get("image_grid_thw")
        if grids is None:
            return {}
        patches = inputs["pixel_values"].split(grids.prod(1).tolist())
        return {"pixel_values": patches, "image_grid_thw": grids.split(1)}

    def prompt_positions(self, inputs: dict[str, Tensor]) -> Tensor:
        """int (3, rows, length): time, height, width."""
        names = ("input_ids", "mm_token_type_ids", "image_grid_thw", "attention_mask")
        positions, _ = self.model.get_rope_index(**{name: inputs[name] for name in names if name in inputs})
        return positions

    def row_positions(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """As in `prompt_positions` if the batch has films; without any, padding has positions as well."""
        if {"image_grid_thw", "mm_token_type_ids"} <= inputs.keys():
            return self.prompt_positions(dict(inputs))
        return super().row_positions(inputs)


class Qwen2_5_VLForConditionalGeneration(_Qwen, native25.Qwen2_5_VLForConditionalGeneration):  # noqa: N801
    """The native model as a policy."""

    vision_model = Qwen2_5_VisionTransformerPretrainedModel


class Qwen3VLForConditionalGeneration(_Qwen, native3.Qwen3VLForConditionalGeneration):
    """The native model as a policy."""

    vision_model = Qwen3VLVisionModel


def with_margin(film: Image.Image, max_pixels: int) -> Image.Image:
    """The film with a white margin if one side is over 200 times the other, which is refused natively.

    The margin is at the right or the bottom and counts as film, as in Phi-4. A film that is later scaled down
    to `max_pixels` is scaled down first: otherwise a film of 1 x 1,000,000 pixels would get a margin of 5 GB.
    """
    if max(film.size) <= MAX_RATIO * min(film.size):
        return film
    scale = min(1.0, math.sqrt(MAX_RATIO * max_pixels) / max(film.size))
    if scale < 1:
        width, height = (max(1, int(side * scale)) for side in film.size)
        film = film.resize((width, height))
    minimum = math.ceil(max(film.size) / MAX_RATIO)
    right, bottom = (max(0, minimum - side) for side in film.size)
    return ImageOps.expand(film, (0, 0, right, bottom), fill="white")


class _AnyRatio:
    """A base class of processors, before the native class: it takes films of any shape."""

    if TYPE_CHECKING:  # the native class's
        image_processor: Any

    def _process_images(self, images: Any, **kwargs: Any) -> Any:
        size = kwargs.get("size") or self.image_processor.size
        films = [with_margin(film, size["longest_edge"]) for film in images]
        return super()._process_images(films, **kwargs)  # type: ignore[misc]


class Qwen2_5_VLProcessor(  # noqa: N801
    processor.PolicyProcessor, _AnyRatio, native25_text.Qwen2_5_VLProcessor
):
    """The native processor as a policy's."""

    film_settings = ("size",)


class Qwen3VLProcessor(processor.PolicyProcessor, _AnyRatio, native3_text.Qwen3VLProcessor):
    """The native processor as a policy's."""

    film_settings = ("size",)


def load_2_5(folder: Path | str, **settings: Any) -> tuple[Any, Any]:
    """Qwen2.5-VL and its processor, by `family.load` with these settings."""
    return family.load(Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor, folder, **settings)


def load_3(folder: Path | str, **settings: Any) -> tuple[Any, Any]:
    """Qwen3-VL and its processor, by `family.load` with these settings."""
    return family.load(Qwen3VLForConditionalGeneration, Qwen3VLProcessor, folder, **settings)
