"""Wrapped reports read as unwrapped ones; what is no wrap stays apart."""

from __future__ import annotations

import random
import textwrap

import pytest

from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.lines import goes_on
from chexphi.graph.text import sentence_spans

FINDINGS = [
    "effusion",
    "pneumothorax",
    "consolidation",
    "edema",
    "nodule",
    "mass",
    "atelectasis",
    "pneumonia",
]
FRAMES = (
    "No {a}, {b} or {c} is seen.",
    "There is a small left pleural {a} without {b}.",
    "The heart and mediastinum are normal in size and contour, and there is no evidence of {a}.",
    "A 1.5 cm {a} lies in the right upper lobe, compared to the film of 12 March; {b} is unchanged.",
    "Dr. Smith was told of the {a} at 5 p.m. on the same day.",
    "Mild {a} is seen at the left base, which may represent {b} versus {c}.",
    "The right-sided PICC line ends at the level of T5, approx. 3 cm above the carina, and no {a} is seen.",
    "Neither {a} nor {b} is present, but there is moderate cardiomegaly.",
    "The previously noted {a} has resolved, whereas the {b} is unchanged in the left mid zone.",
    "I do not see a {a}; a Swan-Ganz catheter and a COPD-like pattern are seen.",
    "Is there {a}? No, the angles are sharp.",
    "{a} cannot be excluded (limited view of the left base).",
)
HEADINGS = ("", "FINDINGS: ", "IMPRESSION: ", "INDICATION: Cough, rule out {a}.\n\nFINDINGS: ")


def report(rng: random.Random) -> str:
    """A report of one to three paragraphs."""
    names = dict(zip("abc", rng.sample(FINDINGS, 3), strict=True))
    paragraphs = []
    for _ in range(rng.randint(1, 3)):
        frames = rng.sample(FRAMES, rng.randint(2, 6))
        body = " ".join(frame.format(**names) for frame in frames)
        paragraphs.append(rng.choice(HEADINGS).format(**names) + body[0].upper() + body[1:])
    return "\n\n".join(paragraphs)


def wrapped(text: str, width: int) -> str:
    return "\n\n".join(textwrap.fill(paragraph, width) for paragraph in text.split("\n\n"))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_500_wrapped_reports_have_the_graphs_of_the_unwrapped(end: str) -> None:
    rng = random.Random(0)
    reports = [report(rng) for _ in range(500)]
    lines = [wrapped(text, rng.randint(60, 80)).replace("\n", end) for text in reports]
    assert any("\n" in line.replace("\n\n", "") for line in lines)
    reader = LexiconExtractor()
    different = [
        text
        for text, first, second in zip(reports, reader.extract(reports), reader.extract(lines), strict=True)
        if (first.to_dict(), first.sides) != (second.to_dict(), second.sides)
    ]
    assert not different


def test_wrapped_in_lower_case_or_capitals() -> None:
    rng = random.Random(1)
    reports = [report(rng) for _ in range(100)]
    reader = LexiconExtractor()
    for change in (str.lower, str.upper):
        texts = [change(text) for text in reports]
        lines = [wrapped(text, 72) for text in texts]
        assert [graph.to_dict() for graph in reader.extract(texts)] == [
            graph.to_dict() for graph in reader.extract(lines)
        ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "FINDINGS:\nNo effusion.\nIMPRESSION:\nNormal.",
            ["FINDINGS:", "No effusion.", "IMPRESSION:", "Normal."],
        ),
        ("- no effusion\n- small nodule", ["- no effusion", "- small nodule"]),
        ("Effusion: none\nNodule: small", ["Effusion: none", "Nodule: small"]),
        ("| Effusion | no |\n| Nodule | yes |", ["| Effusion | no |", "| Nodule | yes |"]),
        ("No effusion\nSmall nodule\nMild edema", ["No effusion", "Small nodule", "Mild edema"]),
        ("1) No effusion 2) Mild edema", ["No effusion", "Mild edema"]),
        ("No effusion \u2022 Mild edema", ["No effusion", "Mild edema"]),
        ("Nodule (image 2) is small.", ["Nodule (image 2) is small."]),
        ("Opacity, ? pneumonia. No edema.", ["Opacity, ? pneumonia.", "No edema."]),
        ("Effusion:\nnone", ["Effusion:\nnone"]),
        ("Is there edema?\nNo. The heart is normal.", ["Is there edema?\nNo.", "The heart is normal."]),
        ("Is there edema?\nNo edema is seen.", ["Is there edema?", "No edema is seen."]),
    ],
)
def test_where_a_line_ends(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in sentence_spans(text)] == expected


@pytest.mark.parametrize(
    ("line", "following", "width", "expected"),
    [
        ("No evidence of", "Pneumothorax.", 14, True),  # no statement ends with `of`
        ("The heart is large, and a right-", "sided effusion is seen.", 33, True),
        ("There is no pleural", "effusion.", 19, True),
        ("no effusion", "small nodule", 12, False),
        ("The tube ends in the right main bronchus as seen by", "Dr. Smith at noon today.", 51, True),
        ("No effusion is seen on either side of the chest now", "The heart is normal.", 51, False),
        ("A nodule of the left lung is seen at the level of rib", "5 and is unchanged.", 53, True),
        ("The lungs are clear.", "no effusion", 60, False),
        ("", "effusion", 10, False),
    ],
)
def test_whether_a_statement_goes_on(line: str, following: str, width: int, expected: bool) -> None:
    assert goes_on(line, following, width) is expected
