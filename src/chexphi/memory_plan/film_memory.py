"""A training step as far as its memory goes, and its films on the way into the prompts, in a dry run.

What a vision tower makes of films depends on data: the way from there into the prompt is written out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chexphi.models import adapter


@dataclass(frozen=True, slots=True)
class Work:
    """One step of training as far as memory goes; all prompts are of one length."""

    rows: int
    """Of a micro-batch."""
    held: int
    """Rows whose films are held as pixels: those of a generation batch, or of the micro-batch."""
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
    """bf16 for matrix products, as `bf16: true` does."""
    accumulating: bool
    """Gradients of an earlier micro-batch are there."""
    shared: bool
    """Whether the completions of a prompt share its pass."""
    generates: bool
    """Whether generation comes before; a frozen tower's features are kept from there on."""
    gpu: bool = True
    """Off a GPU, TRL's fused head goes over all tokens and folds its tiles in several copies."""


def held_pixels(model: Any, work: Work) -> int:
    """Bytes of the pixels that are held from generation to the last micro-batch."""
    pixels = pixels_of(model, work)
    return 0 if pixels is None else pixels.nbytes


def kept_features(model: Any, work: Work) -> int:
    """Bytes of films' features that are kept from generation to the last micro-batch."""
    image_embed = parts(model)[0].tower
    if not work.generates or image_embed.learns:
        return 0
    values = image_embed.num_img_tokens * image_embed.image_dim_out
    return _distinct(work, work.held) * values * image_embed.img_projection_up.weight.itemsize


def _distinct(work: Work, rows: int) -> int:
    """Crops of these rows that differ: a film of one tile is that tile, and a group shares its films."""
    prompts = min(rows, max(1, work.held // work.group))
    return prompts * work.films * (1 if work.crops == 2 else work.crops)


def pixels_of(model: Any, work: Work) -> Tensor | None:
    """Those of all held rows, (films, crops, 3, side, side)."""
    side = parts(model)[0].config.vision_config.crop_size
    return torch.empty(work.held * work.films, work.crops, 3, side, side) if work.films else None


def of_rows(pixels: Tensor | None, rows: int, work: Work) -> Tensor | None:
    """The films of distinct prompts, taken out of those of all rows."""
    if pixels is None or rows * work.films == len(pixels):
        return pixels
    return pixels[torch.zeros(rows * work.films, dtype=torch.long)]


def embeds_of(model: Any, work: Work, pixels: Tensor | None, rows: int, length: int, *, kept: bool) -> Tensor:
    """Embeddings of all tokens, those of films from the vision tower, (rows, length, hidden)."""
    _, backbone = parts(model)
    embeds: Tensor = backbone.embed_tokens(torch.zeros(rows, length, dtype=torch.long))
    if pixels is None:
        return embeds
    image_embed = backbone.embed_tokens_extend.image_embed
    read = _features(image_embed, pixels[: rows * work.films], work, kept=kept)
    places = torch.zeros(len(read), dtype=torch.long)
    return embeds.index_put((places, places), read.to(embeds.dtype))


def _features(image_embed: Any, pixels: Tensor, work: Work, *, kept: bool) -> Tensor:
    """Features of films (films, crops, 3, side, side) as the language layers take them, (tokens, hidden)."""
    crops = pixels.to(image_embed.img_projection_up.weight.dtype).flatten(0, 1)
    if kept:
        size = (len(crops), image_embed.num_img_tokens, image_embed.image_dim_out)
        read = crops.new_empty(size)
    else:
        place = torch.zeros(len(crops), dtype=torch.long)
        distinct = _distinct(work, len(pixels) // work.films)
        encoded = crops if distinct == len(crops) else crops[place[:distinct]]
        side = crops.shape[-1] // image_embed.config.vision_config.patch_size
        mask = torch.ones(len(encoded), side, side, dtype=torch.bool)
        read = image_embed.encode(encoded, mask)[place]
    films = read.view(len(pixels), work.crops, *read.shape[1:])
    taken = torch.zeros(work.film_tokens, dtype=torch.long)
    joined = [film[taken, taken][None] for film in films]  # tiles without padding, separators, whole film
    up, down = image_embed.img_projection_up, image_embed.img_projection_down
    projected = [down(torch.nn.functional.gelu(up(film))) for film in joined]
    return torch.cat(projected, dim=1)[0]


def parts(model: Any) -> tuple[Any, Any]:
    """The causal model and its backbone."""
    causal = adapter.unwrapped(model)
    return causal, causal.model
