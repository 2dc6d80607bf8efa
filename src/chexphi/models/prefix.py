"""Which rows of a batch are the same prompt: the same ids, and the same films by their content."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from chexphi.models.features import same_films


def same_prompts(
    input_ids: Tensor,
    attention_mask: Tensor,
    num_images: Sequence[int] = (),
    films: Sequence[Tensor | Sequence[Tensor]] = (),
) -> tuple[Tensor, Tensor]:
    """The distinct rows of a padded batch, in their order, and for every row its place among them.

    Args:
        input_ids: int, (rows, length).
        attention_mask: 1 for tokens and 0 for padding, (rows, length); what ids padding has does not matter.
        num_images: Films of each row; without films it may be left out.
        films: What says all of a film (`pixel_values` and `image_sizes`), in the order of the rows: tensors
            (images, ...), or one tensor an image where they differ in size.

    Returns:
        kept, int64 (distinct,) ascending, and place, int64 (rows,): row i is the same prompt as row
        kept[place[i]], the first such. Both on the device of `input_ids`.
    """
    ids = input_ids.masked_fill(attention_mask == 0, -1).cpu().numpy()
    counts = list(num_images) or [0] * len(ids)
    films_of_row = torch.tensor(same_films(films), dtype=torch.long).split(counts)
    first: dict[tuple[bytes, tuple[int, ...]], int] = {}
    kept: list[int] = []
    place: list[int] = []
    for i, (row, own) in enumerate(zip(ids, films_of_row, strict=True)):
        place.append(first.setdefault((row.tobytes(), tuple(own.tolist())), len(first)))
        if len(first) > len(kept):
            kept.append(i)
    device = input_ids.device
    return torch.tensor(kept, dtype=torch.long, device=device), torch.tensor(
        place, dtype=torch.long, device=device
    )
