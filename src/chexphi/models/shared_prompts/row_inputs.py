"""The model's inputs of some rows of a batch: what belongs to tokens, to token types and to films."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

TOKEN_TYPES = ("token_type_ids", "mm_token_type_ids")
"""Inputs that mark the tokens of films, int (rows, length); 0 for text. Each family has one or none."""
TOKEN_INPUTS = ("attention_mask", "position_ids", *TOKEN_TYPES)
"""Inputs with a value for each token, (..., rows, length), or one row for all."""


def of_rows(
    rows: Tensor,
    inputs: Mapping[str, Any],
    film_counts: Sequence[int],
    single_films: Mapping[str, Sequence[Tensor]],
) -> dict[str, Any]:
    """The inputs of some rows; `input_ids` stay as they are.

    Args:
        rows: Numbers of the chosen rows, int (chosen,), in any order and as often as wanted.
        inputs: Of the whole batch.
        film_counts: Films of each row of the batch.
        single_films: The inputs that belong to films, one tensor a film, in the order of the rows.
    """
    selected_inputs = dict(inputs)
    for name in TOKEN_INPUTS:
        values = inputs.get(name)
        if values is not None and values.shape[-2] == len(film_counts):
            selected_inputs[name] = values.index_select(-2, rows)
    no_films = dict.fromkeys(single_films)
    return selected_inputs | no_films | films_of_rows(rows, film_counts, single_films)


def films_of_rows(
    rows: Tensor, film_counts: Sequence[int], single_films: Mapping[str, Sequence[Tensor]]
) -> dict[str, Tensor]:
    """The inputs of the films of some rows (chosen,), joined along their first axis; empty without films."""
    numbers_by_row = torch.arange(sum(film_counts)).split(list(film_counts))
    numbers = torch.cat([numbers_by_row[row] for row in rows.tolist()]).tolist()
    if not numbers:
        return {}
    return {name: torch.cat([films[i] for i in numbers]) for name, films in single_films.items()}
