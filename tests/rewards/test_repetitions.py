"""A statement made again: by whatever it is parted and marked, it pays no more than made once."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi import prompts
from chexphi.data.phantom.language import caption
from chexphi.data.phantom.scene import sample_build, sample_scene
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.text import sentence_spans
from chexphi.rewards import GraphReward, score
from chexphi.rewards.repetitions import repeated

A = "There is a small left pleural effusion"
B = "The heart is enlarged"
C = "There is no pneumothorax"


@pytest.mark.parametrize(
    ("text", "reference", "share"),
    [
        ("A. B. C.", "A. B. C.", 0.0),
        ("A. A.", "A.", 1 / 2),
        ("A.  a! A", "A.", 2 / 3),  # case, marks and blanks aside
        ("A. A. B.", "A. A. B.", 0.0),  # as the reference has it
        ("A. A. A. B.", "A. A. B.", 1 / 3),
        ("D. D. D. D.", "A.", 3 / 4),
        ("D. D. D. D. A. A. B. C. E. F.", "A.", 3 / 4),  # the most repeated decides, whatever else is said
        (f"{A}. {B}. {A}.", f"{A}; {A}", 0.0),
        ("On the left, no nodule. On the left, no edema.", "A.", 0.0),
        ("The left lung is clear, the left hilum is clear.", "A.", 0.0),
        ("A very very small nodule. Dr. X said e.g. this, e.g. that.", "A.", 0.0),
        ("Nodule of 1.5 cm. Nodule of 2.5 cm.", "A.", 0.0),
        ("1. Small nodule. 2. Large nodule.", "A.", 0.0),
        ("... -- !!", "...", 0.0),
        ("", "", 0.0),
    ],
)
def test_what_is_repeated(text: str, reference: str, share: float) -> None:
    assert repeated(text, reference) == pytest.approx(share)


FORMS = (
    "{A}. {A}.", "{A}; {A}.", "{A}; {a}.", "{A}.\n{A}.", "{A}\n{A}", "{A}\n\n{A}", "- {A}\n- {A}",
    "* {A}.\n* {A}.", "1. {A}.\n2. {A}.", "1) {A} 2) {A}", "(1) {A}. (2) {A}.", "a) {A}\nb) {A}", "{A}! {A}?",
    "{A}... {A}...", '"{A}." "{A}."', '{A}. "{A}."', "\u201c{A}.\u201d \u201c{A}.\u201d", "**{A}.** **{A}.**",
    "{A}. **{A}**.", "_{A}._ _{A}._", "`{A}.` {A}.", "<b>{A}.</b> {A}.", "({A}.) ({A}.)", "[{A}] [{A}]",
    "{A}, {A}.", "{A}: {a}.", "{A} - {A}", "{A} | {A}", "{A} {A}", "{a}.{a}.", "{A}.{A}.", "{A} / {a}",
    "{A} and {a}", "{A}. And {a}.", "{A}. Also, {a}.",
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("beside", ["", f" {B}. {C}. I have looked at all of the film. It is all said."])
def test_marks_and_other_sentences_hide_no_repetition(form: str, beside: str) -> None:
    """With other sentences beside it as well, which were paid for before."""
    written = form.format(A=A, a=A.lower())
    text = f"{written}.{beside}" if written[-1].isalpha() else written + beside
    assert repeated(text, f"{A}. {B}.") == pytest.approx(1 / 2)
    assert repeated(text, f"{A}. {B}. {A}.") == 0  # the reference says it twice
    once = score(prompts.render(f"{A}.{beside}", "yes"), f"{A}.").graph
    twice = score(prompts.render(text, "yes"), f"{A}.").graph
    assert once
    assert twice == pytest.approx(once / 2)


def drawn(number: int) -> list[str]:
    rng = random.Random(number)
    return [caption(rng, sample_scene(rng, sample_build(rng)), "train")[1].think for _ in range(number)]


DRAWN = drawn(60)
PARTED = (". ", "; ", " ; ", ";", "! ", ".\n", "\n", ";\n", "\n\n", "\n- ", "\n* ", ".\n\n- ")
LEXICON = LexiconExtractor()


def parts(text: str) -> list[str]:
    return [text[start:end].rstrip(".") for start, end in sentence_spans(text)]


def graph(text: str, reference: str) -> float:
    found = score(prompts.render(text, "yes"), prompts.render(reference, "yes"), extractor=LEXICON).graph
    assert found is not None
    return found


@given(st.sampled_from(DRAWN), st.sampled_from(PARTED), st.booleans())
def test_how_golds_sentences_are_parted_costs_nothing(gold: str, parted: str, first: bool) -> None:
    said = parts(gold)
    if ";" in parted:
        said = [said[0], *(part[0].lower() + part[1:] if first else part for part in said[1:])]
    bullet = parted.rpartition("\n")[2] if "\n" in parted else ""
    assert graph(bullet + parted.join(said) + ".", gold) == 1


@given(st.sampled_from(DRAWN), st.data())
def test_a_repetition_never_earns_more_and_others_beside_it_raise_nothing(gold: str, data) -> None:
    said = parts(gold)
    text = data.draw(
        st.lists(st.sampled_from([*said, *parts(DRAWN[0]), "I look at it"]), min_size=1, max_size=6)
    )
    wrap = data.draw(st.sampled_from(["{}", '"{}"', "**{}**", "({})"]))
    again = [*text, wrap.format(data.draw(st.sampled_from(text)))]
    parted = data.draw(st.sampled_from([". ", "; ", ".\n"]))
    whole = [parted.join(statements) + "." for statements in (text, again)]
    assert graph(whole[1], gold) <= graph(whole[0], gold) + 1e-9
    more = data.draw(st.lists(st.sampled_from([*said, "I look at it", "It is clear to me"]), max_size=4))
    assert repeated(parted.join([*again, *more]), gold) >= repeated(parted.join(again), gold)


@given(st.sampled_from(DRAWN), st.integers(2, 12))
def test_a_text_said_over_and_over_pays_once(gold: str, times: int) -> None:
    text = f"{gold} " * times
    assert graph(text, gold) == pytest.approx(1 / times)
    assert graph(text, text) == 1
    whole = prompts.render(text, "yes")
    assert GraphReward(LEXICON)([whole, whole], [gold, whole]) == pytest.approx([1 / times, 1.0])


@given(st.text(alphabet="aA.;,!? \n-*\"'()1", max_size=60), st.text(alphabet="aA.; \n", max_size=20))
def test_a_share_is_a_share_and_a_text_repeats_itself_as_often_as_itself(text: str, reference: str) -> None:
    assert 0 <= repeated(text, reference) < 1
    assert repeated(text, text) == 0
