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
    # an option letter is no article
    ("A", ["a"], 1),
    ("a)", ["A"], 1),
    ("option a", ["A"], 1),
    ("choice (A)", ["A"], 1),
    ("A", ["B"], 0),
    ("A, B", ["B"], 0),
    ("A and B", ["B"], 0),
    ("A, B", ["B", "A"], 1),
    ("A B", ["A", "B"], 0),
    ("A. cardiomegaly", ["cardiomegaly"], 0),
    ("(A) cardiomegaly", ["A. cardiomegaly"], 1),
    ("A-P", ["P-A"], 0),
    ("A/P", ["P"], 0),
    ("Hepatitis A", ["hepatitis"], 0),
    ("stanford a dissection", ["Stanford dissection"], 0),
    ("A-line", ["line"], 0),
    ("a chest tube", ["chest tube"], 1),
    ("in a 7 mm nodule of the lung", ["in 7 mm nodule of lung"], 1),
    # a sign is meaning, a hyphen within a word or a range is none
    ("< 2 cm", ["<2 cm"], 1),
    ("<2 cm", ["2 cm"], 0),
    ("≥2", ["≤2"], 0),
    (">= 2", ["≥2"], 1),
    ("\u22122", ["-2"], 1),
    ("(-2)", ["2"], 0),
    ("- 2", ["2"], 0),
    ("T-score -2.5", ["T-score 2.5"], 0),
    ("HIV+", ["HIV-"], 0),
    ("HIV (+)", ["HIV +"], 1),
    ("(+)", ["(-)"], 0),
    ("++", ["+"], 0),
    ("1+", ["1"], 0),
    ("2\u20133", ["2-3"], 1),
    ("2 - 3", ["2-3"], 1),
    ("2-3", ["23"], 0),
    ("COVID-19", ["covid 19"], 1),
    ("L > R", ["R > L"], 0),
    ("40%", ["40"], 0),
    ("40 %", ["40%"], 1),
    ("~40", ["40"], 0),
    ("3 ± 1", ["3 1"], 0),
    ("\u2191 opacity", ["\u2193 opacity"], 0),
    ("effusion?", ["effusion"], 0),
    (".5 cm", ["5 cm"], 0),
    (".5 cm", ["0.5 cm"], 1),
    ("2,5 cm", ["2.5 cm"], 1),
    ("2,5", ["25"], 0),
    ("12,000", ["12000"], 1),
    ("12,000", ["12", "000"], 0),
    ("1½", ["11/2"], 0),
    # what parts a list, and what does not
    ("mass、nodule", ["nodule", "mass"], 1),
    ("mass，nodule；edema", ["nodule", "mass", "edema"], 1),
    ("mass／nodule", ["nodule", "mass"], 1),
    ("mass & nodule", ["nodule", "mass"], 1),
    ("mass | nodule", ["nodule", "mass"], 1),
    ("mass + nodule", ["nodule", "mass"], 1),
    ("1. mass\n2. nodule", ["nodule", "mass"], 1),
    ("(1) mass (2) nodule", ["nodule", "mass"], 1),
    ("①mass②nodule", ["nodule", "mass"], 1),
    ("- mass\n- nodule", ["nodule", "mass"], 1),
    ("• mass • nodule", ["nodule", "mass"], 1),
    ("- 3 mm\n- 4 mm", ["3 mm", "4 mm"], 1),
    ("left- and right-sided", ["right-sided", "left"], 1),
    ("R/L", ["L", "R"], 1),
    ("A/C", ["C", "A"], 1),
    ("mass/nodule", ["mass"], 0),
    ("A and/or B", ["A", "B"], 0),
    ("N/A", ["n", "a"], 0),
    ("2/3", ["3/2"], 0),
    ("130/70", ["130", "70"], 0),
    ("05/06/2021", ["06/05/2021"], 0),
    ("4 mg/dl", ["dl", "4 mg"], 0),
    ("w/o contrast", ["contrast"], 0),
    ("1. mass", ["mass"], 0),  # one number makes no list
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


SIGNS = [*"aAbLR <>\u00b1-+5.,?%/)( \u2191\u00b0\n~\u2264=*", "the ", "an ", "of ", "\u2460", " - ", "\u00bd"]


@given(st.text() | st.lists(st.sampled_from(SIGNS), max_size=8).map("".join))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = answers.normalize(text)
    assert answers.normalize(once) == once


@given(predicted=LABELS, gold=LABELS)
def test_clinical_is_never_stricter_than_exact(predicted: list[str], gold: list[str]) -> None:
    assert answers.score(predicted, gold, "clinical") >= answers.score(predicted, gold)
