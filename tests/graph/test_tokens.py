"""Words: contractions in full, sides written by a letter, hyphens at a line's end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.tokens import tokenize


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("isn't", "is not"),
        ("isn\u2019t", "is not"),
        ("ISN\u02bcT", "is not"),
        ("doesnt", "does not"),
        ("can't be", "cannot be"),
        ("won't", "will not"),
        ("there's", "there is"),
        ("we've", "we have"),
        ("I'm", "i am"),
        ("patient's", "patient 's"),
        ("L effusion", "left effusion"),
        ("L>R", "left > right"),
        ("Effusions, L > R. Mild edema", "effusions , left > right . mild edema"),
        ("(R) lung", "( right ) lung"),
        ("Lt. lung", "left . lung"),
        ("R-sided", "right-sided"),
        ("B/L effusions", "bilateral effusions"),
        ("R/o edema", "r / o edema"),
        ("L 1", "l 1"),
        ("L1", "l1"),
        ("L spine", "l spine"),
        ("R. Smith", "r . smith"),
        ("right-\n  sided", "right-sided"),
    ],
)
def test_words_in_full(text: str, expected: str) -> None:
    assert " ".join(token.text for token in tokenize(text)) == expected


PARTS = (
    "isn't",
    "can\u2019t",
    "there's",
    "L",
    "R,",
    "Rt",
    "B/L",
    "right-\nsided",
    "e\u0301",
    "1.5",
    "?",
    "(",
)


@given(st.lists(st.sampled_from(PARTS)))
def test_places_are_in_order_and_inside(parts: list[str]) -> None:
    text = " ".join(parts)
    tokens = tokenize(text)
    ends = [0, *(token.end for token in tokens)]
    assert all(end <= token.start < token.end <= len(text) for end, token in zip(ends, tokens, strict=False))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LLL opacity.", {"left"}),
        ("Opacity in the RUL.", {"right"}),
        ("Opacity in the lingula.", {"left"}),
        ("Bibasilar opacity.", {"left", "right"}),
        ("Left opacity, none on the right.", {"left"}),
        ("The opacity is in the right lung, not in the left.", {"right"}),
        ("Opacity on the left but not on the right.", {"left"}),
        ("L-sided opacity.", {"left"}),
        ("Opacity of both lungs, L > R.", {"left", "right"}),
    ],
)
def test_the_side_of_an_opacity(text: str, expected: set[str]) -> None:
    (graph,) = LexiconExtractor().extract([text])
    present = {side for entity, side in graph.sides if entity == ("opacity", "disorder_present")}
    assert present == expected


@pytest.mark.parametrize("word", ["PTX", "PNA", "GGO", "NGT", "OGT"])
def test_abbreviations_are_known(word: str) -> None:
    (parse,) = LexiconExtractor().parse([f"{word} is seen."])
    assert [mention.label for mention in parse.mentions] in (["disorder_present"], ["devices_present"])
