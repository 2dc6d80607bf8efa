"""Phi-4-multimodal in the names that TRL uses.

The native classes of transformers call their inputs `image_pixel_values` and `image_attention_mask`; TRL's
trainers carry `pixel_values` and `image_sizes`, and slice both by image. The subclasses here and in
`phi4_processor` rename, and replace the mask by two more columns of `image_sizes` from which the model builds
it again:

* `pixel_values`: float, (images, crops, 3, size, size); crop 0 is the whole film, the others its tiles.
* `image_sizes`: int, (images, 4): height and width of the tiled film in pixels, then the rows and columns of
  patches that hold film and not padding.

The subclasses keep the native names, so that what they save opens in plain transformers as well.
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
    check_crops,
    set_crops,
)
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
    """Which patches of each crop hold film: bool (images, crops, side, side), side = size // patch_size.

    Args:
        image_sizes: int (images, 4), as the image processor returns it.
        crops: Crops an image in the batch; those beyond an image's own tiles count as full, as natively.
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

    A film no larger than one crop arrives twice (whole film and only tile), and each film of a GRPO batch as
    often as its prompt has completions. Attention between patches runs both ways, as in the original;
    natively SDPA takes it for causal whenever no patch of a batch is padding, and a film's features depend on
    the films beside it.
    """

    def __init__(self, config: native.Phi4MultimodalConfig) -> None:
        super().__init__(config)
        for layer in self.img_processor.encoder.layers:
            layer.self_attn.is_causal = False

    @property
    def vision(self) -> nn.Module:
        """SigLIP; the projector is no part of it."""
        return self.img_processor

    def get_img_features(self, img_embeds: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """(crops, 3, size, size) and bool (crops, side, side) -> (crops, tokens, width)."""
        if attention_mask is None:
            return self.encode(img_embeds, None)

        def encode(numbers: list[int]) -> Sequence[Tensor]:
            crops, mask = film_features.rows(img_embeds, numbers), film_features.rows(attention_mask, numbers)
            return self.encode(crops, mask).unbind()

        return torch.stack(list(self.read([img_embeds, attention_mask], encode)))

    def encode(self, crops: Tensor, mask: Tensor | None) -> Tensor:
        """The same for every crop given."""
        with self.encoding():
            return super().get_img_features(crops, mask)


class Phi4MultimodalModel(native.Phi4MultimodalModel):
    """The native backbone under TRL's input names."""

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
        """As the native forward; without films, `pixel_values` is None or has no rows."""
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
    """The native language model under TRL's input names."""

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
        """What reads crops."""
        return self.model.embed_tokens_extend.image_embed

    @property
    def placeholder_ids(self) -> list[int]:
        """The ids that stand for image and audio features in a prompt."""
        return [self.config.vision_config.image_token_id, self.config.audio_config.audio_token_id]

    def film_counts(self, input_ids: Tensor) -> list[int]:
        """Films of each prompt (rows, length): they are apart in it."""
        tokens = input_ids == self.config.image_token_id
        first = tokens & ~nn.functional.pad(tokens, (1, 0))[:, :-1]
        return first.sum(1).tolist()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_sizes: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> Any:
        """As the native forward; what `generate` looks for by name has a name here.

        That is the films' inputs, and `logits_to_keep`: else it would have the logits of whole prompts.
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
    folder: Path | str, *, dynamic_hd: int | None = None, **settings: Any
) -> tuple[Phi4MultimodalForCausalLM, Phi4MultimodalProcessor]:
    """As `family.load`; `dynamic_hd` is the most tiles a film is cut into, None the folder's own setting.

    Raises:
        InputError: As there, and if `dynamic_hd` is no number of crops.
    """
    if dynamic_hd is not None:
        check_crops(dynamic_hd)
    model, processor = family.load(Phi4MultimodalForCausalLM, Phi4MultimodalProcessor, folder, **settings)
    set_crops(processor.image_processor, dynamic_hd, settings.get("processor_folder") or Path(folder))
    return model, processor
