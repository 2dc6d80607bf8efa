"""Gemma 3, MedGemma included.

Every film is resized to one square and has the same number of tokens, with bidirectional attention between
them. The language layers see a window of the tokens before; every sixth layer sees all of them.

* `pixel_values`: float, (images, 3, size, size).
* `token_type_ids`: int, (rows, length): 1 for the tokens of a film.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.gemma3 import modeling_gemma3 as native
from transformers.models.gemma3 import processing_gemma3 as native_text
from transformers.models.siglip import modeling_siglip as siglip

from chexphi.models.families import family, film_features, processor
from chexphi.schema import InputError


class SiglipVisionModel(film_features.Tower, siglip.SiglipVisionModel):
    """The native tower, which reads each distinct film once."""

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """(films, 3, size, size) -> `last_hidden_state` (films, tokens, width)."""

        def encode(numbers: list[int]) -> Sequence[Tensor]:
            with self.encoding():
                forward = super(SiglipVisionModel, self).forward
                films = film_features.select_rows(pixel_values, numbers)
                return forward(films, **kwargs).last_hidden_state.unbind()

        features = torch.stack(list(self.read([pixel_values], encode)))
        return BaseModelOutputWithPooling(last_hidden_state=features)


class Gemma3ForConditionalGeneration(family.PolicyModel, native.Gemma3ForConditionalGeneration):
    """The native model as a policy."""

    lora_targets = family.LAYERS
    end_tokens = ("<end_of_turn>", "<eos>")
    film_inputs = ("pixel_values",)

    def __init__(self, config: native.Gemma3Config) -> None:
        super().__init__(config)
        self.model.vision_tower = SiglipVisionModel._from_config(config.vision_config)
        self.post_init()

    @property
    def tower(self) -> film_features.Tower:
        """The module that reads films, without the projector."""
        return self.model.vision_tower

    @property
    def placeholder_ids(self) -> list[int]:
        """The tokens of an image, and those before and after one."""
        config = self.config
        return [config.image_token_id, config.boi_token_id, config.eoi_token_id]

    def film_counts(self, input_ids: Tensor) -> list[int]:
        """How many films each prompt has (rows, length): the tokens that begin a film are counted."""
        return (input_ids == self.config.boi_token_id).sum(1).tolist()

    def both_ways(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """bool (rows, length, length): the pairs of tokens of the same film; None without films."""
        types = inputs.get("token_type_ids")
        if types is None:
            return None
        film = native.get_block_sequence_ids_for_mask(types)
        return (film[:, :, None] == film[:, None]) & (film >= 0)[:, None]


class Gemma3Processor(processor.PolicyProcessor, native_text.Gemma3Processor):
    """The native processor as a policy's."""

    film_settings = ("size",)


def load(folder: Path | str, **settings: Any) -> tuple[Any, Any]:
    """Gemma 3 and its processor, by `family.load` with these settings.

    Raises:
        InputError: As in `family.load`, and if films get crops as well, which TRL would count as films.
    """
    model, gemma = family.load(Gemma3ForConditionalGeneration, Gemma3Processor, folder, **settings)
    if gemma.image_processor.do_pan_and_scan:
        raise InputError(f"{folder} has do_pan_and_scan in its preprocessor_config.json: set it to false")
    return model, gemma
