"""The batches of questions that a stage has left to do, and their order. Standard library only."""

from __future__ import annotations

from collections.abc import Container, Sequence

from chexphi.schema import Example


def films_together(examples: Sequence[Example]) -> list[Example]:
    """The examples in their order, but those with the same films directly after the first of them."""
    examples_of_films: dict[tuple[str, ...], list[Example]] = {}
    for example in examples:
        examples_of_films.setdefault(example.images, []).append(example)
    return [example for rows in examples_of_films.values() for example in rows]


def unfinished_batches(
    examples: Sequence[Example], finished_ids: Container[str], size: int
) -> list[Sequence[Example]]:
    """Each batch that has an unfinished example.

    All examples are divided into batches first, so that a resumed run has the batches of an uninterrupted
    one: sums round alike. A batch that was stopped half-way is done again as a whole.
    """
    batches = [examples[start : start + size] for start in range(0, len(examples), size)]
    return [batch for batch in batches if any(example.id not in finished_ids for example in batch)]
