from __future__ import annotations

import json
import logging
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.mining import select
from chexphi.mining.scored_row import ScoredRow, has_wrong_reason, is_hard
from chexphi.mining.select import SELECTIONS
from chexphi.schema import InputError


def row(name: str, about: str = "presence", *correct: float) -> ScoredRow:
    return ScoredRow(id=name, question_type=about, kind="basic", correct=correct or (0.0, 1.0))


def pool(**counts: int) -> list[ScoredRow]:
    return [row(f"{about}-{n}", about) for about, count in counts.items() for n in range(count)]


SCORES = st.sampled_from([(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
EARNED = st.sampled_from([(None, None), (0.0, 0.4), (0.4, 0.5), (0.5, 1.0)])
POOLS = st.lists(
    st.builds(
        ScoredRow,
        id=st.integers(0, 10_000).map(str),
        question_type=st.sampled_from(["presence", "location", "view", "change"]),
        kind=st.just("basic"),
        correct=SCORES,
        graph=EARNED,
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda found: found.id,
).filter(lambda rows: any(sum(found.correct) < 2 for found in rows))
NAMES = st.sampled_from(sorted(SELECTIONS))


@given(rows=POOLS, policy=NAMES, number=st.integers(1, 50), seed=st.integers(0, 5), order=st.randoms())
def test_a_draw_is_nested_free_of_duplicates_and_blind_to_order(
    rows: list[ScoredRow], policy: str, number: int, seed: int, order: random.Random
) -> None:
    drawn = select.select(policy, rows, number, seed=seed)
    assert len({found.id for found in drawn}) == len(drawn)
    allowed = rows if not policy.startswith("hard") else [found for found in rows if found.accuracy < 1]
    if policy == "hard_reasoning":
        allowed = [found for found in rows if found.accuracy < 1 or has_wrong_reason(found)]
    assert len(drawn) == min(number, len(allowed))
    assert set(drawn) <= set(allowed)
    mixed = list(rows)
    order.shuffle(mixed)
    assert select.select(policy, mixed, number, seed=seed) == drawn
    assert select.select(policy, rows, number + 3, seed=seed)[: len(drawn)] == drawn


@given(rows=POOLS, number=st.integers(1, 50))
def test_types_have_equal_shares_as_far_as_they_last(rows: list[ScoredRow], number: int) -> None:
    available = Counter(found.question_type for found in rows)
    taken = Counter(found.question_type for found in select.uniform(rows, number, seed=1))
    most = max(taken.values())
    assert all(taken[about] >= min(count, most - 1) for about, count in available.items())


@given(rows=POOLS, number=st.integers(1, 50))
def test_hard_rows_come_before_unsolved_ones(rows: list[ScoredRow], number: int) -> None:
    hard = [found for found in rows if is_hard(found)]
    for policy in ("hard_uniform", "hard_random"):
        drawn = select.select(policy, rows, number, seed=0)
        assert sum(map(is_hard, drawn)) == min(number, len(hard))
        assert all(map(is_hard, drawn[: len(hard)]))


@given(rows=POOLS, number=st.integers(1, 50), seed=st.integers(0, 5))
def test_wrong_reasons_come_before_the_rest_of_hard_uniform(
    rows: list[ScoredRow], number: int, seed: int
) -> None:
    wrong = {found.id for found in rows if has_wrong_reason(found)}
    drawn = select.hard_reasoning(rows, number, seed=seed)
    assert {found.id for found in drawn[: len(wrong)]} <= wrong
    others = [found for found in select.hard_uniform(rows, len(rows), seed=seed) if found.id not in wrong]
    assert drawn[len(wrong) :] == others[: max(0, number - len(wrong))]
    available = Counter(found.question_type for found in rows if found.id in wrong)
    taken = Counter(found.question_type for found in drawn[: len(wrong)])
    most = max(taken.values(), default=0)
    assert all(taken[about] >= min(count, most - 1) for about, count in available.items())


@pytest.mark.parametrize(
    ("correct", "graph", "wrong"),
    [
        ((1.0,), (0.0,), True),
        ((1.0,), (0.499,), True),
        ((1.0,), (0.5,), False),
        ((0.0,), (0.0,), False),  # wrong for whatever reason
        ((0.5,), (0.0,), False),  # half right is not right
        ((1.0,), (None,), False),  # the reference has nothing to compare
        ((1.0,), (), False),  # scored without a measure
        ((0.0, 1.0), (0.0, 0.9), False),
        ((0.0, 1.0), (0.9, 0.0), True),
        ((1.0, 1.0, 1.0), (1.0, 0.2, 1.0), True),  # once is enough
    ],
)
def test_what_is_right_for_the_wrong_reason(
    correct: tuple[float, ...], graph: tuple[float | None, ...], wrong: bool
) -> None:
    assert has_wrong_reason(ScoredRow("a", "presence", "basic", correct, graph=graph)) is wrong


@pytest.mark.parametrize(
    ("number", "names"),
    [
        (1, []),
        (2, []),
        (3, ["hard"]),
        (9, ["hard", "never"]),  # what is always right, and for the right reason, is left out
    ],
)
def test_what_hard_reasoning_draws(number: int, names: list[str]) -> None:
    rows = [
        ScoredRow("always", "a", "basic", (1.0, 1.0), graph=(0.5, 1.0)),
        ScoredRow("never", "a", "basic", (0.0, 0.0), graph=(0.0, 0.0)),
        ScoredRow("hard", "a", "basic", (0.0, 1.0), graph=(0.0, 0.9)),
        ScoredRow("wrong, hard", "a", "basic", (0.0, 1.0), graph=(0.9, 0.1)),
        ScoredRow("wrong", "b", "basic", (1.0, 1.0), graph=(0.9, 0.1)),
    ]
    drawn = [found.id for found in select.hard_reasoning(rows, number, seed=1)]
    assert set(drawn[:2]) <= {"wrong", "wrong, hard"}  # of two types, in either order
    assert len(drawn) == min(number, 4)
    assert drawn[2:] == names


def test_many_small_types_do_not_overdraw() -> None:
    """The original: 100 types of 10, 40 wanted, gave one type a share of 40 and the others none."""
    rows = pool(**{f"t{n}": 10 for n in range(100)})
    drawn = select.uniform(rows, 40, seed=0)
    assert max(Counter(found.question_type for found in drawn).values()) == 1
    assert len(drawn) == 40


def test_rare_types_are_kept() -> None:
    """The original: 5000/12/3, 1000 wanted, gave 997/2/1."""
    drawn = select.uniform(pool(common=5000, rare=12, rarest=3), 1000, seed=0)
    assert Counter(found.question_type for found in drawn) == {"common": 985, "rare": 12, "rarest": 3}


def test_more_than_there_is_is_clipped_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert len(select.hard_uniform(pool(presence=9), 10, seed=0)) == 9
    assert "10 examples wanted, 9 available" in caplog.text


def test_the_seed_decides() -> None:
    rows = pool(presence=50, location=50)
    assert select.uniform(rows, 20, seed=0) == select.uniform(rows, 20, seed=0)
    assert select.uniform(rows, 20, seed=0) != select.uniform(rows, 20, seed=1)


@pytest.mark.parametrize("alias", [("hard_sample", "hard_uniform"), ("uniform_sample", "uniform")])
def test_both_spellings_are_one_selection(alias: tuple[str, str]) -> None:
    rows = pool(presence=9, view=9)
    assert select.select(alias[0], rows, 7, seed=3) == select.select(alias[1], rows, 7, seed=3)


@pytest.mark.parametrize(
    ("correct", "hard"),
    [
        ((1.0,), False),
        ((0.0,), True),
        ((0.5,), True),
        ((1.0, 1.0), False),
        ((0.0, 0.0), False),
        ((0.0, 1.0, 1.0, 1.0), True),
    ],
)
def test_what_is_hard(correct: tuple[float, ...], hard: bool) -> None:
    assert is_hard(row("a", "presence", *correct)) is hard


@pytest.mark.parametrize("correct", [True, 1, 1.0, [1], [True]])
def test_one_is_as_right_as_true(correct: object) -> None:
    """The original compares with `is True` and so takes 1 for wrong."""
    assert ScoredRow.from_dict({"id": "a", "correct": correct}).correct == (1.0,)


def test_a_row_survives_the_disk() -> None:
    found = ScoredRow(id="a", question_type="view", kind="compare", correct=(0.0, 1.0), confidence=0.25)
    assert ScoredRow.from_dict(found.to_dict()) == found


@pytest.mark.parametrize("graph", [(0.25, None), (None, None), (0, 1)])
def test_graph_figures_survive_the_disk(graph: tuple[float | None, ...]) -> None:
    found = ScoredRow("a", "view", "compare", (0.0, 1.0), graph=graph)
    assert ScoredRow.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_without_a_measure_a_line_has_no_graph() -> None:
    assert "graph" not in row("a").to_dict()
    assert ScoredRow.from_dict({"id": "a", "correct": [1], "graph": None}).graph == ()
    assert ScoredRow.from_dict({"id": "a", "correct": 1, "graph": 0.5}).graph == (0.5,)


@pytest.mark.parametrize(
    "graph", [[0.5], [0.5, 0.5, 0.5], [0.5, 1.5], [0.5, "1"], [0.5, True], 0.5, {"a": 1}, "ab"]
)
def test_bad_graph_figures_are_refused(graph: object) -> None:
    with pytest.raises(InputError, match="scored example 'a' has a `graph` that is not a list of a number"):
        ScoredRow.from_dict({"id": "a", "correct": [0, 1], "graph": graph})


@pytest.mark.parametrize("bad", [{}, {"id": "a"}, {"id": "a", "correct": []}, {"id": "a", "correct": ["x"]}])
def test_a_bad_scored_row_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(InputError, match="score the pool again"):
        ScoredRow.from_dict(bad)


def test_bad_wishes_are_refused() -> None:
    with pytest.raises(InputError, match="unknown selection 'best'"):
        select.select("best", pool(presence=3), 1, seed=0)
    with pytest.raises(InputError, match="at least 1"):
        select.uniform(pool(presence=3), 0, seed=0)
    with pytest.raises(InputError, match="nothing to draw from"):
        select.uniform([], 1, seed=0)
    with pytest.raises(InputError, match="always right"):
        select.hard_uniform([row("a", "presence", 1.0, 1.0)], 1, seed=0)
    with pytest.raises(InputError, match="an id twice"):
        select.random([row("a"), row("a")], 1, seed=0)
    scored = ScoredRow("a", "presence", "basic", (1.0,), graph=(0.0,))
    with pytest.raises(InputError, match="an id twice"):
        select.hard_reasoning([scored, scored], 1, seed=0)
    with pytest.raises(InputError, match="example 'b' has no `graph`: score the pool with --measure"):
        select.hard_reasoning([scored, row("b")], 1, seed=0)
    with pytest.raises(InputError, match="nothing to draw from"):
        select.hard_reasoning([], 1, seed=0)
