"""Rewards by name: TRL's own, functions of the user's, RadEval's; and what stops a run in words."""

from __future__ import annotations

import math
import re
import sys
import traceback
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.rewards import batch_texts, by_name, score
from chexphi.rewards.checked import CheckedReward, RewardError
from chexphi.rewards.settings import RewardFields
from chexphi.schema import InputError

GOLD = "<think>There is a pleural effusion.</think><answer>yes</answer>"
WRONG = "<think>The lungs are clear.</think><answer>no</answer>"
FIRST = "<answer>yes</answer><think>There is a pleural effusion.</think>"
BATCH: dict[str, Any] = {"solution": [GOLD] * 3, "id": ["a", "a", "b"]}


def values(
    name: str, completions: Sequence[Any], *, longest: int | None = None, **columns: Any
) -> list[float | None]:
    (reward,) = by_name.open_rewards(
        RewardFields(rewards=[name]), LexiconExtractor(), end_token_ids=[9], max_completion_length=longest
    )
    assert reward.__name__ == name
    return reward(completions=completions, **columns)


def test_format_takes_both_orders_and_trls_own_the_first() -> None:
    turns = [[{"role": "assistant", "content": text}] for text in (GOLD, FIRST, "yes")]
    for batch in (turns, [GOLD, FIRST, "yes"]):
        assert values("format", batch, **BATCH) == [1.0, 1.0, 0.0]
        assert values("think_format_reward", batch, **BATCH) == [1.0, 0.0, 0.0]
    assert values("format", [GOLD, GOLD], completion_ids=[[1, 9], [1, 2]]) == [1.0, 0.0]


@pytest.mark.parametrize("compat", ["default", "original"])
@pytest.mark.parametrize(
    "name", ["external_r1v_acc", "external_kg_jac", "format", "think_format_reward", "test_module:own"]
)
def test_a_column_says_that_the_prompt_opened_the_reasoning(
    name: str, compat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("test_module")
    module.own = lambda completions, opened_think, **columns: list(map(float, opened_think))
    monkeypatch.setitem(sys.modules, "test_module", module)
    fields = RewardFields(rewards=[name], compat=compat)
    (reward,) = by_name.open_rewards(fields, LexiconExtractor())
    inside = GOLD.removeprefix("<think>")
    for whole, rest in (
        (GOLD, inside),
        ([{"role": "a", "content": GOLD}], [{"role": "a", "content": inside}]),
    ):
        columns = {"solution": [GOLD] * 3, "opened_think": [False, True, True]}
        assert reward(completions=[whole, rest, rest], **columns) == (
            [1.0] * 3 if name != "test_module:own" else [0.0, 1.0, 1.0]
        )
    if name != "test_module:own" and compat == "default":  # the original's do not ask for the tag
        assert reward(completions=[inside], solution=[GOLD], opened_think=[None]) == [0.0]
    assert score(inside, GOLD, opened_think=True) == score(GOLD, GOLD)


def test_it_is_said_once_if_the_column_seems_to_be_missing(caplog: pytest.LogCaptureFixture) -> None:
    inside = GOLD.removeprefix("<think>")
    batch_texts.warn_opened_think.cache_clear()
    values("format", [inside, GOLD], solution=[GOLD] * 2)
    assert not caplog.records
    for _ in range(2):
        assert values("format", [inside, inside], solution=[GOLD] * 2) == [0.0, 0.0]
    assert [record.message.count("opened_think") for record in caplog.records] == [1]
    caplog.clear()
    batch_texts.warn_opened_think.cache_clear()
    assert values("format", [inside], solution=[GOLD], opened_think=[True]) == [1.0]
    assert not caplog.records


def test_penalties_are_those_of_the_papers() -> None:
    ids = [[1] * 80, [1] * 90, [1] * 100, list(range(80))]
    assert values("soft_overlong", [GOLD] * 4, longest=100, completion_ids=ids) == [0.0, -0.5, -1.0, 0.0]
    assert values("repetition", [GOLD] * 2, completion_ids=[[5] * 12, list(range(12))]) == [-0.9, 0.0]


def test_what_penalties_need() -> None:
    with pytest.raises(InputError, match="soft_overlong needs max_completion_length"):
        values("soft_overlong", [GOLD], completion_ids=[[1]])
    with pytest.raises(InputError, match="repetition counts tokens"):
        values("repetition", [GOLD])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with a module of the user's."""
    (tmp_path / "own_rewards.py").write_text(
        "def length(completions, solution, **columns):\n"
        "    return [len(c) - len(s) for c, s in zip(completions, solution)]\n"
        "async def later(completions, **columns):\n"
        "    return [0.5] * len(completions)\n"
        "class Box:\n"
        "    ones = staticmethod(lambda completions, **columns: [1] * len(completions))\n"
        "LIMIT = 3\n"
    )
    (tmp_path / "lacking.py").write_text("import no_such_library\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for module in ("own_rewards", "lacking"):
        sys.modules.pop(module, None)


def test_functions_of_ones_own(folder: Path) -> None:
    assert values("own_rewards:length", [GOLD, GOLD + "!!", GOLD], **BATCH) == [0.0, 2.0, 0.0]
    assert values("own_rewards:later", [GOLD, WRONG]) == [0.5, 0.5]
    assert values("own_rewards:Box.ones", [GOLD]) == [1.0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "own_reward:length",
            r"no module own_reward in /.* or among .*: check its name, and run from the folder",
        ),
        ("own_rewards.sub:length", r"no module own_rewards\.sub"),
        ("own_rewards:lenght", "no function 'lenght'"),
        ("own_rewards:LIMIT", "no function 'LIMIT'"),
        (":length", "names no module"),
        ("own_rewards:", "no function ''"),
        ("radeval:radcliq", "less is better"),
        ("radeval:bleu", r"pip install .*\[radeval\]'"),
    ],
)
def test_what_is_not_there_is_said_in_words(folder: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        by_name.check_functions([name])


def test_a_library_that_a_users_module_lacks_is_named(folder: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        by_name.check_functions(["lacking:length"])


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ([1.0, 1.0], "returned 2 values for 3 completions"),
        (None, "returned NoneType"),
        (1.0, "returned float"),
        ("abc", "returned str"),
        ([1.0, math.nan, 1.0], "is nan for row a"),
        ([1.0, 1.0, math.inf], "is inf for row b"),
        ([1.0, "0.5", 1.0], "is str for row a"),
        ([1.0, None, 1.0], "is None for some completions of row a"),
        ([None, 1.0, 1.0], "is None for some completions of row a"),
    ],
)
def test_what_is_no_reward_is_refused(returned: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"reward mine {message}"):
        CheckedReward("mine", lambda completions, **columns: returned)([GOLD] * 3, **BATCH)


def test_none_for_every_completion_of_a_row_is_fine() -> None:
    import numpy

    reward = CheckedReward("mine", lambda completions, **columns: [None, None, numpy.float32(0.5)])
    assert reward([GOLD] * 3, **BATCH) == [None, None, 0.5]


def test_a_reward_that_raises_names_the_row() -> None:
    logged: list[str] = []

    def reward(completions: list[str], id: list[str], log_metric: Any, **columns: Any) -> list[float]:
        log_metric("calls", 1.0)
        if "b" in id:
            raise KeyError(completions[0])
        return [1.0] * len(completions)

    with pytest.raises(RewardError, match=r"^reward mine raised KeyError on row b \(") as raised:
        CheckedReward("mine", reward)([GOLD] * 3, log_metric=lambda *metric: logged.append("call"), **BATCH)
    assert f"({__file__}:{reward.__code__.co_firstlineno + 3})" in str(raised.value)
    shown = "".join(traceback.format_exception(raised.value))
    assert GOLD not in shown
    assert "direct cause" not in shown
    assert GOLD in str(raised.value.__context__)  # for who catches it
    assert len(logged) == 1  # the search for the row logs nothing

    def by_size(completions: list[str], **columns: Any) -> list[float]:
        if len(completions) > 1:
            raise MemoryError
        return [1.0]

    with pytest.raises(RewardError, match="a batch of 3 rows, of which none raises alone"):
        CheckedReward("mine", by_size)([GOLD] * 3, **BATCH)


@pytest.mark.parametrize(("depth", "lines"), [(0, 1), (2, 3), (40, 5)])
def test_a_reward_that_raises_names_its_lines_the_first_and_the_last(depth: int, lines: int) -> None:
    def deeper(left: int) -> float:
        return deeper(left - 1) if left else float("no number")

    def reward(completions: list[str], **columns: Any) -> list[float]:
        return [deeper(depth - 1) if depth else float("no number")]

    with pytest.raises(RewardError) as raised:
        CheckedReward("mine", reward)([GOLD], id=["a"])
    steps = re.search(r"on row a \((.*?)\): its message", str(raised.value))
    assert steps
    assert len(steps[1].split(" > ")) == lines
    assert f"{__file__}:{reward.__code__.co_firstlineno + 1}" in steps[1]


def test_a_reward_that_cannot_be_called_has_no_line() -> None:
    with pytest.raises(RewardError, match=r"raised TypeError on row a \(in its call\)"):
        CheckedReward("mine", lambda completions: [1.0])([GOLD], id=["a"])


def test_a_combined_reward_has_its_parts_beside_it() -> None:
    fields = RewardFields(combine="gated", rewards=["soft_overlong", "external_r1v_acc", "external_kg_jac"])
    opened = by_name.open_rewards(fields, LexiconExtractor(), max_completion_length=10)
    functions, weights = by_name.trainer_rewards(fields, opened, [0.5, 2.0, 1.0])
    assert [f.__name__ for f in functions] == [
        "gated",
        "external_r1v_acc",
        "external_kg_jac",
        "soft_overlong",
    ]
    assert weights == [1.0, 0.0, 0.0, 0.5]
    half = "<think>There is a pleural effusion.</think><answer>no</answer>"
    columns = {"completions": [GOLD, half, WRONG], "completion_ids": [[1] * 5, [1] * 9, [1] * 10], **BATCH}
    found = [function(**columns) for function in functions]
    assert found == [[3.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, -0.5, -1.0]]
    assert by_name.trainer_rewards(RewardFields(), opened, None) == (opened, None)


def test_a_product_of_a_negative_reward_names_the_row() -> None:
    fields = RewardFields(combine="product", rewards=["external_r1v_acc", "mine:own"])
    opened = [
        CheckedReward("external_r1v_acc", lambda completions, **columns: [1.0] * 3),
        CheckedReward("mine:own", lambda completions, **columns: [1.0, 1.0, -1.0]),
    ]
    functions, _ = by_name.trainer_rewards(fields, opened, None)
    with pytest.raises(InputError, match="row b: reward mine:own is -1"):
        functions[0]([GOLD] * 3, **BATCH)


def test_the_originals_rewards_by_name() -> None:
    fields = RewardFields(compat="original")
    answer, graph = by_name.open_rewards(fields, by_name.extractor_of(fields))
    turns = [[{"role": "assistant", "content": text}] for text in ("yes", GOLD)]
    assert answer(completions=turns, solution=[GOLD, WRONG]) == [1.0, 0.0]
    scores = graph(completions=turns, solution=[WRONG, GOLD])
    alone = [graph(completions=[text], solution=[WRONG])[0] for text in ("yes", GOLD)]
    assert scores == alone  # the first solution for all
