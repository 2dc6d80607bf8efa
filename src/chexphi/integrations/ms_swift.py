"""The two rewards as a plugin of ms-swift 4: `--external_plugins $(chexphi swift-plugin)`.

Swift loads this file by its path, puts its folder first on `sys.path` (so nothing here may be called
`swift.py`, which would hide Swift from processes that it spawns), and logs a reward under its class's name.
A row needs the column `solution`, `<think>…</think><answer>…</answer>`; `answer`, the labels, is read where
it is given. Answers are compared exactly, graphs of the lexicon by Jaccard; for other settings write such a
file of your own (docs/integrations.md has one).

A `solution` that is None or NaN cannot be scored; one that is a dict or a list is refused, with its row.
A reward that cannot be given is `None`, of which Swift makes 0 in the sum. Where that is so of all rewards,
Swift logs the row with its text: use both rewards, then a row that has an answer has one. `chexphi data
check` finds rows without an answer, and with `--rewards external_kg_jac` counts references without a graph.
"""

from __future__ import annotations

from typing import Any

from swift.rewards import orms

from chexphi.graph.open import open_extractor
from chexphi.rewards import AccuracyReward, GraphReward


class external_r1v_acc(AccuracyReward):  # noqa: N801
    """`AccuracyReward` as Swift makes it: with its settings, which say nothing to us."""

    def __init__(self, args: Any = None) -> None:
        super().__init__()


class external_kg_jac(GraphReward):  # noqa: N801
    """`GraphReward` with the lexicon, likewise."""

    def __init__(self, args: Any = None) -> None:
        super().__init__(open_extractor("lexicon"))


orms["external_r1v_acc"] = external_r1v_acc
orms["external_kg_jac"] = external_kg_jac
