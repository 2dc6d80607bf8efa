"""The reward for a reasoning that entails its own answer, as trainers call it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.rewards import ConsistencyReward, Scheme, score
from chexphi.rewards.by_name import open_rewards, trainer_rewards
from chexphi.rewards.combine import ACCURACY, CONSISTENCY, GRAPH
from chexphi.rewards.settings import RewardFields, check_settings
from chexphi.rewards.verdicts import VALUES
from chexphi.schema import InputError

QUESTION = "Is there a pleural effusion?"
GOLD = "<think>There is a small effusion at the right base.</think><answer>yes</answer>"
SILENT = "<think>The heart is enlarged.</think><answer>yes</answer>"
AGAINST = "<think>No pleural effusion is seen.</think><answer>yes</answer>"
MALFORMED = {
    "no reasoning": "<answer>yes</answer>",
    "no answer": "<think>There is an effusion.</think>",
    "an empty reasoning": "<think> </think><answer>yes</answer>",
    "an open tag": "<think>There is an effusion.<answer>yes</answer>",
    "two answers": f"{GOLD}<answer>no</answer>",
    "nothing": "",
}


def reward(*completions: str, **columns: Any) -> list[float]:
    columns.setdefault("question", [QUESTION] * len(completions))
    return ConsistencyReward()(list(completions), **columns)


def test_each_verdict_has_its_value() -> None:
    assert reward(GOLD, SILENT, AGAINST) == [1.0, 0.5, 0.0]
    assert list(VALUES.values()) == [1.0, 0.5, 0.0]


def test_the_answer_that_was_given_is_looked_at_and_not_the_right_one() -> None:
    wrong = "<think>No pleural effusion is seen.</think><answer>no</answer>"
    assert reward(wrong, solution=[GOLD], answer=[["yes"]]) == [1.0]


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_completion_earns_nothing(case: str) -> None:
    assert reward(MALFORMED[case]) == [0.0]


def test_end_tokens_are_no_part_of_the_answer() -> None:
    assert reward(f"{GOLD}<|end|>", f"{GOLD}<|im_end|>\n") == [1.0, 1.0]
    by_ids = ConsistencyReward(end_token_ids=[7])
    assert by_ids([GOLD, GOLD], question=[QUESTION] * 2, completion_ids=[[1, 7], [1, 2]]) == [1.0, 0.0]


def test_conversations_and_reasoning_outside_the_text_are_read() -> None:
    turn = {
        "role": "assistant",
        "content": "<answer>yes</answer>",
        "reasoning_content": "There is an effusion.",
    }
    assert ConsistencyReward()([[turn]], question=[QUESTION]) == [1.0]
    opened = GOLD.removeprefix("<think>")
    assert reward(opened, opened_think=[True]) == [1.0]


def test_arrays_are_columns() -> None:
    assert reward(GOLD, AGAINST, question=np.array([QUESTION, QUESTION])) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        (None, "the reward needs the column question: give each row its question"),
        (QUESTION, "column question is a str: give a list with one value a row"),
        ([QUESTION], "column question has 1 row for 2 completions: give one each"),
        ([QUESTION, None], "row 2 of the batch: question is None: give it as text"),
        ([QUESTION, 3], "row 2 of the batch: question is an int: give it as text"),
        ([[QUESTION], QUESTION], "row 1 of the batch: question is a list: give it as text"),
    ],
)
def test_a_question_that_is_missing_or_no_text_is_refused(questions: Any, message: str) -> None:
    with pytest.raises(InputError) as refused:
        ConsistencyReward()([GOLD, GOLD], question=questions)
    assert message in str(refused.value)


def test_shares_of_the_verdicts_are_metrics() -> None:
    logged: dict[str, float] = {}
    reward(GOLD, GOLD, SILENT, AGAINST, MALFORMED["no answer"], log_metric=logged.__setitem__)
    shares = {name: value for name, value in logged.items() if name.startswith("consistency/")}
    assert shares == {"consistency/entails": 0.5, "consistency/silent": 0.25, "consistency/contradicts": 0.25}
    only_malformed: dict[str, float] = {}
    reward(MALFORMED["nothing"], log_metric=only_malformed.__setitem__)
    assert {value for name, value in only_malformed.items() if name.startswith("consistency/")} == {0.0}


NAMES = (CONSISTENCY, ACCURACY, GRAPH)


@pytest.mark.parametrize(
    ("completion", "gate_at", "total"),
    [(GOLD, 1.0, 3.0), (AGAINST, 1.0, 0.0), (AGAINST, 0.5, 0.0), (MALFORMED["nothing"], 1.0, 0.0)],
)
def test_as_a_gate_it_lets_through_what_entails_its_answer(
    completion: str, gate_at: float, total: float
) -> None:
    fields = RewardFields(rewards=NAMES, combine="gated", gate=CONSISTENCY, gate_at=gate_at)
    check_settings(fields)
    (gated, *_), _ = trainer_rewards(fields, open_rewards(fields, LexiconExtractor()), None)
    columns = {"question": [QUESTION], "solution": [GOLD], "answer": [["yes"]], "id": ["a"]}
    assert gated(completions=[completion], **columns) == [total]


def test_where_the_gate_is_half_open_a_silent_reasoning_passes() -> None:
    closed, half_open = (Scheme(NAMES, combine="gated", gate=CONSISTENCY, gate_at=at) for at in (1.0, 0.5))
    values = {CONSISTENCY: 0.5, ACCURACY: 1.0, GRAPH: 0.25}
    assert closed.total(values) == 0.5
    assert half_open.total(values) == 1.75


def test_it_is_opened_by_its_name_and_read_by_score() -> None:
    (checked,) = open_rewards(RewardFields(rewards=(CONSISTENCY,)), LexiconExtractor())
    assert checked.__name__ == CONSISTENCY
    assert checked(completions=[GOLD, AGAINST], question=[QUESTION] * 2) == [1.0, 0.0]
    assert score(AGAINST, GOLD, question=QUESTION).consistency == 0.0
