"""The processor of Phi-4-multimodal in the names that TRL uses; `phi4` describes the tensors."""

from __future__ import annotations

import logging
import math
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2
from transformers.feature_extraction_utils import BatchFeature
from transformers.models.phi4_multimodal import image_processing_phi4_multimodal as native_image
from transformers.models.phi4_multimodal import processing_phi4_multimodal as native_text

from chexphi.model_folder import COMPLETE
from chexphi.models.families.processor import FilmsOnce
from chexphi.models.film_sizes import MAX_CROPS, check_crops

logger = logging.getLogger(__name__)

# The original's prompt. `<|` in a message's text is broken up, so that no text can act as a control token.
CHAT_TEMPLATE = (
    "{%- set films = namespace(n=0) -%}"
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>\n' -}}"
    "{%- if message['content'] is string -%}"
    "{{- message['content'] | replace('<|', '< |') -}}"
    "{%- else -%}"
    "{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}"
    "{%- set films.n = films.n + 1 -%}"
    "{{- '<|image_' ~ films.n ~ '|>\n' -}}"
    "{%- elif part['type'] == 'text' -%}"
    "{{- part['text'] | replace('<|', '< |') -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- endif -%}"
    "{{- '<|end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>\n' -}}{%- else -%}{{- eos_token -}}{%- endif -%}"
)
_PLACEHOLDER = re.compile(r"<\|image_\d+\|>")


class Phi4MultimodalImageProcessor(native_image.Phi4MultimodalImageProcessor):
    """The native image processor with TRL's names, and with token counts for any crop and patch size."""

    model_input_names = ["pixel_values", "image_sizes"]  # noqa: RUF012 - the library's own form

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_crops(self.dynamic_hd)

    def dynamic_preprocess(
        self, image: Tensor, image_size: int, *args: Any, max_num: int = MAX_CROPS, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """As the native method, but a film that is too narrow for it gets a white margin.

        Natively a film of less than 10 px after resizing is refused. White is the colour of all padding; the
        margin counts as film. Crops have at least 20 px.
        """
        try:
            return super().dynamic_preprocess(image, image_size, *args, max_num=max_num, **kwargs)
        except ValueError:
            scale = min(1.0, max_num * image_size / max(image.shape[-2:]))
            height, width = (max(1, int(side * scale)) for side in image.shape[-2:])
            longer = max(height, width)
            minimum = 10 * longer // (math.ceil(longer / image_size) * image_size) + 1
            margins = [0, 0, max(0, minimum - width), max(0, minimum - height)]
            image = v2.functional.resize(image, [height, width])
            image = v2.functional.pad(image, margins, fill=[255, 255, 255])
        return super().dynamic_preprocess(image, image_size, *args, max_num=max_num, **kwargs)

    def _preprocess(self, images: list[Tensor], **kwargs: Any) -> BatchFeature:
        """uint8 (3, height, width) each -> `pixel_values` and `image_sizes`, and `num_img_tokens`."""
        size, patch_size = kwargs["size"].height, kwargs["patch_size"]
        if all(image.shape[-2:] == (size, size) for image in images):
            return self._one_crop(torch.stack(images), **kwargs)
        features = super()._preprocess(images, **{**kwargs, "return_tensors": None})
        mask, sizes = features["image_attention_mask"], features["image_sizes"]
        side = size // patch_size
        extents = [
            self._extent(mask[i, 1:], int(height) // size, int(width) // size)
            for i, (height, width) in enumerate(sizes.tolist())
        ]
        sizes = torch.cat([sizes, torch.tensor(extents)], dim=1)
        return self._features(features["image_pixel_values"], sizes, side, kwargs["return_tensors"])

    def _one_crop(self, images: Tensor, **kwargs: Any) -> BatchFeature:
        """As `_preprocess`, for films (films, 3, size, size) of exactly one crop, without resizing."""
        names = ("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")
        pixels = self.rescale_and_normalize(images, **{name: kwargs[name] for name in names})
        pixel, side = images.shape[-1], images.shape[-1] // kwargs["patch_size"]
        sizes = torch.tensor([[pixel, pixel, side, side]]).repeat(len(images), 1)
        return self._features(pixels[:, None].repeat(1, 2, 1, 1, 1), sizes, side, kwargs["return_tensors"])

    @staticmethod
    def _extent(tiles: Tensor, down: int, across: int) -> list[int]:
        """Rows and columns of patches that are film, in a mask (tiles, side, side) of down x across tiles."""
        side = tiles.shape[-1]
        film_mask = tiles[: down * across].reshape(down, across, side, side).transpose(1, 2)
        film_mask = film_mask.reshape(down * side, across * side)
        return [int(film_mask[:, 0].sum()), int(film_mask[0].sum())]

    @staticmethod
    def _features(pixels: Tensor, sizes: Tensor, side: int, tensors: Any) -> BatchFeature:
        half = (side + 1) // 2
        tokens = []
        for rows, columns in sizes[:, 2:].tolist():
            h, w = (sum((min(n - t, side) + 1) // 2 for t in range(0, n, side)) for n in (rows, columns))
            tokens.append(h * w + h + 1 + half * half + half)
        data = {"pixel_values": pixels, "image_sizes": sizes, "num_img_tokens": tokens}
        return BatchFeature(data=data, tensor_type=tensors)


def set_crops(
    image_processor: Phi4MultimodalImageProcessor,
    dynamic_hd: int | None,
    folder: Path,
    *,
    learning: bool = False,
) -> None:
    """Set `dynamic_hd` unless it is None; warn if the policy in the folder knows films in other crops.

    A base model that is trained for the first time (`learning`) learns the new crops, without a warning.
    """
    of_folder = image_processor.dynamic_hd
    if dynamic_hd is None or dynamic_hd == of_folder:
        return
    image_processor.dynamic_hd = dynamic_hd
    if not learning:
        logger.warning(
            "dynamic_hd is %d here and %d in %s: evaluate a policy as it was trained",
            dynamic_hd, of_folder, folder,
        )  # fmt: skip
    elif (folder / COMPLETE).is_file():
        logger.warning(
            "dynamic_hd is %d here, and %s was trained with %d: from now on it learns films in other crops",
            dynamic_hd, folder, of_folder,
        )  # fmt: skip


class Phi4MultimodalProcessor(FilmsOnce, native_text.Phi4MultimodalProcessor):
    """The native processor with the image processor above, the original's prompt, and rows without films."""

    film_settings = ("dynamic_hd",)

    def __init__(self, image_processor: Any, audio_processor: Any, tokenizer: Any, **kwargs: Any) -> None:
        if not isinstance(image_processor, Phi4MultimodalImageProcessor):
            image_processor = Phi4MultimodalImageProcessor(**image_processor.to_dict())
        tokenizer.padding_side = "left"
        super().__init__(image_processor, audio_processor, tokenizer, **kwargs)
        self.chat_template = CHAT_TEMPLATE

    def prepare_inputs_layout(self, images: Any = None, text: Any = None, **kwargs: Any) -> Any:
        """As the native method, with placeholders without numbers, and all films in one list.

        A row may have several films, `[]` or None.
        """
        if text is not None:
            rows = [text] if isinstance(text, str) else text
            text = [_PLACEHOLDER.sub(self.image_token, row) for row in rows]
        if isinstance(images, list | tuple):
            nested = [image if isinstance(image, list | tuple) else [image] for image in images]
            images = [image for row in nested for image in row if image is not None] or None
        return super().prepare_inputs_layout(images=images, text=text, **kwargs)
