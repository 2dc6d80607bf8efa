"""The sizes of a training step that its memory depends on, and a dry run of its films into the prompts.

How a vision tower's output goes into the prompt depends on data: for the dry run it is written out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chexphi.models import adapter


@dataclass(frozen=True, slots=True)
class StepShape:
    """The sizes of one training step that memory depends on; all prompts have the same length."""

    rows: int
    """Of a micro-batch."""
    generation_rows: int
    """Of a generation batch, or of the micro-batch where nothing is generated; their films are in memory."""
    group: int
    """Rows that share a prompt and its films."""
    prompt: int
    """Tokens, films included."""
    completion: int
    films: int
    """Of each prompt."""
    crops: int
    """Of a film, the whole film included."""
    film_tokens: int
    checkpointing: bool
    autocast: bool
    """Whether matrix products are in bf16, as with `bf16: true`."""
    accumulating: bool
    """Whether gradients of an earlier micro-batch exist."""
    shares_prompts: bool
    """Whether the completions of a prompt share one pass over it."""
    generates: bool
    """Whether the step generates its completions; a frozen tower's features are then kept for training."""
    gpu: bool = True
    """Without a GPU, TRL's fused head goes over all tokens and folds its tiles in several copies."""


def pixel_bytes(model: Any, step: StepShape) -> int:
    """Bytes of the pixels that are in memory from generation to the last micro-batch."""
    pixels = pixels_of(model, step)
    return 0 if pixels is None else pixels.nbytes


def feature_bytes(model: Any, step: StepShape) -> int:
    """Bytes of films' features that are in memory from generation to the last micro-batch."""
    image_embed = causal_and_backbone(model)[0].tower
    if not step.generates or image_embed.learns:
        return 0
    values = image_embed.num_img_tokens * image_embed.image_dim_out
    return _distinct(step, step.generation_rows) * values * image_embed.img_projection_up.weight.itemsize


def _distinct(step: StepShape, rows: int) -> int:
    """Crops of these rows that differ: the only tile of a film is the film, and a group shares its films."""
    prompts = min(rows, max(1, step.generation_rows // step.group))
    return prompts * step.films * (1 if step.crops == 2 else step.crops)


def pixels_of(model: Any, step: StepShape) -> Tensor | None:
    """Pixels of all films of a generation batch, (films, crops, 3, side, side); None without films."""
    side = causal_and_backbone(model)[0].config.vision_config.crop_size
    return torch.empty(step.generation_rows * step.films, step.crops, 3, side, side) if step.films else None


def of_rows(pixels: Tensor | None, rows: int, step: StepShape) -> Tensor | None:
    """The films of this many distinct prompts, out of those of all rows, (films, crops, 3, side, side)."""
    if pixels is None or rows * step.films == len(pixels):
        return pixels
    return pixels[torch.zeros(rows * step.films, dtype=torch.long)]


def embeds_of(
    model: Any, step: StepShape, pixels: Tensor | None, rows: int, length: int, *, from_cache: bool
) -> Tensor:
    """Embeddings of all tokens, those of films from the vision tower, (rows, length, hidden).

    Args:
        model: As `blank_model.blank_policy` returns it.
        step: The sizes of the step.
        pixels: Of the rows' films, (films, crops, 3, side, side).
        rows: Of the batch.
        length: Of a row in tokens.
        from_cache: Whether films' features were computed before, so that the vision tower does not run.
    """
    _, backbone = causal_and_backbone(model)
    embeds: Tensor = backbone.embed_tokens(torch.zeros(rows, length, dtype=torch.long))
    if pixels is None:
        return embeds
    image_embed = backbone.embed_tokens_extend.image_embed
    features = _features(image_embed, pixels[: rows * step.films], step, from_cache=from_cache)
    positions = torch.zeros(len(features), dtype=torch.long)
    return embeds.index_put((positions, positions), features.to(embeds.dtype))


def _features(image_embed: Any, pixels: Tensor, step: StepShape, *, from_cache: bool) -> Tensor:
    """Features of films (films, crops, 3, side, side) as the language layers take them, (tokens, hidden)."""
    crops = pixels.to(image_embed.img_projection_up.weight.dtype).flatten(0, 1)
    if from_cache:
        size = (len(crops), image_embed.num_img_tokens, image_embed.image_dim_out)
        features = crops.new_empty(size)
    else:
        encoded_index = torch.zeros(len(crops), dtype=torch.long)
        distinct = _distinct(step, len(pixels) // step.films)
        distinct_crops = crops if distinct == len(crops) else crops[encoded_index[:distinct]]
        side = crops.shape[-1] // image_embed.config.vision_config.patch_size
        mask = torch.ones(len(distinct_crops), side, side, dtype=torch.bool)
        features = image_embed.encode(distinct_crops, mask)[encoded_index]
    films = features.view(len(pixels), step.crops, *features.shape[1:])
    token_index = torch.zeros(step.film_tokens, dtype=torch.long)
    # each film's tokens in one row: tiles without padding, separators, the whole film
    film_rows = [film[token_index, token_index][None] for film in films]
    up, down = image_embed.img_projection_up, image_embed.img_projection_down
    projected = [down(torch.nn.functional.gelu(up(row))) for row in film_rows]
    return torch.cat(projected, dim=1)[0]


def causal_and_backbone(model: Any) -> tuple[Any, Any]:
    """The causal model and its backbone."""
    causal = adapter.unwrapped(model)
    return causal, causal.model
