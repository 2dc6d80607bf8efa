"""What a column of a data set may hold, and the sentence about what it may not."""

from __future__ import annotations

import math
import runpy
import sys
import types
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chexphi import integrations
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.integrations.verl import compute_score
from chexphi.rewards import AccuracyReward, GraphReward, score
from chexphi.schema import InputError

THINK = "There is a left pleural effusion."
GOLD = f"<think>{THINK}</think><answer>2</answer>"


def accuracy(answer: Any, solution: Any = GOLD, said: str = "2", **columns: Any) -> float | None:
    text = f"<think>{THINK}</think><answer>{said}</answer>"
    (value,) = AccuracyReward()([text], [solution], answer=[answer], **columns)
    return value


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("two", "two"),
        (["mass", "nodule"], "nodule, mass"),
        (("mass", "nodule"), "nodule, mass"),
        ({"mass", "nodule"}, "nodule, mass"),
        (2, "2"),
        (2.0, "2"),  # an integer beside rows without one
        (1.5, "1.5"),
        ([2], "2"),
        (["left", 2], "2, left"),
        (np.array(["mass", "nodule"], dtype=object), "nodule, mass"),
        (np.array([2, 3]), "2, 3"),
        (np.int64(2), "2"),
        (np.float32(2), "2"),
        (np.str_("mass"), "mass"),
        (None, "2"),  # the solution's own
        (math.nan, "2"),
        ([], "2"),
        (np.array([]), "2"),
    ],
)
def test_labels_of_any_reasonable_type(answer: Any, said: str) -> None:
    assert accuracy(answer, said=said) == 1
    assert accuracy(answer, said="something else") == 0


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (True, "True"),
        (b"mass", "a bytes"),
        ({"label": "mass"}, "a dict"),
        ([["mass"]], "a list"),
        ([None], "None"),
        (["mass", math.nan], "nan"),
        (math.inf, "inf"),
        (Decimal(2), "a Decimal"),
        (np.array([["mass"]], dtype=object), "a list"),
        (np.bool_(False), "False"),
        (object(), "an object"),
    ],
)
def test_labels_that_are_refused(answer: Any, kind: str) -> None:
    with pytest.raises(InputError, match=f"^row q-3: answer holds {kind}: give labels as text"):
        accuracy(answer, id=["q-3"])
    with pytest.raises(InputError, match=f"^row 1 of the batch: answer holds {kind}"):
        accuracy(answer)
    with pytest.raises(InputError, match=f"^score: answer holds {kind}"):
        score(GOLD, GOLD, answer=answer)
    with pytest.raises(InputError, match=f"^veRL row 'q-3' of x: extra_info.answer holds {kind}"):
        compute_score("x", GOLD, GOLD, {"id": "q-3", "answer": answer})


@pytest.mark.parametrize("missing", [None, math.nan, np.float64("nan"), ""])
def test_a_missing_reference_is_not_scorable(missing: Any) -> None:
    assert AccuracyReward()([GOLD, GOLD], [missing, GOLD]) == [None, 1.0]
    assert GraphReward(LexiconExtractor())([GOLD, GOLD], [missing, GOLD]) == [None, 1.0]
    assert accuracy("2", missing) == 1
    assert compute_score("x", GOLD, missing, {"answer": 2})["score"] == 1
    with pytest.raises(InputError, match=r"^veRL row None of x: its ground_truth has neither an answer nor"):
        compute_score("x", GOLD, missing)


@pytest.mark.parametrize(
    ("solution", "kind"),
    [({"answer": "no"}, "a dict"), (3, "an int"), ([GOLD], "a list"), (b"no", "a bytes"), (True, "True")],
)
def test_references_that_are_refused(solution: Any, kind: str) -> None:
    for reward in (AccuracyReward(), GraphReward(LexiconExtractor())):
        with pytest.raises(InputError, match=f"^row q-4: solution is {kind}: give the reference as text"):
            reward([GOLD, GOLD], [GOLD, solution], id=["q-3", "q-4"])
    with pytest.raises(InputError, match=f"^veRL row 'q-4' of x: ground_truth is {kind}: give"):
        compute_score("x", GOLD, solution, {"id": "q-4"})
    with pytest.raises(InputError, match=f"^score: the reference is {kind}: give"):
        score(GOLD, solution)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "needs the column solution"),
        ({"solution": GOLD}, "column solution is a str: give a list"),
        ({"solution": [GOLD]}, "column solution has 1 row for 2 completions"),
        ({"solution": [GOLD] * 2, "answer": "no"}, "column answer is a str"),
        ({"solution": [GOLD] * 2, "answer": 2}, "column answer is a int"),
        ({"solution": [GOLD] * 2, "answer": {"a": 1, "b": 2}}, "column answer is a dict"),
        ({"solution": [GOLD] * 2, "answer": [["no"]]}, "column answer has 1 row for 2"),
        ({"solution": [GOLD] * 2, "completion_ids": [[1]]}, "column completion_ids has 1 row for 2"),
        ({"solution": [GOLD] * 2, "opened_think": True}, "column opened_think is a bool"),
        ({"solution": [GOLD] * 2, "opened_think": [True]}, "column opened_think has 1 row for 2"),
        (
            {"solution": [GOLD] * 2, "opened_think": [None, "false"]},
            "row 2 of the batch: opened_think is a str: give true or false",
        ),
        ({"completions": GOLD, "solution": [GOLD] * 2}, "column completions is a str"),
        ({"completions": [GOLD, None], "solution": [GOLD] * 2}, "row 2 of the batch: the completion is None"),
        ({"completions": [GOLD, 2], "solution": [GOLD] * 2}, "row 2 of the batch: the completion is an int"),
        (
            {"completions": [GOLD, [GOLD]], "solution": [GOLD] * 2},
            "row 2 of the batch: the completion is a list",
        ),
    ],
)
def test_columns_that_are_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AccuracyReward()(**({"completions": [GOLD] * 2} | columns))


def test_answers_alone_are_enough_for_the_answer() -> None:
    assert AccuracyReward()([GOLD, GOLD], answer=np.array([2, 3])) == [1.0, 0.0]


@pytest.mark.parametrize("extra", ["no", ["no"], 3])
def test_other_arguments_of_verl_are_refused(extra: Any) -> None:
    with pytest.raises(
        InputError, match=f"extra_info of a row of x is a {type(extra).__name__}: give a mapping"
    ):
        compute_score("x", GOLD, GOLD, extra)
    with pytest.raises(InputError, match=r"^veRL row 'q' of x: the completion is None: give a text"):
        compute_score("x", None, GOLD, {"id": "q"})  # type: ignore[arg-type]


def test_swift_hands_over_columns_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rewards = types.ModuleType("swift.rewards")
    rewards.orms = {}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "swift", types.ModuleType("swift"))
    monkeypatch.setitem(sys.modules, "swift.rewards", rewards)
    runpy.run_path(str(Path(integrations.__file__).with_name("ms_swift.py")))
    answer, graph = (made(args=None) for made in rewards.orms.values())  # type: ignore[attr-defined]
    assert answer([GOLD], solution=[None]) == graph([GOLD], solution=[None]) == [None]
    for reward in (answer, graph):
        with pytest.raises(
            InputError, match=r"^row 1 of the batch: solution is a dict: give the reference as text"
        ):
            reward([GOLD], solution=[{"answer": "no"}])
        with pytest.raises(InputError, match="needs the column solution"):
            reward([GOLD])
    assert answer([GOLD], solution=[GOLD], answer=[2]) == [1.0]
