"""Files of predictions that are nearly right: a seeded mutator of good lines."""

from __future__ import annotations

import random
from collections.abc import Iterator

from fuzz.json_mutations import dumped, mutated_text, mutated_value
from synthetic_predictions import predictions


def mutated_predictions(rng: random.Random, count: int) -> Iterator[bytes]:
    """Contents of `count` files `predictions.jsonl`; about one in eight is whole."""
    good = [prediction.to_dict() for prediction in predictions(12)]
    for _ in range(count):
        rows = rng.sample(good, rng.randrange(1, 5))
        for _ in range(rng.choice((0, 1, 1, 1, 2))):
            place = rng.randrange(len(rows))
            rows[place] = mutated_value(rng, rows[place])
        content = "".join(dumped(row) + "\n" for row in rows).encode()
        yield mutated_text(rng, content) if rng.random() < 0.3 else content
