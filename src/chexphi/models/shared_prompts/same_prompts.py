"""Which rows of a batch are the same prompt: the same ids, and the same films by their content."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

_SAMPLE = 256
"""Values of a film by which candidates for the same one are found."""


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


def same_films(films: Sequence[Tensor | Sequence[Tensor]]) -> list[int]:
    """For every film the number of the first one that equals it in all that is given.

    Candidates are found by a sample of their values and then compared in full, where they are: a film is
    large, and a GRPO batch has it as often as its prompt has completions.

    Args:
        films: What says all of a film: tensors (films, ...), or one tensor a film where they differ in size.
    """
    whole = list(zip(*films, strict=True))
    if not whole:
        return []
    sample = torch.cat([_samples(part) for part in films], dim=1)
    alike: dict[bytes, list[int]] = {}
    place: list[int] = []
    for i, values in enumerate(sample.cpu().numpy()):
        candidates = alike.setdefault(values.tobytes(), [])
        equal = (j for j in candidates if all(map(torch.equal, whole[i], whole[j])))
        place.append(next(equal, i))
        if place[-1] == i:
            candidates.append(i)
    return place


def _samples(part: Tensor | Sequence[Tensor]) -> Tensor:
    """Some values of each film, (films, values)."""
    if not isinstance(part, Tensor):
        return pad_sequence([_samples(value[None])[0] for value in part], batch_first=True)
    flat = part.flatten(1)
    return flat[:, :: max(1, flat.shape[1] // _SAMPLE)].float()
