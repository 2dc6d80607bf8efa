"""The 14 findings of a text, on sentences where the words alone would mislead."""

from __future__ import annotations

import pytest

from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.kg.findings import FINDINGS, findings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The heart is enlarged.", {"Cardiomegaly": "present"}),
        ("Heart is not enlarged.", {"Cardiomegaly": "absent"}),
        ("Stable enlargement of the heart.", {"Cardiomegaly": "present"}),
        ("The heart is borderline in size.", {"Cardiomegaly": "present"}),
        ("The hilum is enlarged.", {}),
        ("Bilateral pleural fluid.", {"Effusion": "present"}),
        ("Small pericardial effusion.", {}),
        ("No effusion. A small effusion is seen on the right.", {"Effusion": "present"}),
        ("May represent pneumonia. No pneumonia.", {"Pneumonia": "uncertain"}),
        ("Collapse of the left lower lobe.", {"Atelectasis": "present"}),
        ("Collapse of the vertebral body.", {}),
        ("Pleural thickening at the apex.", {"Pleural_Thickening": "present"}),
        ("Bronchial wall thickening.", {}),
        ("Subcutaneous emphysema of the neck.", {}),
        ("Emphysema of the lungs.", {"Emphysema": "present"}),
        ("Nodular opacity in the right lung.", {"Nodule": "present"}),
        ("Cystic fibrosis.", {}),
        ("Hiatal hernia, no mass.", {"Hernia": "present", "Mass": "absent"}),
        ("The pneumothorax has resolved.", {"Pneumothorax": "absent"}),
        ("The lungs are clear.", {}),
    ],
)
def test_what_a_text_says_of_the_14_findings(text: str, expected: dict[str, str]) -> None:
    (parse,) = LexiconExtractor().parse([text])
    assert findings(parse) == expected
    assert expected.keys() <= set(FINDINGS)
