"""Annotated sentences as batches of rows with labels, epoch by epoch, for the two networks of `kg train`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from chexphi.graph.rexkg.approximate import approximate_rows
from chexphi.graph.rexkg.batch import RowPlanner, batches
from chexphi.graph.rexkg.rows import MAX_PIECES, MarkTable, Row, entity_windows, max_word_pieces, pair_rows
from chexphi.graph.rexkg.vocabulary import Pieces, Vocabulary
from chexphi.graph.types import LABELS, RELATION_TYPES
from chexphi.kg.annotated import Annotated

LIMIT = MAX_PIECES - 2

Example = tuple[Row, list[int]]
"""A row, and the label of each of its places."""
Plan = list[list[list[Example]]]
"""Batches of every epoch."""


def entity_plan(
    rows: Sequence[Annotated], vocabulary: Vocabulary, tokens: int, rngs: Sequence[random.Random]
) -> Plan:
    """All spans of all sentences, every epoch; so many tokens a batch, one generator an epoch."""
    examples = [example for row in rows for example in _entity_examples(row, vocabulary)]
    return [_batches(examples, tokens, rng) for rng in rngs]


def relation_plan(
    rows: Sequence[Annotated],
    vocabulary: Vocabulary,
    marks: MarkTable,
    tokens: int,
    rngs: Sequence[random.Random],
    share: float,
) -> Plan:
    """All pairs of annotated spans, every epoch: those of a sentence in one row, which is an eighth of the
    work, and so many of the rows of a single pair, so that the model says the same read either way.
    """
    exact, together = (
        [e for row in rows for e in _relation_examples(row, vocabulary, marks, reading)]
        for reading in (pair_rows, approximate_rows)
    )
    drawn = round(share * len(exact))
    return [_batches(together + rng.sample(exact, drawn), tokens, rng) for rng in rngs]


def _entity_examples(row: Annotated, vocabulary: Vocabulary) -> Iterator[Example]:
    labels = {(first, last): LABELS.index(label) + 1 for first, last, label in row.places}
    for found, asked in entity_windows(_pieces(row, vocabulary), vocabulary, LIMIT):
        yield found, [labels.get(span, 0) for span in asked]


def _relation_examples(
    row: Annotated, vocabulary: Vocabulary, marks: MarkTable, reading: RowPlanner
) -> Iterator[Example]:
    entities = sorted(row.places)
    labels = {
        (entities.index(head), entities.index(tail)): RELATION_TYPES.index(kind) + 1
        for head, kind, tail in row.links or ()
    }
    for found, asked in reading(_pieces(row, vocabulary), vocabulary, entities, marks=marks, limit=LIMIT):
        yield found, [labels.get(pair, 0) for pair in asked]


def _pieces(row: Annotated, vocabulary: Vocabulary) -> Pieces:
    words = [word.lower() for word in row.words]
    vocabulary.learn(words)
    return vocabulary.pieces(words, max_word_pieces(LIMIT))


def _batches(examples: Sequence[Example], tokens: int, rng: random.Random) -> list[list[Example]]:
    """Rows of like length together, in an order of their own each epoch."""
    order = rng.sample(range(len(examples)), len(examples))
    lengths = [len(examples[at][0].ids) for at in order]
    found = [[examples[order[at]] for at in batch] for batch in batches(lengths, tokens)]
    rng.shuffle(found)
    return found
