"""Answers: the defects R6-R12 and E1-E3 of the original are the table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi import answers

EXACT = [
    # predicted, gold, expected
    ("yes", ["yes"], 1),
    ("Yes.", ["yes"], 1),  # R7: punctuation and case
    ("\nyes\n", ["yes"], 1),  # R6
    ("The left lung", ["left lung"], 1),  # articles
    ("no", ["yes"], 0),
    ("yes, no", ["yes"], 0),  # R8: a shotgun
    ("opacity, nodule", ["nodule", "opacity"], 1),  # lists in any order
    ("opacity and nodule", ["nodule", "opacity"], 1),
    ("opacity; nodule", ["nodule, opacity"], 1),
    ("opacity, opacity", ["opacity"], 1),
    ("opacity", ["nodule", "opacity"], 0),  # R8: 1 of 2
    ("opacity, edema, nodule, mass, effusion", ["opacity"], 0),
    ("1", ["1.5 cm"], 0),  # R11: nothing is cut at a point
    ("1.5 cm", ["1.5 cm"], 1),
    ("15 cm", ["1.5 cm"], 0),
    ("", [""], 0),  # R12: nothing equals nothing
    ("", ["yes"], 0),
    ("anything", [""], 0),
    ("eyes", ["yes"], 0),  # E3
    ("normal", ["no"], 0),  # E1
    ("right", ["left"], 0),
    ("ＹＥＳ", ["yes"], 1),  # Unicode forms
    ("right-sided", ["right sided"], 1),
]


@pytest.mark.parametrize(("predicted", "gold", "expected"), EXACT)
def test_exact(predicted: str, gold: list[str], expected: float) -> None:
    assert answers.score(predicted, gold) == expected


@pytest.mark.parametrize(
    ("match", "predicted", "gold", "expected"),
    [
        ("f1", "opacity", ["opacity", "nodule"], 2 / 3),
        ("f1", "opacity, nodule, mass", ["opacity"], 0.5),
        ("f1", "", ["opacity"], 0),
        ("f1", "", [], 0),
        ("any", "yes, no", ["yes"], 1),  # the original's reward pays a shotgun
        ("any", "opacity", ["nodule"], 0),
        ("any", "", [""], 0),
        ("substring", "<think>normal lungs</think><answer>yes</answer>", ["no"], 1),  # E1, kept to compare
        ("substring", "my eyes", ["yes"], 1),  # E3
        ("substring", "Is it left? No. right", ["left"], 1),  # E2
        ("substring", "anything", [""], 0),  # E3: an empty reference is never met
        ("substring", "Right", ["right", "left"], 1),
    ],
)
def test_other_matches(match: answers.Match, predicted: str, gold: list[str], expected: float) -> None:
    assert answers.score(predicted, gold, match) == pytest.approx(expected)


def test_unknown_match_is_named() -> None:
    with pytest.raises(ValueError, match="'fuzzy'"):
        answers.score("a", ["a"], "fuzzy")  # type: ignore[arg-type]


LABELS = st.lists(
    st.sampled_from(["opacity", "left lung", "nodule", "1.5 cm", "none", "pleural effusion"]), max_size=5
)


@given(predicted=LABELS, gold=LABELS, seed=st.randoms())
def test_order_repetition_and_case_do_not_matter(predicted: list[str], gold: list[str], seed) -> None:
    other = [label.upper() for label in predicted + predicted]
    seed.shuffle(other)
    for match in ("exact", "f1", "any"):
        assert answers.score(predicted, gold, match) == answers.score(", ".join(other), gold, match)


@given(predicted=LABELS, gold=LABELS)
def test_exact_is_the_strictest(predicted: list[str], gold: list[str]) -> None:
    exact, f1, some = (answers.score(predicted, gold, match) for match in ("exact", "f1", "any"))
    assert 0 <= exact <= f1 <= some <= 1


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = answers.normalize(text)
    assert answers.normalize(once) == once
