"""What holds of consistency for any text: opposites, order, sentences on something else, and no crash."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_pairs import Pair, read_pairs

from chexphi.graph.consistency.presence import OPPOSITE
from chexphi.graph.consistency.verdict import MAX_CHARACTERS, VERDICTS, Verdict, consistency
from chexphi.graph.findings.ontology import default_ontology
from chexphi.graph.lexicon.extractor import LexiconExtractor

READER, ONTOLOGY = LexiconExtractor(), default_ontology()
FINDINGS = ("pleural effusion", "pneumothorax", "nodule", "opacity", "consolidation", "rib fracture", "edema")
SIDES = ("", "left ", "right ")
CLAIMS = [f"There is a {side}{finding}." for finding in FINDINGS for side in SIDES]
DENIALS = [f"No {finding} is seen." for finding in FINDINGS]
CHANGES = [f"The {finding} is {change}." for finding in FINDINGS for change in ("new", "unchanged", "larger")]
NORMAL = ["The lungs are clear.", "The heart size is normal.", "The bones are intact."]
SENTENCES = st.sampled_from([*CLAIMS, *DENIALS, *CHANGES, *NORMAL])
QUESTIONS = st.sampled_from(
    [f"Is there a {side}{finding}?" for finding in FINDINGS for side in SIDES]
    + [f"Is the {finding} new?" for finding in FINDINGS]
    + [f"Is the {finding} on the left?" for finding in FINDINGS]
    + ["Is the heart enlarged?", "Are the lungs clear?", "Is there an effusion or a pneumothorax?"]
)
OPEN_QUESTIONS = {
    "Where is the nodule?": ("left upper lobe", "right lower zone", "not seen"),
    "On which side is the effusion?": ("left", "right", "both"),
    "How has the opacity changed?": ("new", "unchanged", "larger", "resolved"),
    "How many nodules are there?": ("0", "1", "two"),
    "How large is the pneumothorax?": ("small", "large"),
    "Is the heart normal or enlarged?": ("normal", "enlarged"),
    "Which devices does the film show?": ("pacemaker", "none"),
}
UNRELATED = [
    "A pacemaker is seen.",
    "There is scoliosis.",
    "The clavicle is fractured.",
    "Sternal wires are seen.",
]
TEXTS = st.one_of(
    st.text(max_size=60), SENTENCES, QUESTIONS, st.sampled_from(["yes", "A", "B) left", "2 cm", "no"])
)


def verdict(question: str, answer: str | None, sentences: Sequence[str]) -> Verdict:
    return consistency(question, answer, " ".join(sentences), READER, ONTOLOGY)


@given(QUESTIONS, st.lists(SENTENCES, min_size=1, max_size=5))
def test_yes_and_no_are_opposite(question: str, sentences: list[str]) -> None:
    assert verdict(question, "no", sentences) == OPPOSITE[verdict(question, "yes", sentences)]


def test_a_sign_speaks_for_its_finding_and_does_not_prove_it() -> None:
    sign = ["The left costophrenic angle is blunted."]
    assert verdict("Is there an effusion?", "yes", sign) == "entails"
    assert verdict("Is there an effusion?", "no", sign) == "silent"


ASKED = st.one_of(
    st.tuples(QUESTIONS, st.sampled_from(["yes", "no"])),
    st.sampled_from(
        [(question, answer) for question, answers in OPEN_QUESTIONS.items() for answer in answers]
    ),
)


@given(ASKED, st.lists(SENTENCES, min_size=2, max_size=5, unique=True), st.randoms())
def test_the_order_of_sentences_does_not_matter(asked: tuple[str, str], sentences: list[str], random) -> None:
    shuffled = list(sentences)
    random.shuffle(shuffled)
    assert verdict(*asked, shuffled) == verdict(*asked, sentences)


@given(ASKED, st.lists(SENTENCES, min_size=1, max_size=4), st.sampled_from(UNRELATED), st.integers(0, 4))
def test_a_sentence_on_something_else_changes_nothing_to_its_opposite(
    asked: tuple[str, str], sentences: list[str], added: str, at: int
) -> None:
    before = verdict(*asked, sentences)
    after = verdict(*asked, [*sentences[:at], added, *sentences[at:]])
    if not asked[0].startswith("Which devices"):
        assert after == before


@pytest.mark.parametrize("pair", [p for p in read_pairs() if p.label == "entails"], ids=lambda p: p.question)
def test_an_entailed_pair_is_not_contradicted_with_a_sentence_on_something_else(pair: Pair) -> None:
    asks_for_all = (
        pair.kind in ("listing", "abnormal", "region", "compare", "filler") or "normal" in pair.question
    )
    if pair.label == "entails" and not asks_for_all and "diagnosis" not in pair.question:
        text = f"{pair.reasoning} There is scoliosis."
        assert consistency(pair.question, pair.answer, text, READER, ONTOLOGY) != "contradicts"


@pytest.mark.parametrize("empty", ["", " ", "\n\t", "\u3000"])
def test_empty_texts_are_silent(empty: str) -> None:
    assert verdict("Is there an effusion?", empty, ["There is an effusion."]) == "silent"
    assert verdict("Is there an effusion?", "yes", [empty]) == "silent"
    assert verdict(empty, "yes", ["There is an effusion."]) == "silent"
    assert verdict("Is there an effusion?", None, ["There is an effusion."]) == "silent"


@settings(max_examples=300)
@given(TEXTS, TEXTS, TEXTS)
def test_any_text_has_a_verdict(question: str, answer: str, reasoning: str) -> None:
    assert consistency(question, answer, reasoning, READER, ONTOLOGY) in VERDICTS


def test_a_text_too_long_to_be_an_answer_claims_nothing() -> None:
    sentence = ["There is an effusion."]
    assert verdict("Is there an effusion?", "yes" + " " * MAX_CHARACTERS, sentence) == "silent"
    assert verdict("x " * MAX_CHARACTERS + "Is there an effusion?", "yes", sentence) == "silent"


LETTERED = "What is seen? A) Effusion B) Nodule C) Neither"


@given(st.lists(SENTENCES, min_size=1, max_size=4), st.sampled_from([("A", "Effusion"), ("B", "Nodule")]))
def test_a_letter_is_its_option(sentences: list[str], option: tuple[str, str]) -> None:
    letter, text = option
    forms = [letter, letter.lower(), f"({letter})", f"{letter}.", f"{letter}) {text}", text]
    forms += [f"The answer is {letter}.", f"Option {letter}"]
    assert len({verdict(LETTERED, form, sentences) for form in forms}) == 1


@given(QUESTIONS, st.lists(SENTENCES, min_size=1, max_size=4))
def test_words_around_yes_and_no_say_nothing(question: str, sentences: list[str]) -> None:
    for word, forms in {"yes": ("Yes", "YES.", "Yes, it is.", "The answer is yes."),
                        "no": ("No", "no.", "No, it is not.", "The answer is no.")}.items():  # fmt: skip
        plain = verdict(question, word, sentences)
        assert {verdict(question, form, sentences) for form in forms} == {plain}
