"""Texts of cheats: what they say, and that the strongest wording of a twist earns no more than the truth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi import prompts
from chexphi.graph.open import open_extractor
from chexphi.reward_checks import cheats
from chexphi.rewards import score

READER = open_extractor("lexicon")
SENTENCES = (
    "There is a small left pleural effusion.",
    "There is no pneumothorax.",
    "No nodule or opacity is seen.",
    "I see neither pacemaker nor central line.",
    "The heart is normal in size.",
    "On this image the heart is enlarged, which suggests cardiomegaly.",
    "An opacity in the right lower lung zone and a left central line are seen.",
    "The cardiomegaly has resolved since the prior film.",
)
TEXTS = st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=5, unique=True).map(" ".join)


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("A left effusion.", "A right effusion."),
        ("LEFT lung, Right lung", "RIGHT lung, Left lung"),
        ("left-sided, right-sided", "right-sided, left-sided"),
        ("shifted leftward", "shifted rightward"),
        ("bilateral, both lungs", "bilateral, both lungs"),
        ("upright, bright, cleft, leftover", "upright, bright, cleft, leftover"),  # no sides
        ("LUL and RLL, but RML", "RUL and LLL, but RML"),  # there is no left middle lobe
        ("left>right", "right>left"),
    ],
)
def test_sides_are_swapped(text: str, swapped: str) -> None:
    assert cheats.swap_sides(text) == swapped


@given(
    st.text()
    | st.lists(st.sampled_from(["left", "Right", "LUL", "RLL", "wards", "-", " ", "x"])).map("".join)
)
def test_sides_swapped_twice_are_as_before(text: str) -> None:
    assert cheats.swap_sides(cheats.swap_sides(text)) == text


@pytest.mark.parametrize(
    ("text", "flipped"),
    [
        ("There is no pleural effusion.", "There is pleural effusion."),
        ("There is a small left pleural effusion.", "There is no small left pleural effusion."),
        ("Cardiomegaly.", "No cardiomegaly."),
        ("No pneumothorax, effusion or nodule.", "Pneumothorax, effusion and nodule."),
        ("I see neither nodule nor pacemaker.", "I see nodule and pacemaker."),
        ("The effusion has resolved.", "The effusion persists."),
        ("Pneumothorax is no longer seen.", "Pneumothorax is still seen."),
        ("Clear without effusion.", "Clear with effusion."),
        ("Negative for pneumonia.", "Positive for pneumonia."),
        ("A left effusion but no pneumothorax.", "No left effusion but pneumothorax."),
        (
            "A pacemaker in the left chest wall and an opacity are seen.",
            "No pacemaker in the left chest wall and no opacity are seen.",
        ),
        (
            "There is increased opacity.",
            "There is no evidence of increased opacity.",
        ),  # `no increased` is a change
        ("The tube has been removed.", "The tube persists."),
        ("The heart is normal in size.", "The heart is normal in size."),  # no finding
        (
            "No pneumothorax on the left, but there is a right pneumothorax.",
            "Pneumothorax on the left, but there is no right pneumothorax.",
        ),
        ("No nodule.\n\nEffusion.  Edema.", "Nodule.\n\nNo effusion.  No edema."),
    ],
)
def test_polarity_is_flipped(text: str, flipped: str) -> None:
    assert cheats.flip_polarity(text, READER) == flipped


@given(TEXTS)
def test_the_extractor_reads_the_opposite(text: str) -> None:
    before, after = READER.parse([text, cheats.flip_polarity(text, READER)])
    flipped, stated = cheats.flipped_share(before, after)
    assert flipped == stated


def test_the_share_counts_what_stays() -> None:
    before, after, both = READER.parse(
        ["An effusion. No nodule.", "No effusion. No nodule.", "An effusion. No effusion. No nodule."]
    )
    assert cheats.flipped_share(before, after) == (1, 2)
    assert cheats.flipped_share(before, both) == (0, 2)  # said beside the opposite
    assert cheats.flipped_share(both, after) == (0, 1)  # what has both polarities has no opposite


@given(TEXTS)
def test_a_twisted_reference_earns_no_more_than_the_reference(text: str) -> None:
    gold = prompts.render(text, "yes")
    most = score(gold, gold).total
    for twisted in (cheats.flip_polarity(text, READER), cheats.swap_sides(text)):
        earned = score(prompts.render(twisted, "yes"), gold)
        assert earned.total is not None
        assert most is not None
        assert earned.total <= most
        changed = READER.extract([twisted, text])
        if changed[0] != changed[1]:
            assert earned.total < most


@pytest.mark.parametrize("denied", [False, True])
def test_every_finding_is_read_as_it_is_listed(denied: bool) -> None:
    (graph,) = READER.extract([cheats.every_finding(denied=denied)])
    labels = [label for _, label in graph.entities if label.startswith(("disorder", "devices"))]
    assert len(labels) > 500
    assert sum(label.endswith("notpresent") == denied for label in labels) > 0.99 * len(labels)


def test_the_richest_sentence_earns_the_most_of_all() -> None:
    text = " ".join(SENTENCES)
    alone = {sentence: score(prompts.render(sentence, "yes"), text).graph or 0.0 for sentence in SENTENCES}
    assert alone[cheats.richest_sentence(text, READER)] == max(alone.values())
    assert cheats.richest_sentence("", READER) == ""
