"""Contradictions of polarity and side, told from omissions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.graph.claims import agreement, claims, contradicted
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.types import Graph

EXTRACTOR = LexiconExtractor()


def graphs(*texts: str) -> list[Graph]:
    return EXTRACTOR.extract(texts)


@pytest.mark.parametrize(
    ("predicted", "reference", "wrong"),
    [
        ("No pneumothorax.", "There is a pneumothorax.", {"pneumothorax"}),
        ("There is a pneumothorax.", "No pneumothorax.", {"pneumothorax"}),
        ("There is a pacemaker.", "No pacemaker.", {"pacemaker"}),
        ("", "There is a pneumothorax.", set()),  # left out
        ("Cardiomegaly.", "There is a pneumothorax.", set()),  # invented
        ("Right apical pneumothorax.", "Left apical pneumothorax.", {"pneumothorax", "apical"}),
        ("Pneumothorax.", "Left pneumothorax.", set()),  # no side said
        ("Left pneumothorax.", "Pneumothorax.", set()),
        ("Bilateral effusions.", "Left effusion.", set()),
        ("Left effusion.", "Bilateral effusions.", set()),
        ("Right effusion.", "Right effusion. No left effusion.", set()),
        ("No left effusion. Right effusion.", "Right effusion.", set()),  # a denial of another side
        ("No right effusion.", "Right effusion.", {"effusion"}),
        ("No effusion. Right effusion.", "Right effusion.", {"effusion"}),  # says both
        ("No right effusion.", "No effusion.", set()),
        (
            "There is a nodule in the left lung and an opacity in the right lung.",
            "There is a nodule in the right lung and an opacity in the left lung.",
            {"nodule", "opacity"},
        ),
    ],
)
def test_what_contradicts(predicted: str, reference: str, wrong: set[str]) -> None:
    said, known = graphs(predicted, reference)
    assert {text for text, _ in contradicted(said, known)} == wrong


def test_two_places_of_one_name_keep_their_sides() -> None:
    """As sets of entities and relations the two texts are one graph."""
    said, known = graphs(
        "A nodule in the left lung and an opacity in the right lung.",
        "A nodule in the right lung and an opacity in the left lung.",
    )
    assert said == known
    assert said.sides != known.sides
    assert agreement(said, known) == 0  # both findings; the lung has both sides and claims none


def test_agreement_is_the_share_that_is_not_contradicted() -> None:
    said, known = graphs("No effusion. No nodule.", "There is an effusion. No nodule. No pneumothorax.")
    assert len(claims(known)) == 3
    assert agreement(said, known) == pytest.approx(2 / 3)
    assert agreement(*graphs("Clear lungs.", "The film is rotated.")) == 1  # nothing is claimed


def test_sides_go_through_records_and_unions() -> None:
    one, other = graphs("Left effusion.", "Right nodule.")
    assert Graph.from_dict(one.to_dict()).sides == one.sides
    assert (one | other).sides == one.sides | other.sides
    old = {key: value for key, value in one.to_dict().items() if key != "sides"}
    assert Graph.from_dict(old).sides == frozenset()
    hedged, sure = graphs("Possible left effusion.", "Left effusion.")
    assert hedged.with_doubt().sides != sure.with_doubt().sides


SENTENCES = (
    "There is a {} effusion.", "No {} pneumothorax.", "A nodule in the {} upper lobe.", "Cardiomegaly.",
    "No pacemaker.", "The {} hilum is prominent.", "Bilateral opacities.", "A catheter in the {} atrium.",
)  # fmt: skip
TEXTS = st.lists(
    st.builds(str.format, st.sampled_from(SENTENCES), st.sampled_from(["left", "right"])), max_size=5
).map(" ".join)


@given(TEXTS, TEXTS)
def test_properties(one: str, other: str) -> None:
    a, b = graphs(one, other)
    assert 0 <= agreement(a, b) <= 1
    assert agreement(a, a) == agreement(b, b) == 1
    assert contradicted(a, b) <= claims(b)
    assert agreement(Graph(), b) == 1  # silence contradicts nothing
    mirrored_a, mirrored_b = graphs(*(re.sub("left|right", _other, text) for text in (one, other)))
    assert agreement(mirrored_a, mirrored_b) == agreement(a, b)


def _other(found: re.Match[str]) -> str:
    return "right" if found[0] == "left" else "left"
