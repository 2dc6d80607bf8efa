"""Which rows of a batch are the same prompt: the same ids, and the same films by their content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

_SAMPLE_SIZE = 256
"""Values of a film by which candidates for the same one are found."""


class DistinctPrompts(NamedTuple):
    """Which prompts a batch has, and which row has which; both tensors on the device of the ids.

    Row i is the same prompt as row `first_rows[prompt_of_row[i]]`, which is the first such row.
    """

    first_rows: Tensor
    """The first row of each distinct prompt, int64 (prompts,), ascending."""
    prompt_of_row: Tensor
    """The number of each row's prompt, int64 (rows,)."""

    @property
    def all_differ(self) -> bool:
        """Whether no prompt comes twice."""
        return len(self.first_rows) == len(self.prompt_of_row)


def same_prompts(
    input_ids: Tensor,
    attention_mask: Tensor,
    num_images: Sequence[int] = (),
    films: Sequence[Tensor | Sequence[Tensor]] = (),
) -> DistinctPrompts:
    """The distinct prompts of a padded batch, in the order of their first rows.

    Args:
        input_ids: int (rows, length).
        attention_mask: 1 for tokens and 0 for padding, (rows, length); the ids of padding do not matter.
        num_images: Films of each row; without films it may be left out.
        films: All that describes a film (`pixel_values` and `image_sizes`), in the order of the rows: tensors
            (images, ...), or one tensor an image where they differ in size.
    """
    ids_by_row = input_ids.masked_fill(attention_mask == 0, -1).cpu().numpy()
    film_counts = list(num_images) or [0] * len(ids_by_row)
    films_by_row = torch.tensor(same_films(films), dtype=torch.long).split(film_counts)
    numbers: dict[tuple[bytes, tuple[int, ...]], int] = {}
    first_rows: list[int] = []
    prompt_of_row: list[int] = []
    for row, (ids, row_films) in enumerate(zip(ids_by_row, films_by_row, strict=True)):
        key = (ids.tobytes(), tuple(row_films.tolist()))
        prompt_of_row.append(numbers.setdefault(key, len(numbers)))
        if len(numbers) > len(first_rows):
            first_rows.append(row)
    device = input_ids.device
    return DistinctPrompts(
        torch.tensor(first_rows, dtype=torch.long, device=device),
        torch.tensor(prompt_of_row, dtype=torch.long, device=device),
    )


def same_films(films: Sequence[Tensor | Sequence[Tensor]]) -> list[int]:
    """For every film the number of the first film that equals it in all that is given.

    Candidates are found by a sample of their values and then compared in full on their device. A film is
    large, and a GRPO batch has it as often as its prompt has completions.

    Args:
        films: All that describes a film: tensors (films, ...), or one tensor a film where sizes differ.
    """
    values_by_film = list(zip(*films, strict=True))
    if not values_by_film:
        return []
    samples = torch.cat([_sample(values) for values in films], dim=1)
    candidates_by_sample: dict[bytes, list[int]] = {}
    first_films: list[int] = []
    for film, sample in enumerate(samples.cpu().numpy()):
        candidates = candidates_by_sample.setdefault(sample.tobytes(), [])
        values = values_by_film[film]
        equals = (i for i in candidates if all(map(torch.equal, values, values_by_film[i])))
        first_films.append(next(equals, film))
        if first_films[-1] == film:
            candidates.append(film)
    return first_films


def _sample(values: Tensor | Sequence[Tensor]) -> Tensor:
    """Some values of each film, fp32 (films, at most about 256)."""
    if not isinstance(values, Tensor):
        return pad_sequence([_sample(film_values[None])[0] for film_values in values], batch_first=True)
    flat = values.flatten(1)
    return flat[:, :: max(1, flat.shape[1] // _SAMPLE_SIZE)].float()
