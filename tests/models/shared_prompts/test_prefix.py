"""Which rows are the same prompt, against a comparison of every pair."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from chexphi.models.shared_prompts.same_prompts import same_films, same_prompts

Row = tuple[list[int], list[int]]
"""Ids without padding, and the contents of the films."""


def batch(rows: list[Row], *, pad: int = 0) -> tuple[Tensor, Tensor, list[int], list[Tensor]]:
    """Left-padded; a film is 600 pixels that differ in one place that no sample of 256 sees."""
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([[pad] * (width - len(ids)) + ids for ids, _ in rows])
    mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids, _ in rows])
    contents = [film for _, films in rows for film in films]
    pixels = torch.zeros(len(contents), 3, 200)
    for pixel, content in zip(pixels, contents, strict=True):
        pixel[1, 101] = content // 2
    sizes = torch.tensor([[32, 32 + content % 2] for content in contents]).reshape(-1, 2)
    return ids, mask, [len(films) for _, films in rows], [pixels, sizes]


prompts = st.tuples(
    st.lists(st.integers(0, 1), min_size=1, max_size=3), st.lists(st.integers(0, 3), max_size=2)
)


@given(st.lists(prompts, min_size=1, max_size=8))
def test_rows_share_a_place_exactly_if_ids_and_films_are_the_same(rows: list[Row]) -> None:
    first_rows, prompt_of_row = same_prompts(*batch(rows))
    for i, row in enumerate(rows):
        assert first_rows[prompt_of_row[i]] == rows.index(row)
    assert first_rows.tolist() == sorted({rows.index(row) for row in rows})


def test_the_ids_of_padding_do_not_count_and_its_length_does() -> None:
    ids = torch.tensor([[7, 1, 2], [8, 1, 2], [1, 1, 2], [1, 2, 7]])
    mask = torch.tensor([[0, 1, 1], [0, 1, 1], [1, 1, 1], [1, 1, 0]])
    first_rows, prompt_of_row = same_prompts(ids, mask)
    assert prompt_of_row.tolist() == [0, 0, 1, 2]  # the last is padded on the right: its keys lie elsewhere
    assert first_rows.tolist() == [0, 2, 3]


def test_the_order_of_two_films_counts_and_to_which_row_they_belong() -> None:
    rows: list[Row] = [([1], [0, 2]), ([1], [2, 0]), ([1], [0]), ([1], [2, 0]), ([1], [0, 2])]
    first_rows, prompt_of_row = same_prompts(*batch(rows))
    assert prompt_of_row.tolist() == [0, 1, 2, 1, 0]
    assert first_rows.tolist() == [0, 1, 2]


def test_films_equal_where_they_are_sampled_are_told_apart() -> None:
    films = torch.zeros(4, 5000)
    films[1, 1] = 1e-3
    films[3, 1] = 1e-3
    assert same_films([films]) == [0, 1, 0, 1]
    assert same_films([films.bfloat16()]) == [0, 1, 0, 1]
    assert same_films([films, torch.tensor([[1], [1], [2], [1]])]) == [0, 1, 2, 1]
    assert same_films([list(films)]) == [0, 1, 0, 1]
    assert same_films([[torch.zeros(3), torch.zeros(4), torch.zeros(3), torch.zeros(2, 2)]]) == [0, 1, 0, 3]


def test_a_film_of_no_number_equals_none() -> None:
    assert same_films([torch.full((2, 3), torch.nan)]) == [0, 1]


def test_without_films() -> None:
    ids = torch.tensor([[1, 2], [1, 2]])
    for films in ((), (torch.zeros(0, 2, 3), torch.zeros(0, 4))):
        first_rows, prompt_of_row = same_prompts(ids, torch.ones_like(ids), [0, 0], films)
        assert (first_rows.tolist(), prompt_of_row.tolist()) == ([0], [0, 0])
