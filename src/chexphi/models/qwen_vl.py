"""Qwen2.5-VL and Qwen3-VL.

A film is cut into patches at its own size, within a least and a greatest number of pixels (`size` of the
image processor). Positions are three-dimensional inside a film; what follows is counted from its longer side.

* `pixel_values`: float, (patches of all images, channels * 2 * patch * patch).
* `image_grid_thw`: int, (images, 3): 1, then rows and columns of patches.
* `mm_token_type_ids`: int, (rows, length): 1 where a film's features go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as native25
from transformers.models.qwen2_5_vl import processing_qwen2_5_vl as native25_text
from transformers.models.qwen3_vl import modeling_qwen3_vl as native3
from transformers.models.qwen3_vl import processing_qwen3_vl as native3_text

from chexphi.models import family, processor


class _Qwen(family.PolicyModel):
    lora_targets = family.LAYERS
    end_tokens = ("<|im_end|>", "<|endoftext|>")
    film_inputs = ("pixel_values", "image_grid_thw")

    @property
    def placeholder_ids(self) -> list[int]:
        """Image, video, and what stands around them."""
        config = self.config
        around = [config.vision_start_token_id, config.vision_end_token_id]
        return [config.image_token_id, config.video_token_id, *around]

    def film_counts(self, input_ids: Tensor) -> list[int]:
        """Films of each prompt (rows, length), by what stands before one."""
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
        """As in `prompt_positions` beside films; without any in the batch, padding counts as well."""
        if {"image_grid_thw", "mm_token_type_ids"} <= inputs.keys():
            return self.prompt_positions(dict(inputs))
        return super().row_positions(inputs)


class Qwen2_5_VLForConditionalGeneration(_Qwen, native25.Qwen2_5_VLForConditionalGeneration):  # noqa: N801
    """The native model as a policy."""


class Qwen3VLForConditionalGeneration(_Qwen, native3.Qwen3VLForConditionalGeneration):
    """The native model as a policy."""


class Qwen2_5_VLProcessor(processor.PolicyProcessor, native25_text.Qwen2_5_VLProcessor):  # noqa: N801
    """The native processor as a policy's."""

    film_settings = ("size",)


class Qwen3VLProcessor(processor.PolicyProcessor, native3_text.Qwen3VLProcessor):
    """The native processor as a policy's."""

    film_settings = ("size",)


def load_2_5(folder: Path | str, **settings: Any) -> tuple[Any, Any]:
    """As `family.load`."""
    return family.load(Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor, folder, **settings)


def load_3(folder: Path | str, **settings: Any) -> tuple[Any, Any]:
    """As `family.load`."""
    return family.load(Qwen3VLForConditionalGeneration, Qwen3VLProcessor, folder, **settings)
