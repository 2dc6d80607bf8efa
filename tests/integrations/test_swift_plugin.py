"""The plugin for ms-swift, and the documented file with other settings, beside a stand-in for its registry.

`test_swift_runs.py` has the released ms-swift.
"""

from __future__ import annotations

import re
import runpy
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from chexphi import integrations
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.rewards import AccuracyReward, GraphReward, GraphRule

PLUGIN = Path(integrations.__file__).with_name("ms_swift.py")
PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"
GOLD = "<think>There is a left pleural effusion. No pneumothorax.</think><answer>yes</answer>"
COMPLETIONS = [
    GOLD,
    "<think>There is a pleural effusion.</think><answer>yes</answer>",
    "<think>There is a pneumothorax.</think><answer>no</answer>",
    "yes",
]
COLUMNS: dict[str, Any] = {"solution": [GOLD] * 4, "answer": [["yes"]] * 4, "trainer_state": None}


@pytest.fixture
def orms(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Swift's registry: name -> class, made with `args` and logged under the class's name."""
    rewards = types.ModuleType("swift.rewards")
    rewards.orms = {}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "swift", types.ModuleType("swift"))
    monkeypatch.setitem(sys.modules, "swift.rewards", rewards)
    return rewards.orms  # type: ignore[attr-defined]


def test_the_plugin_registers_both_rewards(orms: dict[str, Any]) -> None:
    runpy.run_path(str(PLUGIN))
    assert list(orms) == [made.__name__ for made in orms.values()] == ["external_r1v_acc", "external_kg_jac"]
    answer, graph = (made(args=object()) for made in orms.values())
    assert answer(COMPLETIONS, **COLUMNS) == AccuracyReward()(COMPLETIONS, **COLUMNS) == [1.0, 1.0, 0.0, 0.0]
    expected = GraphReward(LexiconExtractor())(COMPLETIONS, **COLUMNS)
    assert graph(COMPLETIONS, **COLUMNS) == expected
    assert expected[0] == 1.0 > expected[1] > expected[2]  # type: ignore[operator]


def test_the_documented_file_sets_another_measure(orms: dict[str, Any], tmp_path: Path) -> None:
    (snippet,) = (
        text for text in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S) if "orms[" in text
    )
    (tmp_path / "my_rewards.py").write_text(snippet)
    runpy.run_path(str(tmp_path / "my_rewards.py"))
    assert list(orms) == [orms["external_kg_f1"].__name__] == ["external_kg_f1"]
    found = orms["external_kg_f1"](args=object())(COMPLETIONS, **COLUMNS)
    assert found == GraphReward(LexiconExtractor(), GraphRule("f1"))(COMPLETIONS, **COLUMNS)
    assert found != GraphReward(LexiconExtractor())(COMPLETIONS, **COLUMNS)
