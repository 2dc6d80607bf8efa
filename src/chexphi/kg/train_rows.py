"""Batches of labelled rows for the two networks of `kg train`, from annotated sentences."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from chexphi.graph.rexkg.approximate import approximate_rows
from chexphi.graph.rexkg.batch import RowPlanner, batches
from chexphi.graph.rexkg.rows import MAX_PIECES, MarkTable, Row, entity_windows, max_word_pieces, pair_rows
from chexphi.graph.rexkg.vocabulary import Pieces, Vocabulary
from chexphi.graph.types import LABELS, RELATION_TYPES
from chexphi.kg.annotated import AnnotatedSentence

LIMIT = MAX_PIECES - 2

Example = tuple[Row, list[int]]
"""A row, and the label of each of its candidates."""
EpochBatches = list[list[list[Example]]]
"""The batches of each epoch: epochs, batches, examples."""


def entity_batches(
    rows: Sequence[AnnotatedSentence],
    vocabulary: Vocabulary,
    batch_tokens: int,
    rngs: Sequence[random.Random],
) -> EpochBatches:
    """Batches with all spans of all sentences in every epoch.

    Args:
        rows: The sentences.
        vocabulary: The pieces of the tokenizer.
        batch_tokens: Tokens of a batch, padding included.
        rngs: One generator per epoch, which shuffles its batches.
    """
    examples = [example for row in rows for example in _entity_examples(row, vocabulary)]
    return [_shuffled_batches(examples, batch_tokens, rng) for rng in rngs]


def relation_batches(
    rows: Sequence[AnnotatedSentence],
    vocabulary: Vocabulary,
    marks: MarkTable,
    batch_tokens: int,
    rngs: Sequence[random.Random],
    exact_share: float,
) -> EpochBatches:
    """Batches with all pairs of annotated spans in every epoch.

    All pairs of a sentence share one row, which takes an eighth of the work. A share of the rows with a
    single pair is added, so that the network gives the same labels in both kinds of rows.

    Args:
        rows: The sentences.
        vocabulary: The pieces of the tokenizer.
        marks: Markers by the labels of subject and object.
        batch_tokens: Tokens of a batch, padding included.
        rngs: One generator per epoch, which draws the added rows and shuffles its batches.
        exact_share: Share of the rows with a single pair that an epoch adds.
    """
    single_pair_examples, shared_row_examples = (
        [example for row in rows for example in _relation_examples(row, vocabulary, marks, make_rows)]
        for make_rows in (pair_rows, approximate_rows)
    )
    exact_count = round(exact_share * len(single_pair_examples))
    return [
        _shuffled_batches(
            shared_row_examples + rng.sample(single_pair_examples, exact_count), batch_tokens, rng
        )
        for rng in rngs
    ]


def _entity_examples(row: AnnotatedSentence, vocabulary: Vocabulary) -> Iterator[Example]:
    labels = {
        (first_token, last_token): LABELS.index(label) + 1 for first_token, last_token, label in row.spans
    }
    for token_row, spans in entity_windows(_pieces(row, vocabulary), vocabulary, LIMIT):
        yield token_row, [labels.get(span, 0) for span in spans]


def _relation_examples(
    row: AnnotatedSentence, vocabulary: Vocabulary, marks: MarkTable, make_rows: RowPlanner
) -> Iterator[Example]:
    entities = sorted(row.spans)
    labels = {
        (entities.index(head), entities.index(tail)): RELATION_TYPES.index(kind) + 1
        for head, kind, tail in row.relations or ()
    }
    for token_row, pairs in make_rows(
        _pieces(row, vocabulary), vocabulary, entities, marks=marks, limit=LIMIT
    ):
        yield token_row, [labels.get(pair, 0) for pair in pairs]


def _pieces(row: AnnotatedSentence, vocabulary: Vocabulary) -> Pieces:
    words = [word.lower() for word in row.words]
    vocabulary.learn(words)
    return vocabulary.pieces(words, max_word_pieces(LIMIT))


def _shuffled_batches(
    examples: Sequence[Example], batch_tokens: int, rng: random.Random
) -> list[list[Example]]:
    """Batches of rows of like length, in a random order."""
    order = rng.sample(range(len(examples)), len(examples))
    lengths = [len(examples[at][0].ids) for at in order]
    shuffled = [[examples[order[at]] for at in batch] for batch in batches(lengths, batch_tokens)]
    rng.shuffle(shuffled)
    return shuffled
