"""The reference answers of VQA-RAD, restated as a sentence, against themselves and against their opposite."""

from __future__ import annotations

import json
from pathlib import Path

from chexphi.data.importers.vqa_rad import statement
from chexphi.graph.consistency.verdict import consistency
from chexphi.graph.findings.ontology import default_ontology
from chexphi.graph.lexicon.extractor import LexiconExtractor

READER, ONTOLOGY = LexiconExtractor(), default_ontology()
OPPOSITE = {"yes": "no", "no": "yes"}
MOST_MISREAD = 0.02
"""Share of denials that the findings read as claims."""


def restated(shared_data: Path) -> list[tuple[str, str, str]]:
    """(question, answer, reasoning) of each question on a chest film whose answer can be restated."""
    file = shared_data / "published" / "vqa_rad" / "VQA_RAD Dataset Public.json"
    rows = json.loads(file.read_text(encoding="utf-8"))
    asked = {(str(row["question"]), str(row["answer"])) for row in rows if row["image_organ"] == "CHEST"}
    texts = [(question, answer, statement(question, answer)) for question, answer in sorted(asked)]
    return [text for text in texts if not text[2].startswith("The reference answers")]


def test_a_restated_answer_does_not_contradict_itself(shared_data: Path) -> None:
    texts = restated(shared_data)
    assert len(texts) > 500
    contradicted = [text for text in texts if consistency(*text, READER, ONTOLOGY) == "contradicts"]
    assert len(contradicted) <= MOST_MISREAD * len(texts), contradicted


def test_a_restated_yes_or_no_is_entailed_and_contradicts_the_other(shared_data: Path) -> None:
    texts = [text for text in restated(shared_data) if text[1].strip().lower() in OPPOSITE]
    entailed = [text for text in texts if consistency(*text, READER, ONTOLOGY) == "entails"]
    assert len(entailed) >= 0.93 * len(texts)
    contradicted = [
        text
        for text in texts
        if consistency(text[0], OPPOSITE[text[1].strip().lower()], text[2], READER, ONTOLOGY) == "contradicts"
    ]
    assert len(contradicted) >= 0.93 * len(texts)
