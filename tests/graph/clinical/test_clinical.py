"""What the measure `clinical` is worth: orders that a radiologist would give."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.graph.clinical.compare import ClinicalMatch, compare
from chexphi.graph.findings.ontology import default_ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.lexicon.extractor import LexiconExtractor

ONTOLOGY, EXTRACTOR = default_ontology(), LexiconExtractor()
TRUE = (
    "There is a small left pleural effusion.",
    "A 2 cm nodule lies in the right upper lobe.",
    "The heart is moderately enlarged.",
    "The endotracheal tube is in good position.",
    "There is a right apical pneumothorax.",
    "There are old healed left rib fractures.",
)
UNEVEN = "There is a moderate right and a small left pleural effusion."
FALSE = (
    "There is pulmonary edema.",
    "A pacemaker is present.",
    "There is consolidation in the left lower lobe.",
    "The mediastinum is widened.",
    "There is a hiatal hernia.",
    "The aorta is tortuous.",
    "There is subcutaneous emphysema.",
    "Scoliosis is noted.",
)


def match(candidate: str, reference: str, indication: str = "") -> ClinicalMatch:
    said, truth = (findings(parse, ONTOLOGY) for parse in EXTRACTOR.parse([candidate, reference]))
    return compare(said, truth, ONTOLOGY, indication)


def score(candidate: str, reference: str) -> float:
    return match(candidate, reference).score


@pytest.mark.parametrize(
    ("reference", "better", "worse"),
    [
        (TRUE[0], "Left effusion.", "Right effusion."),
        (TRUE[0], "Small left effusion.", "Left effusion."),
        (TRUE[0], "Small left effusion.", "Large left effusion."),
        (TRUE[0], "Left effusion.", "Effusion."),
        (TRUE[0], "Effusion.", "Right effusion."),
        (TRUE[1], "1.5 cm nodule in the right upper lobe.", "6 cm mass in the right upper lobe."),
        (TRUE[1], "Right upper lobe nodule.", "Right upper lobe opacity."),
        (TRUE[1], "Right upper lobe nodule.", "Right lower lobe nodule."),
        (TRUE[3], "Endotracheal tube 4 cm above the carina.", "Endotracheal tube in the right bronchus."),
        ("The effusion has increased.", "Increased effusion.", "Decreased effusion."),
        ("Possible pneumonia.", "Possible pneumonia.", "Pneumonia."),
        ("Tension pneumothorax. Old rib fracture.", "Tension pneumothorax.", "Old rib fracture."),
        ("Bilateral effusions.", "Bilateral effusions.", "Left effusion."),
        ("Left effusion.", "Left effusion.", "Bilateral effusions."),
        ("Left effusion.", "Bilateral effusions.", "Right effusion."),
        (UNEVEN, "Moderate right and small left effusion.", "Small right and moderate left effusion."),
        (UNEVEN, "Bilateral effusions.", "Moderate right effusion."),
        ("Bilateral effusions.", UNEVEN, "Moderate right effusion."),
        ("RUL and LLL nodules.", "RUL and LLL nodules.", "LUL and RLL nodules."),
        ("Acute rib fracture.", "Rib fracture.", "Healed rib fracture."),
        ("Pneumonia.", "Consolidation.", "Atelectasis."),
        ("Lungs are clear.", "No opacity.", "There is an opacity."),
        ("No pleural effusion.", "The heart is normal.", "Pleural effusion."),
        ("Edema.", "", "No edema."),
        ("NG tube tip in the stomach.", "NG tube.", "The NG tube is not in the stomach."),
        ("No pneumonia.", "Pneumonia is unlikely.", "Pneumonia."),
        ("Pneumonia.", "Possible pneumonia.", "Pneumonia is unlikely."),
        ("Bilateral effusions.", "A small right effusion.", "A small right effusion, none on the left."),
        ("Left pneumothorax.", "Left pneumothorax.", "Previous film showed a left pneumothorax."),
    ],
)
def test_the_better_text_has_the_greater_score(reference: str, better: str, worse: str) -> None:
    assert score(better, reference) > score(worse, reference)


@pytest.mark.parametrize(
    ("candidate", "reference", "is_contradicted"),
    [
        ("Except for the left base, the lungs are clear.", "Left basal consolidation.", False),
        ("Except for the left base, the lungs are clear.", "Right basal consolidation.", True),
        ("The lungs are clear apart from the bases.", "Bibasal atelectasis.", False),
        ("A small right effusion, none on the left.", "Bilateral pleural effusions.", True),
        ("A small right effusion, none on the left.", "Right pleural effusion.", False),
        ("The NG tube does not reach the stomach.", "NG tube tip in the stomach.", True),
        ("Pneumonia is unlikely.", "No pneumonia.", False),
        ("Pneumonia is unlikely.", "Pneumonia.", True),
        ("New left effusion since the drain was removed.", "Left pleural effusion.", False),
        ("Left effusion, but none on the right.", "Left effusion.", False),
    ],
)
def test_only_what_cannot_be_right_beside_the_reference_is_contradicted(
    candidate: str, reference: str, is_contradicted: bool
) -> None:
    judged = match(candidate, reference).judged
    assert any(item.contradicts for item in judged) == is_contradicted


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The lungs are clear.", "No acute cardiopulmonary abnormality."),
        ("Mild cardiomegaly.", "The cardiac silhouette is mildly enlarged."),
        ("Pleural effusion.", "Left pleural effusion."),
        ("Small bilateral effusions.", "There is a small left effusion. There is a small right effusion."),
        ("Left effusion. Right effusion.", "Bilateral effusions."),
        (UNEVEN, f"{UNEVEN} The effusions are bilateral."),
        (f"Bilateral pleural effusions. {UNEVEN}", UNEVEN),
        ("ETT in satisfactory position.", "The endotracheal tube ends 5 cm above the carina."),
    ],
)
def test_equal_texts_are_worth_the_same(one: str, other: str) -> None:
    assert score(other, one) == score(one, one) == 1


@pytest.mark.parametrize(
    ("with_sign", "without"),
    [
        ("Blunting of the left costophrenic angle suggests a left effusion.", "Left effusion."),
        ("Left lower lobe consolidation with air bronchograms.", "Left lower lobe consolidation."),
        ("Pulmonary edema. Kerley B lines are seen.", "Pulmonary edema."),
        ("A lucency at the right apex is consistent with a pneumothorax.", "Right apical pneumothorax."),
    ],
)
def test_a_sign_beside_what_it_is_a_sign_of_is_no_further_finding(with_sign: str, without: str) -> None:
    assert score(with_sign, without) == 1
    assert score(without, with_sign) == 1


@pytest.mark.parametrize(
    ("with_part", "whole"),
    [
        ("Sternotomy wires and CABG clips.", "Median sternotomy wires."),
        ("Hiatus hernia with an air-fluid level.", "Hiatus hernia."),
        ("Cardiac failure with cardiomegaly and bilateral effusions.", "Congestive cardiac failure."),
    ],
)
def test_a_part_of_what_the_reference_has_costs_little_and_is_no_credit(with_part: str, whole: str) -> None:
    part_cost = match(with_part, whole).cost
    assert 0 < part_cost < match(with_part, "Scoliosis.").cost / 3
    assert match(with_part, whole).reward > 0.7
    assert match(whole, whole).reward == 1


def test_a_part_is_not_cheaper_where_the_reference_denies_it_or_has_it_on_the_other_side() -> None:
    denied = match("Heart failure with effusions.", "Heart failure. No effusion.")
    assert any(item.contradicts for item in denied.judged)
    left = match("Left air-fluid level.", "Left hydropneumothorax.").cost
    assert match("Right air-fluid level.", "Left hydropneumothorax.").cost > left


@given(st.lists(st.sampled_from((*TRUE, *FALSE)), unique=True), st.integers())
def test_the_order_of_sentences_does_not_matter(sentences: list[str], seed: int) -> None:
    shuffled = random.Random(seed).sample(sentences, len(sentences))
    assert match(" ".join(shuffled), " ".join(TRUE)).score == pytest.approx(
        match(" ".join(sentences), " ".join(TRUE)).score
    )
    assert score(" ".join(shuffled), " ".join(sentences)) == pytest.approx(1)


@given(
    st.lists(st.sampled_from(TRUE), unique=True, max_size=5), st.lists(st.sampled_from(FALSE), unique=True)
)
def test_a_true_finding_helps_and_a_false_one_does_not(true: list[str], false: list[str]) -> None:
    reference = " ".join(TRUE)
    before = match(" ".join([*true, *false]), reference)
    assert 0 < before.score <= 1
    assert 0 <= before.reward <= 1
    for sentence in set(TRUE) - set(true):
        assert match(" ".join([*true, *false, sentence]), reference).signed > before.signed
    for sentence in set(FALSE) - set(false):
        assert match(" ".join([*true, *false, sentence]), reference).signed < before.signed


@given(st.lists(st.sampled_from(TRUE), unique=True, min_size=1))
def test_only_the_reference_itself_is_worth_one(sentences: list[str]) -> None:
    reference = " ".join(TRUE)
    assert (score(" ".join(sentences), reference) == 1) == (set(sentences) == set(TRUE))


def test_saying_it_again_or_with_a_denial_earns_nothing() -> None:
    reference = " ".join(TRUE[:2])
    once = match(TRUE[0], reference)
    assert match(f"{TRUE[0]} {TRUE[0]} An effusion is seen.", reference).score == once.score
    assert match("Effusion, or no effusion.", reference).reward == 0


def test_cheats_are_worth_less_than_one_true_finding_of_two() -> None:
    reference = "Left pleural effusion. Right pneumothorax."
    one_of_two = match("Left pleural effusion.", reference).reward
    hedged = [
        sentence.replace("There is", "There may be").replace("is ", "is possibly ") for sentence in FALSE
    ]
    cheats = {
        "unrelated": " ".join(FALSE),
        "hedged": " ".join(hedged),
        "both sides wrong": "Right pleural effusion. Left pneumothorax.",
        "silence": "The film was looked at.",
    }
    rewards = {name: match(text, reference).reward for name, text in cheats.items()}
    assert all(reward < one_of_two for reward in rewards.values()), rewards
    assert rewards["silence"] == rewards["unrelated"] == rewards["hedged"] == 0


def test_silence_is_right_only_where_nothing_is_there_to_deny() -> None:
    assert match("", "No effusion. Normal heart.").score == 1
    assert match("", "No effusion. Normal heart.").reward == 0
    assert match("No effusion.", "No effusion. Normal heart.").reward == 0.5


def test_an_indication_makes_two_names_interchangeable() -> None:
    plain, told = (
        match("Consolidation.", "Pneumonia."),
        match("Consolidation.", "Pneumonia.", "Fever and cough."),
    )
    assert plain.score < told.score < 1


def read_by_name() -> list[tuple[str, str]]:
    """(concept, the first of its terms that the lexicon reads as this concept alone)."""
    named = []
    for concept in ONTOLOGY.concepts.values():
        for term, parse in zip(
            concept.terms, EXTRACTOR.parse([f"There is {term}." for term in concept.terms]), strict=True
        ):
            if [finding.concept for finding in findings(parse, ONTOLOGY)] == [concept.name]:
                named.append((concept.name, term))
                break
    return named


def test_a_finding_and_its_denial_have_nothing_in_common() -> None:
    """The flips that scores by words are blind to, in either direction, for each concept that is read."""
    terms = read_by_name()
    assert len(terms) > 290
    for concept, term in terms:
        claim, denial = f"There is {term}.", f"There is no {term}."
        assert match(claim, claim).reward == match(denial, denial).reward == 1, concept
        assert match(denial, claim).reward == 0, concept
        assert match(claim, denial).reward == 0, concept
        assert match(denial, claim).score < match("", claim).score, concept
