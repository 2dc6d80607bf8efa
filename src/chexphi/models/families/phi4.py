"""Phi-4-multimodal in the names that TRL uses.

The native classes of transformers call their inputs `image_pixel_values` and `image_attention_mask`. TRL's
trainers pass `pixel_values` and `image_sizes`, and slice both by image. The subclasses here and in
`phi4_processor` rename the inputs. In place of the mask, `image_sizes` has two more columns, from which the
model builds the mask again:

* `pixel_values`: float, (images, crops, 3, size, size); crop 0 is the whole film, the others its tiles.
* `image_sizes`: int, (images, 4): height and width of the tiled film in pixels, then the rows and columns of
  patches that are film and not padding.

The subclasses keep the native names, so that transformers alone can open what they save.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.phi4_multimodal import modeling_phi4_multimodal as native

from chexphi.models import longrope
from chexphi.models.families import family, film_features
from chexphi.models.families.family import PolicyModel
from chexphi.models.families.phi4_processor import (
    Phi4MultimodalImageProcessor,
    Phi4MultimodalProcessor,
    set_crops,
)
from chexphi.models.film_sizes import check_crops
from chexphi.models.lora_names import TARGETS

__all__ = [
    "Phi4MultimodalForCausalLM",
    "Phi4MultimodalImageProcessor",
    "Phi4MultimodalModel",
    "Phi4MultimodalProcessor",
    "extent_mask",
    "load",
]


def extent_mask(image_sizes: Tensor, crops: int, *, size: int, patch_size: int) -> Tensor:
    """The patches of each crop that are film: bool (images, crops, side, side), side = size // patch_size.

    Args:
        image_sizes: int (images, 4), as the image processor returns it.
        crops: Crops an image in the batch; those beyond an image's own tiles count as film, as natively.
        size: Side of a crop in pixels.
        patch_size: Side of a patch in pixels.
    """
    side = size // patch_size
    down, across, rows, columns = (image_sizes[:, i, None] for i in range(4))
    down, across = down // size, across // size
    tile = torch.arange(crops, device=image_sizes.device)[None] - 1
    inside = (tile >= 0) & (tile < down * across)
    rows = torch.where(inside, rows - tile.div(across, rounding_mode="floor") * side, side)
    columns = torch.where(inside, columns - tile % across * side, side)
    index = torch.arange(side, device=image_sizes.device)
    return (index < rows[..., None])[..., :, None] & (index < columns[..., None])[..., None, :]


class _ImageEmbedding(film_features.Tower, native.Phi4MultimodalImageEmbedding):
    """Reads each distinct crop once.

    A film no larger than one crop comes twice (as the whole film and as its only tile), and each film of a
    GRPO batch once for each completion of its prompt. Attention between patches is bidirectional, as in the
    original. Natively SDPA makes it causal whenever no patch of a batch is padding: then a film's features
    depend on the other films of the batch.
    """

    def __init__(self, config: native.Phi4MultimodalConfig) -> None:
        super().__init__(config)
        for layer in self.img_processor.encoder.layers:
            layer.self_attn.is_causal = False

    @property
    def vision(self) -> nn.Module:
        """SigLIP, without the projector."""
        return self.img_processor

    def get_img_features(self, img_embeds: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """(crops, 3, size, size) and bool (crops, side, side) -> (crops, tokens, width)."""
        if attention_mask is None:
            return self.encode(img_embeds, None)

        def encode(numbers: list[int]) -> Sequence[Tensor]:
            crops = film_features.select_rows(img_embeds, numbers)
            return self.encode(crops, film_features.select_rows(attention_mask, numbers)).unbind()

        return torch.stack(list(self.read([img_embeds, attention_mask], encode)))

    def encode(self, crops: Tensor, mask: Tensor | None) -> Tensor:
        """Features of every crop: (crops, 3, size, size) and bool (crops, side, side), as natively."""
        with self.encoding():
            return super().get_img_features(crops, mask)


class Phi4MultimodalModel(native.Phi4MultimodalModel):
    """The native backbone with TRL's names of inputs."""

    def __init__(self, config: native.Phi4MultimodalConfig) -> None:
        super().__init__(config)
        self.embed_tokens_extend.image_embed = _ImageEmbedding(config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_sizes: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """As the native forward with other names; without films, `pixel_values` is None or has no rows."""
        if pixel_values is not None and image_sizes is not None and len(pixel_values):
            vision = self.config.vision_config
            size, patch_size = vision.crop_size, vision.patch_size
            mask = extent_mask(image_sizes, pixel_values.shape[1], size=size, patch_size=patch_size)
            kwargs |= {
                "image_pixel_values": pixel_values,
                "image_sizes": image_sizes[:, :2],
                "image_attention_mask": mask,
            }
        longrope.watch(self.config, attention_mask, kwargs.get("position_ids"))
        return super().forward(input_ids=input_ids, attention_mask=attention_mask, **kwargs)


class Phi4MultimodalForCausalLM(PolicyModel, native.Phi4MultimodalForCausalLM):
    """The native language model with TRL's names of inputs."""

    lora_targets = TARGETS
    end_tokens = ("<|end|>", "<|endoftext|>")
    film_inputs = ("pixel_values", "image_sizes")
    gathered_together = (native.Phi4MultimodalFeatureEmbedding,)

    def __init__(self, config: native.Phi4MultimodalConfig) -> None:
        super().__init__(config)
        config.image_token_id = config.vision_config.image_token_id  # TRL reads it here
        self.model = Phi4MultimodalModel(config)
        self.post_init()

    @property
    def tower(self) -> film_features.Tower:
        """The module that reads crops."""
        return self.model.embed_tokens_extend.image_embed

    @property
    def placeholder_ids(self) -> list[int]:
        """The ids that stand for image and audio features in a prompt."""
        return [self.config.vision_config.image_token_id, self.config.audio_config.audio_token_id]

    def film_counts(self, input_ids: Tensor) -> list[int]:
        """How many films each prompt has (rows, length): text separates them."""
        tokens = input_ids == self.config.image_token_id
        film_starts = tokens & ~nn.functional.pad(tokens, (1, 0))[:, :-1]
        return film_starts.sum(1).tolist()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_sizes: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> Any:
        """As the native forward; the parameters are those that `generate` looks for by name.

        These are the films' inputs, and `logits_to_keep`: without it `generate` computes the logits of whole
        prompts.
        """
        return super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            pixel_values=pixel_values,
            image_sizes=image_sizes,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )


def load(
    folder: Path | str, *, dynamic_hd: int | None = None, learning: bool = False, **settings: Any
) -> tuple[Phi4MultimodalForCausalLM, Phi4MultimodalProcessor]:
    """Phi-4-multimodal and its processor, by `family.load`.

    Args:
        folder: Of the weights.
        dynamic_hd: The most tiles a film is cut into; None keeps the folder's own setting.
        learning: Whether the policy is going to be trained.
        settings: For `family.load`.

    Raises:
        InputError: As in `family.load`, and if `dynamic_hd` is not a number of crops.
    """
    if dynamic_hd is not None:
        check_crops(dynamic_hd)
    model, processor = family.load(Phi4MultimodalForCausalLM, Phi4MultimodalProcessor, folder, **settings)
    own_folder = settings.get("processor_folder") or Path(folder)
    set_crops(processor.image_processor, dynamic_hd, own_folder, learning=learning)
    return model, processor
