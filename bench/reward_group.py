"""CPU time of both rewards on a group: 8 completions and 1 reference, read by the lexicon.

Reasonings of drawn films serve as completions. The lexicon reads its tables at its first text, once a
process. After that, the first round meets every sentence for the first time and the others know them all; a
policy that learns is between the two. To compare two revisions run it with the `PYTHONPATH` of each: the
check sum tells whether the rewards are the same.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from chexphi.data.phantom import build
from chexphi.data.read import read_examples
from chexphi.graph.open import open_extractor
from chexphi.rewards import AccuracyReward, GraphReward

GROUPS, COMPLETIONS, ROUNDS = 200, 8, 7


def drawn_groups() -> list[tuple[list[str], list[str]]]:
    """Completions with their reference, once for each of them."""
    with tempfile.TemporaryDirectory() as folder:
        build.build(
            Path(folder) / "d", counts=build.Sizes(sight=4, sft=8, pool=400, valid=4, test=10), seed=1
        )
        pool = Path(folder) / "d" / "annotations" / "pool" / "train.json"
        texts = [example.explanation for example in read_examples(pool, check_images=False)]
    return [
        (
            [texts[(7 * group + 13 * place + 1) % len(texts)] for place in range(COMPLETIONS)],
            [texts[group]] * COMPLETIONS,
        )
        for group in range(GROUPS)
    ]


def main() -> None:
    groups = drawn_groups()
    rewards = [AccuracyReward(), GraphReward(open_extractor("lexicon"))]
    before = time.process_time()
    rewards[1](["<think>A text of its own.</think><answer>no</answer>"], solution=groups[0][1][:1])
    reading_tables = time.process_time() - before
    seconds = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        earned = [
            reward(completions, solution=references)
            for completions, references in groups
            for reward in rewards
        ]
        seconds.append((time.process_time() - begun) / GROUPS)
    table = Table("both rewards on a group", "ms", title=f"{GROUPS} groups of {COMPLETIONS} completions")
    table.add_row("the first text of the process, once", f"{1000 * reading_tables:.0f}")
    table.add_row("sentences met for the first time", f"{1000 * seconds[0]:.2f}")
    table.add_row(
        f"sentences met before, median of {ROUNDS - 1}", f"{1000 * statistics.median(seconds[1:]):.2f}"
    )
    table.add_row("check sum of the rewards", hashlib.sha256(json.dumps(earned).encode()).hexdigest()[:12])
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
