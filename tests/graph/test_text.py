"""Sentences and words: where they start and end, on hard cases and on anything."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.graph.text import sentence_spans
from chexphi.graph.tokens import tokenize


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The lungs are clear. No effusion.No edema", ["The lungs are clear.", "No effusion.", "No edema"]),
        ("Nodule 1.5 x 2.5 cm. Dr. Smith was told.", ["Nodule 1.5 x 2.5 cm.", "Dr. Smith was told."]),
        ("1. Small effusion.\n2. No pneumothorax.", ["Small effusion.", "No pneumothorax."]),
        ("no evidence of\npneumothorax", ["no evidence of\npneumothorax"]),  # a wrapped line
        ("heart enlarged\nno effusion", ["heart enlarged", "no effusion"]),  # a list
        ("Small effusion, old\nNo edema", ["Small effusion, old", "No edema"]),
        ("Small effusion\n\nand more", ["Small effusion", "and more"]),
        ("<think>Big heart.</think><answer>no</answer>", ["Big heart.", "no"]),
        ("no <b>effusion</b> seen", ["no <b>effusion</b> seen"]),
        ("Is there edema? No edema!", ["Is there edema?", "No edema!"]),
        ("No edema\uff01 Clear\u3002", ["No edema\uff01", "Clear\u3002"]),
        (
            "Lines, e.g. a port. At 5 a.m. The tube moved.",
            ["Lines, e.g. a port.", "At 5 a.m.", "The tube moved."],
        ),
        (
            "_Edema._ `No nodule.` \u201cClear.\u201d End.",
            ["_Edema.", "_ `No nodule.", "` \u201cClear.", "\u201d End."],
        ),
        ("A dotted line ..... none", ["A dotted line ..... none"]),
        ("Cardiomegaly.", ["Cardiomegaly."]),
        (" \n ", []),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in sentence_spans(text)] == expected


def test_words_and_their_places() -> None:
    text = "<think>Right-sided 3x4 cm mass at T12, 2nd rib: Ｏpacity"
    tokens = tokenize(text)
    assert [token.text for token in tokens] == [
        *("right-sided", "3", "x", "4", "cm", "mass", "at", "t12", ",", "2nd", "rib", ":", "opacity"),
    ]
    assert [text[token.start : token.end].lower() for token in tokens[:-1]] == [t.text for t in tokens[:-1]]


@given(st.text(alphabet=st.sampled_from("ab A.B?\n<think>/1,;-é​ \t"), max_size=60) | st.text(max_size=60))
def test_sentences_are_apart_and_leave_no_word_out(text: str) -> None:
    places = sentence_spans(text)
    assert all(a < b for a, b in places)
    assert all(b <= c for (_, b), (c, _) in pairwise(places))
    if "<" not in text:
        inside = [token.text for a, b in places for token in tokenize(text[a:b]) if token.text.isalpha()]
        assert inside == [token.text for token in tokenize(text) if token.text.isalpha()]


@pytest.mark.parametrize(("unit", "most"), [("?", 400), ("no, ", 400), ("- ", 400), ("word ", 300), ("a", 1)])
def test_a_text_without_ends_is_cut(unit: str, most: int) -> None:
    """A sentence has 1,500 characters and 400 words and marks at most, so that no rule meets more."""
    text = f"x {unit * 3_000}x"
    places = sentence_spans(text)
    assert all(end - start <= 1_500 for start, end in places)
    assert max(len(tokenize(text[start:end])) for start, end in places) <= most
    assert "".join("".join(text[start:end] for start, end in places).split()) == "".join(text.split())
