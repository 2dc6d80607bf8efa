"""The two rewards as a plugin of ms-swift 4: `--external_plugins $(chexphi swift-plugin)`.

Swift loads this file by its path and puts its folder first on `sys.path`. So no file here may be called
`swift.py`: it would hide Swift from processes that it spawns. Swift logs a reward under its class's name.

A row needs the column `solution`, `<think>…</think><answer>…</answer>`. The labels are read from the column
`answer` if there is one. Answers are compared exactly, graphs of the lexicon by Jaccard. For other settings,
write such a file of your own (docs/integrations.md has one).

A `solution` that is None or NaN cannot be scored. One that is a dict or a list is refused, with its row. The
reward of a row that cannot be scored is `None`, which Swift counts as 0 in the sum. Where all rewards are
None, Swift logs the row with its text. Use both rewards: a row with an answer then always has a reward.
`chexphi data check` finds rows without an answer, and with `--rewards external_kg_jac` it counts references
without a graph.
"""

from __future__ import annotations

from typing import Any

from swift.rewards import orms

from chexphi.graph.open import open_extractor
from chexphi.rewards import AccuracyReward, GraphReward


class external_r1v_acc(AccuracyReward):  # noqa: N801
    """`AccuracyReward` as Swift constructs it: with its own settings, which are not used."""

    def __init__(self, args: Any = None) -> None:
        super().__init__()


class external_kg_jac(GraphReward):  # noqa: N801
    """`GraphReward` with the lexicon, as Swift constructs it: with its own settings, which are not used."""

    def __init__(self, args: Any = None) -> None:
        super().__init__(open_extractor("lexicon"))


orms["external_r1v_acc"] = external_r1v_acc
orms["external_kg_jac"] = external_kg_jac
