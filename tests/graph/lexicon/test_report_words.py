"""Words of whole reports and their labels: findings, devices and operations that reports name."""

from __future__ import annotations

import pytest

from chexphi.graph.lexicon.extractor import LexiconExtractor

LETTERS = {
    "anatomy": "a",
    "concept": "c",
    "disorder_present": "d",
    "disorder_notpresent": "d",
    "devices_present": "v",
    "devices_notpresent": "v",
    "procedures": "p",
    "size": "s",
}


def labelled(text: str) -> str:
    """The entities of a text with a letter for each label: `right c | lung a`."""
    (parse,) = LexiconExtractor().parse([text])
    return " | ".join(f"{mention.text} {LETTERS[mention.label]}" for mention in parse.mentions)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ground-glass opacities in both lungs.", "ground-glass c | opacities d | both c | lungs a"),
        ("Patchy airspace disease.", "patchy c | airspace a | disease d"),
        ("The lungs are hyperexpanded.", "lungs a | hyperexpanded c"),
        ("Improved aeration of the left base.", "improved aeration c | left c | base a"),
        ("The bones show demineralization.", "bones a | demineralization d"),
        ("Fissural thickening is seen.", "fissural a | thickening d"),
        ("Curvature of the spine.", "curvature d | spine a"),
        ("Opaque hemithorax, a white-out.", "hemithorax a | white-out d"),
        ("A bronchopleural fistula.", "bronchopleural a | fistula d"),
        ("Free air below the diaphragm.", "free c | air d | below c | diaphragm a"),
        ("Non calcified nodule.", "non calcified c | nodule d"),
        ("EKG leads project over the chest.", "ekg leads v | chest a"),
        ("Monitoring wires overlie the heart.", "monitoring wires v | heart a"),
        ("A loop recorder and an Impella device.", "loop recorder v | impella device v"),
        ("The LVAD and the battery pack.", "lvad v | battery pack v"),
        ("A ventriculoperitoneal shunt.", "ventriculoperitoneal shunt v"),
        ("A right ventricular assist device.", "right c | ventricular a | assist c | device v"),
        ("A PA catheter.", "pa a | catheter v"),
        ("A mechanical mitral valve.", "mechanical c | mitral a | valve v"),
        ("The mitral valve is calcified.", "mitral valve a | calcified c"),
        ("Kyphoplasty and vertebral augmentation.", "kyphoplasty p | vertebral a | augmentation p"),
        ("Bone cement after TAVR.", "bone cement v | tavr p"),
        ("A rib series.", "rib a | series p"),
        ("Post-thoracotomy changes.", "post-thoracotomy changes c"),
        ("Poststernotomy changes after thoracotomy.", "poststernotomy changes c | thoracotomy p"),
        ("Multi-level spurring.", "multi-level c | spurring d"),
        ("The trachea is midline.", "trachea a | midline c"),
        ("The tip crosses the midline.", "tip a | midline a"),
        ("A septal occluder and a Greenfield filter.", "septal a | occluder v | greenfield filter v"),
        ("Epicardial fat pad.", "epicardial fat pad a"),
        ("A single frontal view.", "single frontal c | view p"),
        ("The right 9th posterior rib.", "right 9th posterior c | rib a"),
        ("A portable film of June 3rd at noon.", "portable c | film p"),
        ("The examination is limited by motion.", "limited c | motion c"),
        ("On this study the drain, seen on the prior film, is gone.", "drain v | prior c | film p | gone c"),
        ("Examination: normal.", "examination p | normal c"),
        ("A deep sulcus sign, but no halo sign.", "deep sulcus sign d | halo sign d"),
        ("A burst fracture and micronodules.", "burst c | fracture d | micronodules d"),
    ],
)
def test_words_of_reports_have_their_label(text: str, expected: str) -> None:
    assert labelled(text) == expected


def test_a_list_of_removed_devices_is_read_to_its_end() -> None:
    (parse,) = LexiconExtractor().parse(["Removal of the tube, the line, and the drain, and a new stent."])
    devices = [(mention.text, mention.denied) for mention in parse.mentions if "devices" in mention.label]
    assert devices == [("tube", True), ("line", True), ("drain", True), ("stent", False)]


@pytest.mark.parametrize(
    ("text", "sides_and_degrees"),
    [
        ("Small right and moderate left effusions.", {"small right", "moderate left"}),
        ("There is a small right and a large left pneumothorax.", {"small right", "large left"}),
        ("Mild right and severe left atelectasis.", {"mild right", "severe left"}),
        ("Small right effusion and large left pneumothorax.", {"large left"}),
        ("Old left 6th rib fracture.", {"old left 6th"}),
    ],
)
def test_sides_with_their_degree_share_a_finding(text: str, sides_and_degrees: set[str]) -> None:
    """What modifies the last finding of the text."""
    (parse,) = LexiconExtractor().parse([text])
    last = max(index for index, mention in enumerate(parse.mentions) if mention.label == "disorder_present")
    assert {
        parse.mentions[head].text for head, kind, tail in parse.edges if (kind, tail) == ("modify", last)
    } == sides_and_degrees
