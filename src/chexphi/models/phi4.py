"""Phi-4-multimodal in the names that TRL uses.

The native classes of transformers call their inputs `image_pixel_values` and `image_attention_mask`; TRL's
trainers carry `pixel_values` and `image_sizes`, and slice both by image. The subclasses here rename, and
replace the mask by two more columns of `image_sizes` from which the model builds it again:

* `pixel_values`: float, (images, crops, 3, size, size); crop 0 is the whole film, the others its tiles.
* `image_sizes`: int, (images, 4): height and width of the tiled film in pixels, then the rows and columns of
  patches that hold film and not padding.

The subclasses keep the native names, so that what they save opens in plain transformers as well.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers.feature_extraction_utils import BatchFeature
from transformers.models.phi4_multimodal import image_processing_phi4_multimodal as native_image
from transformers.models.phi4_multimodal import modeling_phi4_multimodal as native
from transformers.models.phi4_multimodal import processing_phi4_multimodal as native_text

from chexphi.schema import InputError

# The original's prompt. `<|` of a message's own text is broken up: no text can pass for a control token.
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


def _distinct(crops: Tensor, mask: Tensor) -> tuple[Tensor, Tensor] | None:
    """Indices of the distinct crops and, for every crop, its place among them; None if all differ.

    Equal crops are found by a sample of their pixels and then compared in full.
    """
    flat = crops.flatten(1)
    sample = torch.cat([flat[:, :: max(1, flat.shape[1] // 256)].float(), mask.flatten(1).float()], dim=1)
    seen: dict[bytes, int] = {}
    first: list[int] = []
    place: list[int] = []
    for i, row in enumerate(sample.cpu().numpy()):
        place.append(seen.setdefault(row.tobytes(), len(seen)))
        if place[-1] == len(first):
            first.append(i)
    if len(first) == len(place):
        return None
    kept, inverse = torch.tensor(first, device=crops.device), torch.tensor(place, device=crops.device)
    if not torch.equal(flat, flat[kept[inverse]]):
        return None
    return kept, inverse


class _ImageEmbedding(native.Phi4MultimodalImageEmbedding):
    """Encodes each distinct crop of a batch once.

    A film no larger than one crop arrives twice (whole film and only tile), and each film of a GRPO batch as
    often as its prompt has completions. Attention between patches runs both ways, as in the original: natively
    SDPA takes it for causal whenever no patch of a batch is padding, so that a film's features depend on the
    films beside it.
    """

    def __init__(self, config: native.Phi4MultimodalConfig) -> None:
        super().__init__(config)
        for layer in self.img_processor.encoder.layers:
            layer.self_attn.is_causal = False

    def get_img_features(self, img_embeds: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """(crops, 3, size, size) and bool (crops, side, side) -> (crops, tokens, width)."""
        dropout = self.training and self.config.vision_config.attention_dropout > 0
        distinct = None if attention_mask is None or dropout else _distinct(img_embeds, attention_mask)
        if distinct is None or attention_mask is None:
            return super().get_img_features(img_embeds, attention_mask)
        kept, inverse = distinct
        return super().get_img_features(img_embeds[kept], attention_mask[kept])[inverse]


class Phi4MultimodalModel(native.Phi4MultimodalModel):
    """The native backbone under TRL's input names."""

    def __init__(self, config: native.Phi4MultimodalConfig) -> None:
        super().__init__(config)
        self.embed_tokens_extend.image_embed = _ImageEmbedding(config)
        self.post_init()

    def forward(  # type: ignore[override]
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_sizes: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """As the native forward; `pixel_values` and `image_sizes` as the module says, without rows for none."""
        if pixel_values is not None and image_sizes is not None and len(pixel_values):
            vision = self.config.vision_config
            size, patch_size = vision.crop_size, vision.patch_size
            mask = extent_mask(image_sizes, pixel_values.shape[1], size=size, patch_size=patch_size)
            kwargs |= {
                "image_pixel_values": pixel_values,
                "image_sizes": image_sizes[:, :2],
                "image_attention_mask": mask,
            }
        return super().forward(input_ids=input_ids, attention_mask=attention_mask, **kwargs)


class Phi4MultimodalForCausalLM(native.Phi4MultimodalForCausalLM):
    """The native language model under TRL's input names; never samples the image or audio token."""

    def __init__(self, config: native.Phi4MultimodalConfig) -> None:
        super().__init__(config)
        config.image_token_id = config.vision_config.image_token_id  # TRL reads it here
        self.model = Phi4MultimodalModel(config)
        self.post_init()

    @property
    def placeholder_ids(self) -> list[int]:
        """The ids that stand for image and audio features in a prompt."""
        return [self.config.vision_config.image_token_id, self.config.audio_config.audio_token_id]

    def forward(  # type: ignore[override]
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_sizes: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """As the native forward, with the backbone's inputs; it must name them, for `generate` reads the names."""
        return super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            pixel_values=pixel_values,
            image_sizes=image_sizes,
            **kwargs,
        )

    def generate(self, *args: Any, generation_config: Any = None, **kwargs: Any) -> Any:
        """As the native method, with the placeholders suppressed whatever the configuration says."""
        asked = kwargs.pop("suppress_tokens", None) or getattr(generation_config, "suppress_tokens", None) or ()
        suppress = sorted({*asked, *self.placeholder_ids})
        if generation_config is None:
            kwargs["suppress_tokens"] = suppress
        else:
            generation_config = copy.deepcopy(generation_config)
            generation_config.suppress_tokens = suppress
        return super().generate(*args, generation_config=generation_config, **kwargs)


class Phi4MultimodalImageProcessor(native_image.Phi4MultimodalImageProcessor):
    """The native image processor under TRL's names, with token counts for any crop and patch size."""

    model_input_names = ["pixel_values", "image_sizes"]  # noqa: RUF012 - the library's own form

    def _preprocess(self, images: list[Tensor], **kwargs: Any) -> BatchFeature:
        """uint8 (3, height, width) each -> the module's `pixel_values` and `image_sizes`, and `num_img_tokens`."""
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
        """The same for films of exactly one crop, all at once: nothing to resize, pad or cut."""
        names = ("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")
        pixels = self.rescale_and_normalize(images, **{name: kwargs[name] for name in names})
        pixel, side = images.shape[-1], images.shape[-1] // kwargs["patch_size"]
        sizes = torch.tensor([[pixel, pixel, side, side]]).repeat(len(images), 1)
        return self._features(pixels[:, None].repeat(1, 2, 1, 1, 1), sizes, side, kwargs["return_tensors"])

    @staticmethod
    def _extent(tiles: Tensor, down: int, across: int) -> list[int]:
        """Rows and columns of patches with film in a (tiles, side, side) mask of down x across tiles."""
        side = tiles.shape[-1]
        whole = tiles[: down * across].reshape(down, across, side, side).transpose(1, 2)
        whole = whole.reshape(down * side, across * side)
        return [int(whole[:, 0].sum()), int(whole[0].sum())]

    @staticmethod
    def _features(pixels: Tensor, sizes: Tensor, side: int, tensors: Any) -> BatchFeature:
        half = (side + 1) // 2
        tokens = []
        for rows, columns in sizes[:, 2:].tolist():
            h, w = (sum((min(n - t, side) + 1) // 2 for t in range(0, n, side)) for n in (rows, columns))
            tokens.append(h * w + h + 1 + half * half + half)
        data = {"pixel_values": pixels, "image_sizes": sizes, "num_img_tokens": tokens}
        return BatchFeature(data=data, tensor_type=tensors)


class Phi4MultimodalProcessor(native_text.Phi4MultimodalProcessor):
    """The native processor with the image processor above, the original's prompt, and rows without films."""

    def __init__(self, image_processor: Any, audio_processor: Any, tokenizer: Any, **kwargs: Any) -> None:
        if not isinstance(image_processor, Phi4MultimodalImageProcessor):
            image_processor = Phi4MultimodalImageProcessor(**image_processor.to_dict())
        tokenizer.padding_side = "left"
        super().__init__(image_processor, audio_processor, tokenizer, **kwargs)
        self.chat_template = CHAT_TEMPLATE

    def prepare_inputs_layout(self, images: Any = None, text: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Number-free placeholders, and one flat list of films: a row may have several, `[]` or None."""
        if text is not None:
            rows = [text] if isinstance(text, str) else text
            text = [_PLACEHOLDER.sub(self.image_token, row) for row in rows]
        if isinstance(images, list | tuple):
            nested = [image if isinstance(image, list | tuple) else [image] for image in images]
            images = [image for row in nested for image in row if image is not None] or None
        return super().prepare_inputs_layout(images=images, text=text, **kwargs)


def load(
    folder: Path | str,
    *,
    dtype: str = "float32",
    attn_implementation: str = "sdpa",
    dynamic_hd: int | None = None,
) -> tuple[Phi4MultimodalForCausalLM, Phi4MultimodalProcessor]:
    """The model, in evaluation mode, and the processor of a folder with safetensors weights.

    Args:
        dtype: Name of a torch dtype.
        dynamic_hd: Most tiles a film is cut into; None keeps the folder's own setting.

    Raises:
        InputError: The folder holds no Phi-4-multimodal model, or not all of its weights.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} is not a model folder: it has no config.json.")
    try:
        model_type = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError) as error:
        raise InputError(f"{folder}/config.json is not a model's configuration: {error}.") from error
    if model_type != "phi4_multimodal":
        raise InputError(f"{folder} holds a model of type {model_type!r}; 'phi4_multimodal' is what is read.")
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"{folder} has no *.safetensors file; other weight formats are not read, convert them first.")
    try:
        model, info = Phi4MultimodalForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            attn_implementation=attn_implementation,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        processor = Phi4MultimodalProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{folder} cannot be read as a Phi-4-multimodal model: {error}") from error
    if info["missing_keys"]:
        raise InputError(f"{folder} lacks weights, the first of them {min(info['missing_keys'])!r}.")
    if dynamic_hd is not None:
        processor.image_processor.dynamic_hd = dynamic_hd
    return cast(Phi4MultimodalForCausalLM, model.eval()), processor
