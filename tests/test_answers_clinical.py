"""Answers as meanings: what is the same, what is not, and what no hedge may earn."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi import answers
from chexphi.answers.clinical import meanings
from chexphi.answers.phrases import phrase

SAME: dict[str, list[tuple[str, list[str]]]] = {
    "yes": [
        ("Yes, I can see one in the left lung.", ["yes"]),
        ("Yes, it is.", ["yes"]),
        ("Yes there is", ["yes"]),
        ("yes - there is a small effusion on the left", ["yes"]),
        ("Yes. The heart is enlarged.", ["yes"]),
        ("Yeah", ["yes"]),
        ("Yes, definitely", ["yes"]),
        ("There is", ["yes"]),
        ("It does", ["yes"]),
        ("present", ["yes"]),
        ("is present", ["yes"]),
        ("True", ["yes"]),
        ("**Yes**", ["yes"]),
        ("Answer: yes", ["yes"]),
        ("Final answer: Yes.", ["yes"]),
        ("**Final Answer:** yes", ["yes"]),
        ("The correct answer is: yes", ["yes"]),
        ("So, the answer is yes.", ["yes"]),
        ("Based on the image, the answer is yes", ["yes"]),
        ("$\\boxed{\\text{Yes}}$", ["yes"]),
        ("The final answer is \\boxed{yes}.", ["yes"]),
        ('{"answer": "yes"}', ["yes"]),
        ("<b>yes</b>", ["yes"]),
        ("yes\nThere is a right-sided pneumothorax.", ["yes"]),
    ],
    "no": [
        ("No, no effusion.", ["no"]),
        ("none present", ["no"]),
        ("No, I cannot see one", ["no"]),
        ("No, there isn't", ["no"]),
        ("No, there isn’t one.", ["no"]),
        ("No, it does not", ["no"]),
        ("No, the heart is normal in size.", ["no"]),
        ("No. There is no effusion or pneumothorax.", ["no"]),
        ("none", ["no"]),
        ("None.", ["No"]),
        ("Absent", ["no"]),
        ("not seen", ["no"]),
        ("None seen", ["no"]),
        ("not present", ["no"]),
        ("There are none", ["no"]),
        ("There is not", ["no"]),
        ("It is not visible", ["no"]),
        ("no evidence of it", ["no"]),
        ("Nothing", ["none"]),
        ("zero", ["none"]),
        ("Nope", ["no"]),
        ("False", ["no"]),
        ("The answer is no.", ["no"]),
        ("absent", ["not seen"]),
    ],
    "sides": [
        ("no effusion on the left", ["no left effusion"]),
        ("right base", ["right lung base"]),
        ("L", ["left"]),
        ("R", ["Right"]),
        ("left-sided", ["left"]),
        ("on the left", ["left"]),
        ("The left side", ["Left"]),
        ("right side", ["right"]),
        ("left lung", ["left"]),
        ("in the right lung", ["Right lung"]),
        ("both sides", ["bilateral"]),
        ("Both lungs", ["bilateral"]),
        ("bilaterally", ["both"]),
        ("left and right", ["bilateral"]),
        ("both", ["left", "right"]),
        ("L and R", ["right", "left"]),
        ("R hemidiaphragm", ["right hemidiaphragm"]),
        ("right pleural effusion", ["right-sided pleural effusion"]),
        ("pleural effusion on the right", ["right sided pleural effusion"]),
        ("Upper right lobe", ["right upper lobe"]),
        ("opacity in the upper left lung", ["left upper lung opacity"]),
        ("base of the right lung", ["Right lung base"]),
    ],
    "views": [
        ("AP upright", ["upright AP view"]),
        ("CT of the chest", ["chest CT"]),
        ("AP film", ["AP"]),
        ("Anteroposterior", ["AP"]),
        ("antero-posterior view", ["AP"]),
        ("A-P", ["AP"]),
        ("AP projection", ["anteroposterior"]),
        ("PA Xray", ["PA"]),
        ("Posterior-Anterior", ["PA"]),
        ("posteroanterior view", ["PA view"]),
        ("lateral view", ["lateral"]),
        ("AP and lateral views", ["lateral", "AP"]),
        ("Axial plane", ["axial"]),
        ("X-ray", ["Xray"]),
        ("radiograph", ["x-ray"]),
        ("plain film x-ray", ["X-ray plain film"]),
        ("CXR", ["chest X-ray"]),
        ("chest radiograph", ["Chest x-ray"]),
    ],
    "plurals": [
        ("nodules", ["nodule"]),
        ("pleural effusions", ["pleural effusion"]),
        ("opacities", ["opacity"]),
        ("masses", ["mass"]),
        ("lung metastases", ["lung metastasis"]),
        ("vertebrae", ["vertebra"]),
        ("bullae", ["bulla"]),
        ("diaphragms", ["diaphragm"]),
        ("lung apices", ["lung apex"]),
        ("lung bases", ["lung base"]),
        ("bronchi", ["bronchus"]),
        ("pneumothoraces", ["pneumothorax"]),
        ("GGOs", ["ground-glass opacities"]),
        ("abscesses", ["abscess"]),
        ("the hila", ["hilum"]),
    ],
    "numbers and units": [
        ("$\\boxed{0.5\\ \\text{cm}}$", ["5 mm"]),
        ("5 mm (0.5 cm)", ["5 mm"]),
        ("5mm", ["5 mm"]),
        ("5 mm", ["0.5 cm"]),
        ("0.50 cm", ["five millimetres"]),
        ("3,4 cm", ["34 mm"]),
        ("1.5cm x 1.8cm", ["15 x 18 mm"]),
        ("1.5 × 1.8 cm", ["1.5 by 1.8 centimeters"]),
        ("3-5 mm", ["0.3 to 0.5 cm"]),
        ("less than 3 cm", ["<30 mm"]),
        ("at least two", ["≥ 2"]),
        ("about 5 cm", ["~5 cm"]),
        ("10 cc", ["10 ml"]),
        ("two", ["2"]),
        ("Twelve", ["12"]),
        ("one", ["just one"]),
        ("1", ["a single"]),
        ("5.0", ["5"]),
        ("two nodules", ["2 nodules"]),
        ("seventh rib", ["7th rib"]),
        ("50 percent", ["50%"]),
    ],
    "abbreviations and spelling": [
        ("LLL", ["left lower lobe"]),
        ("RUL opacity", ["right upper lobe opacity"]),
        ("the RML", ["right middle lobe"]),
        ("PTX", ["pneumothorax"]),
        ("right PNA", ["right pneumonia"]),
        ("CHF", ["congestive heart failure"]),
        ("ETT", ["endotracheal tube"]),
        ("ET tube", ["endotracheal tube"]),
        ("NG tube", ["NGT"]),
        ("PICC line", ["PICC"]),
        ("CVC", ["central venous catheter"]),
        ("COPD", ["chronic obstructive pulmonary disease"]),
        ("congestive heart failure (CHF)", ["CHF"]),
        ("C-T ratio", ["cardiothoracic ratio"]),
        ("pulmonary oedema", ["pulmonary edema"]),
        ("haemothorax", ["hemothorax"]),
        ("hydro-pneumothorax", ["hydropneumothorax"]),
        ("mediastinal tumour", ["mediastinal tumor"]),
        ("pleural_effusion", ["pleural effusion"]),
        ("Man", ["male"]),
        ("effusion is present", ["effusion"]),
        ("no effusion", ["effusion is absent"]),
        ("no evidence of effusion", ["There is no effusion"]),
    ],
    "options": [
        ("Options A and C", ["A", "C"]),
        ("both A and C", ["C", "A"]),
        ("B", ["b"]),
        ("(B)", ["B"]),
        ("B.", ["B"]),
        ("Option B", ["B"]),
        ("option (b)", ["B"]),
        ("The answer is (B).", ["B"]),
        ("The correct option is B", ["B"]),
        ("B is correct", ["B"]),
        ("B. effusion", ["B"]),
        ("B) pleural effusion", ["B"]),
        ("**B. effusion**", ["B"]),
        ("Option B: effusion", ["B"]),
        ("B", ["B. pleural effusion"]),
        ("(A)", ["A. cardiomegaly"]),
        ("A: cardiomegaly", ["A"]),
        ("pleural effusion", ["B. pleural effusion"]),
        ("B (effusion)", ["B) effusion"]),
        ("effusion (B)", ["B"]),
        ("\\boxed{B}", ["B"]),
        ("A, C", ["C. mass", "A. effusion"]),
    ],
}  # fmt: skip

OTHER: dict[str, list[tuple[str, list[str]]]] = {
    "hedges": [
        ("no, present, no", ["no"]),
        ("no | present", ["absent"]),
        ("\\boxed{none} \\boxed{present}", ["none"]),
        ("**none** **present**", ["none"]),
        ("none. present", ["no"]),
        ("No, left, no", ["no"]),
        ("no effusion is absent", ["no effusion"]),
        ("Yes, it cannot be ruled out", ["yes"]),
        ("No, this cannot be determined", ["no"]),
        ("no, wait, yes", ["no"]),
        ("Yes... no", ["yes"]),
        ("true/false", ["yes"]),
        ("y/n", ["no"]),
        ("Yes, I think so", ["yes"]),
        ("I think yes", ["yes"]),
        ("No, there are two", ["no"]),
        ("5 mm (5 cm)", ["5 mm"]),
        ("mild to moderate", ["mild"]),
        ("2 or more", ["2"]),
        ("yes/no", ["yes"]),
        ("yes/no", ["no"]),
        ("yes or no", ["yes"]),
        ("yes or no", ["no"]),
        ("yes and no", ["no"]),
        ("yes, no", ["yes"]),
        ("yes. no.", ["yes"]),
        ("no. yes.", ["no"]),
        ("Yes. No, there isn't.", ["yes"]),
        ("No, there isn't. Yes, there is.", ["no"]),
        ("maybe yes", ["yes"]),
        ("maybe", ["yes"]),
        ("possibly yes", ["yes"]),
        ("probably not", ["no"]),
        ("yes?", ["yes"]),
        ("Yes, possibly", ["yes"]),
        ("Yes, there may be", ["yes"]),
        ("Yes, but there is no effusion", ["yes"]),
        ("Yes, there is no effusion", ["yes"]),
        ("Yes, it cannot be excluded", ["yes"]),
        ("No, but it is likely", ["no"]),
        ("No, although there might be a small one", ["no"]),
        ("not sure", ["no"]),
        ("No, not sure", ["no"]),
        ("The answer is yes or no", ["yes"]),
        ("Answer: yes. Answer: no", ["yes"]),
        ("not yes", ["yes"]),
        ("\\boxed{yes} \\boxed{no}", ["yes"]),
        ("either", ["left"]),
        ("left or right", ["left"]),
        ("left and right", ["left"]),
        ("left, right, both", ["both"]),
        ("That's right", ["right"]),
        ("left, right", ["right"]),
        ("left/right", ["left"]),
        ("left right", ["left"]),
        ("left vs right", ["left"]),
        ("possible pneumonia", ["pneumonia"]),
        ("pneumonia?", ["pneumonia"]),
        ("?pneumonia", ["pneumonia"]),
        ("pneumonia or edema", ["pneumonia"]),
        ("pneumonia, edema, effusion, mass, nodule", ["pneumonia"]),
        ("AP or PA", ["AP"]),
        ("AP/PA", ["PA"]),
        ("1 or 2", ["1"]),
        ("1, 2, 3", ["2"]),
        ("3-5 mm", ["5 mm"]),
    ],
    "options": [
        ("B. effusion / C. mass", ["B"]),
        ("B (or C)", ["B"]),
        ("B (not A)", ["B"]),
        ("A. effusion?", ["A"]),
        ("It could be B", ["B"]),
        ("The answer is either A or B", ["B"]),
        ("\\boxed{A}\\boxed{B}", ["A"]),
        ("Neither A nor B", ["A"]),
        ("not option (b)", ["B"]),
        ("A or B", ["A"]),
        ("A, B, C, D", ["A"]),
        ("A/B", ["B"]),
        ("A and B", ["B"]),
        ("A B C D", ["C"]),
        ("A. B. C. D.", ["A"]),
        ("(A)(B)", ["A"]),
        ("A. effusion B. mass", ["A"]),
        ("A) effusion B) mass", ["B"]),
        ("A. effusion\nB. mass", ["A"]),
        ("A) or B)", ["A"]),
        ("A. effusion or B. mass", ["A"]),
        ("A is incorrect", ["A"]),
        ("A: incorrect", ["A"]),
        ("not A", ["A"]),
        ("C", ["B"]),
        ("B. effusion", ["C"]),
        ("B. effusion", ["B. mass"]),
        ("C. effusion", ["B. effusion"]),
        ("effusion", ["B"]),
        ("A catheter", ["A"]),
        ("all of the above", ["A"]),
        ("E. coli", ["E"]),
        ("C", ["C. difficile"]),
        ("Type A", ["Type B"]),
        ("A", ["AP"]),
    ],
    "polarity": [
        ("no", ["normal"]),
        ("normal", ["no"]),
        ("abnormal", ["normal"]),
        ("yes", ["no"]),
        ("no effusion", ["effusion"]),
        ("effusion", ["no effusion"]),
        ("effusion is absent", ["effusion"]),
        ("effusion not seen", ["effusion"]),
        ("without effusion", ["effusion"]),
        ("no pneumothorax", ["no"]),
        ("no", ["no acute disease"]),
        ("not enlarged", ["enlarged"]),
        ("There is no mass", ["mass"]),
        ("not sure", ["yes"]),
        ("not applicable", ["no"]),
        ("N/A", ["no"]),
        ("none", ["one"]),
        ("noncontrast", ["contrast"]),
        ("present", ["absent"]),
        ("1", ["yes"]),
    ],
    "sides and places": [
        ("no effusion on the left", ["no right effusion"]),
        ("left", ["right"]),
        ("L", ["R"]),
        ("LLL", ["RLL"]),
        ("RUL", ["RLL"]),
        ("RML", ["right lower lobe"]),
        ("left", ["bilateral"]),
        ("bilateral", ["right"]),
        ("left effusion, right edema", ["right effusion", "left edema"]),
        ("left effusion and right edema", ["left edema and right effusion"]),
        ("left upper right lower", ["left lower right upper"]),
        ("left lung base", ["left lung"]),
        ("left upper lobe", ["left lung"]),
        ("left hilum", ["left"]),
        ("left side of the right lung", ["right side of the left lung"]),
        ("L > R", ["R > L"]),
        ("effusion", ["left effusion"]),
        ("lower lobes", ["upper lobes"]),
        ("AP", ["PA"]),
        ("A-P", ["P-A"]),
        ("A/P", ["P/A"]),
        ("frontal", ["lateral"]),
        ("AP", ["lateral"]),
        ("AP and lateral", ["AP"]),
        ("PA catheter", ["PA"]),
        ("chest x-ray", ["CT"]),
        ("below the diaphragm", ["above the diaphragm"]),
    ],
    "numbers": [
        ("5 mm", ["5 cm"]),
        ("5 mm", ["0.05 cm"]),
        ("5", ["5 mm"]),
        ("5", ["0.5"]),
        ("1.5 cm", ["15 cm"]),
        ("1.5 x 1.8 cm", ["1.8 cm"]),
        ("1.5 x 1.8 cm", ["1.5 cm x 1.8 mm"]),
        ("0.3-0.5 cm", ["0.3-5 mm"]),
        ("<3 cm", [">3 cm"]),
        ("less than 3 cm", ["3 cm"]),
        ("more than 3 cm", ["less than 3 cm"]),
        ("~5 cm", ["5 cm"]),
        ("5 ml", ["5 mm"]),
        ("-5", ["5"]),
        ("minus 5", ["5"]),
        ("5%", ["5"]),
        ("2+", ["2"]),
        ("one", ["two"]),
        ("twelve", ["twenty"]),
        ("12", ["2"]),
        ("seventh rib", ["7 ribs"]),
        ("4th rib", ["5th rib"]),
        ("two nodules", ["nodule"]),
        ("10,000", ["10"]),
        ("120/80", ["80/120"]),
        ("T2 +", ["T2 -"]),
        ("half", ["2"]),
    ],
    "findings": [
        ("mild", ["moderate"]),
        ("severe effusion", ["small effusion"]),
        ("pneumonia", ["pneumothorax"]),
        ("hemothorax", ["hydrothorax"]),
        ("edema", ["effusion"]),
        ("mass", ["nodule"]),
        ("PNA", ["PTX"]),
        ("ETT", ["NGT"]),
        ("cardiomegaly", ["heart"]),
        ("hypertension", ["hypotension"]),
        ("hyperinflation", ["hypoinflation"]),
        ("intrapulmonary", ["extrapulmonary"]),
        ("male", ["female"]),
        ("increased", ["decreased"]),
        ("acute", ["chronic"]),
        ("eyes", ["yes"]),
        ("", ["yes"]),
        ("the answer is", ["yes"]),
        ("anything", [""]),
        ("Answer:", ["no"]),
        ("pleural plaques", ["pleural effusion"]),
        ("pleural", ["pleural effusion"]),
    ],
}  # fmt: skip


def rows(table: dict[str, list[tuple[str, list[str]]]]) -> list[tuple[str, list[str]]]:
    return list(itertools.chain.from_iterable(table.values()))


@pytest.mark.parametrize(("predicted", "gold"), rows(SAME))
def test_the_same_in_other_words(predicted: str, gold: list[str]) -> None:
    assert answers.score(predicted, gold, "clinical") == 1
    assert answers.score(gold, predicted, "clinical") == 1


@pytest.mark.parametrize(("predicted", "gold"), rows(OTHER))
def test_what_is_not_the_same(predicted: str, gold: list[str]) -> None:
    assert answers.score(predicted, gold, "clinical") == 0
    assert answers.score(gold, predicted, "clinical") == 0


THINGS = (
    "yes", "no", "left", "right", "effusion", "pneumonia", "5 mm", "5 cm", "AP", "PA", "A", "B",
    "left lower lobe", "mild", "moderate", "two", "normal", "male",
)  # fmt: skip
"""Each another meaning; left with right is one of its own."""
FAIR = st.sampled_from([text for pair in rows(SAME) for text in (pair[0], *pair[1])])
ONE = st.sampled_from([text for pair in rows(SAME) + rows(OTHER) for text in (pair[0], *pair[1])])
PIECES = st.sampled_from((
    "yes", "no", "not", "A", "(b)", "B.", "left", "both", "or", "and", "5", "mm", "<", "-", "+", "?", ",",
    "/", "\n", "there is", "isn't", "AP", "view", "in", "the", "lung", "the answer is", "\\boxed{", "}",
    "**", ".", "two", "a",
))  # fmt: skip
ANYTHING = st.one_of(ONE, st.text(max_size=20), st.lists(PIECES, max_size=8).map(" ".join))


@given(st.lists(st.sampled_from(THINGS), min_size=2, max_size=5, unique=True), st.data())
def test_several_things_earn_only_where_all_are_asked(said: list[str], data: st.DataObject) -> None:
    joint = data.draw(st.sampled_from([", ", "; ", " and ", "/", "\n", " & ", "、", " as well as "]))
    text = joint.join(said)
    gold = data.draw(st.lists(st.sampled_from(THINGS), min_size=1, max_size=5, unique=True))
    if joint == "/" and any(len(one) == 1 for one in said):
        return  # `5 mm/A` is one label
    assert answers.score(text, gold, "clinical") == (set(said) == set(gold))
    for choice in (" or ", " vs ", " or maybe "):
        assert answers.score(choice.join(said), gold, "clinical") == 0


PAIRS = (
    "{} / {}", "{}. {}.", "{} ({})", "{} (or {})", "{}; maybe {}", "{} {}", "{}, not {}", "not {}, {}",
    "{} but {}", "{} | {}", "{} + {}", "{} - {}", "{} -> {}", "Answer: {}. Answer: {}",
    "The answer is {} or {}", "**{}** **{}**", "\\boxed{{{}}} \\boxed{{{}}}", "1. {} 2. {}",
    "- {}\n- {}", "{}? {}", "A. {} B. {}", "{} if {}", "[{}, {}]", "({}) ({})", "{}... {}", "{} = {}",
    "{} and/or {}", "either {} or {}",
)  # fmt: skip


@given(st.permutations(THINGS), st.sampled_from(PAIRS), st.sampled_from(THINGS))
def test_two_things_written_anyhow_are_not_one_of_them(things: list[str], form: str, gold: str) -> None:
    one, two = things[:2]
    if len(one) == len(two) == 1 or not {one, two} & {
        "A",
        "B",
    }:  # a letter and a phrase: an option with its text
        assert answers.score(form.format(one, two), gold, "clinical") == 0


@given(ANYTHING, ANYTHING)
def test_both_ways_the_same_and_never_stricter_than_exact(first: str, second: str) -> None:
    there, back = answers.score(first, second, "clinical"), answers.score(second, first, "clinical")
    assert there == back >= answers.score(first, second, "exact")


@given(ANYTHING)
def test_every_answer_is_itself(text: str) -> None:
    assert answers.score(text, text, "clinical") == bool(answers.labels(text))
    assert answers.score([text], text, "clinical") == bool(answers.labels(text))


@given(
    FAIR,
    st.sampled_from(["maybe {}", "{}, possibly", "{} or not", "either {}", "{}?", "probably {}", "not {}"]),
)
def test_a_weakened_answer_is_another_one(text: str, weak: str) -> None:
    if answers.labels(text) and "?" not in text:
        assert answers.score(weak.format(text), text, "clinical") == 0


WRAPS = (
    "**{}**", "\\boxed{{{}}}", "The answer is {}", "Answer: {}", "Final answer: {}.", "`{}`", '"{}"',
    "<b>{}</b>", "{}.",
)  # fmt: skip


@given(
    st.sampled_from(["yes", "no", "left", "B", "5 mm", "LLL"]), st.lists(st.sampled_from(WRAPS), max_size=3)
)
def test_wrapping_adds_nothing(text: str, wraps: list[str]) -> None:
    wrapped = text
    for wrap in wraps:
        wrapped = wrap.format(wrapped)
    assert answers.score(wrapped, text, "clinical") == 1


@pytest.mark.parametrize(
    "piece", ["left ", "a", "a/", "?", "-", "\n", " \n", "(", "a(", "1 x ", ">=", "the an ", "\\a{", " +"]
)
def test_a_policy_that_repeats_itself_does_not_stop_a_run(piece: str) -> None:
    for match in ("exact", "clinical"):
        assert answers.score(piece * 8000, ["yes"], match) == 0
        assert answers.score(piece * 120, ["yes"], match) == 0


def test_phrases_have_one_form() -> None:
    for first, second in rows(SAME):
        for text in (first, *second):
            assert phrase(phrase(text)) == phrase(text)


def test_meanings_of_options() -> None:
    (letter,), (whole,), (text,) = map(meanings, ("B", "B. effusion", "effusion"))
    assert [letter.agrees(whole), whole.agrees(text), letter.agrees(text)] == [True, True, False]
    (other,) = meanings("B. mass")
    assert [letter.agrees(other), whole.agrees(other)] == [True, False]
