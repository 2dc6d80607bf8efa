"""The ontology of the package: what it has, and that each of its terms leads to its concept."""

from __future__ import annotations

from collections import Counter

import pytest

from chexphi.graph.findings.concepts import LEVELS, Concept
from chexphi.graph.findings.ontology import default_ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.findings.records import Significance
from chexphi.graph.findings.vocabulary import base_form
from chexphi.graph.lexicon.extractor import LexiconExtractor

ONTOLOGY = default_ontology()
ROOTS = {"abnormality", "device", "monitoring_leads", "postsurgical_change", "technical_limit"}
"""Families that all else is under, but what is no finding of the patient."""


def test_there_are_at_least_200_concepts_and_each_has_words() -> None:
    assert len(ONTOLOGY.concepts) >= 200
    assert [concept.name for concept in ONTOLOGY.concepts.values() if not concept.terms] == []
    assert sum(len(concept.terms) for concept in ONTOLOGY.concepts.values()) > 1_000


def test_concepts_of_each_significance() -> None:
    counts = Counter(concept.significance for concept in ONTOLOGY.concepts.values())
    assert all(counts[level] >= 30 for level in LEVELS)


def test_every_concept_that_matters_is_under_a_family() -> None:
    loose = {name for name, concept in ONTOLOGY.concepts.items() if not concept.under}
    important = {name for name in loose if ONTOLOGY.significance(name) != "benign"}
    assert important <= ROOTS


@pytest.mark.parametrize("concept", ONTOLOGY.concepts.values(), ids=lambda concept: concept.name)
def test_its_own_terms_lead_to_a_concept(concept: Concept) -> None:
    for phrases, denies in ((concept.terms, False), (concept.normal, True)):
        for phrase in phrases:
            words = ONTOLOGY.vocabulary.words(phrase)
            naming = ONTOLOGY.find(words, words, words)
            assert naming is not None
            assert (naming.concept, naming.denies) == (concept.name, denies), phrase


def test_the_lexicon_reads_most_concepts_by_their_terms() -> None:
    def is_read(concept: Concept) -> bool:
        parses = LexiconExtractor().parse([f"There is {term}." for term in concept.terms])
        return any(
            finding.concept == concept.name for parse in parses for finding in findings(parse, ONTOLOGY)
        )

    read_names = {name for name, concept in ONTOLOGY.concepts.items() if is_read(concept)}
    assert len(ONTOLOGY.concepts) - len(read_names) <= 20


@pytest.mark.parametrize(
    ("name", "degree", "position", "level"),
    [
        ("tension_pneumothorax", None, None, "urgent"),
        ("pneumothorax", 1.0, None, "actionable"),
        ("lung_edema", None, None, "urgent"),
        ("lung_edema", 2.0, None, "actionable"),
        ("pleural_effusion", None, None, "actionable"),
        ("pleural_effusion", 1.0, None, "minor"),
        ("pleural_effusion", 4.0, None, "urgent"),
        ("degenerative_change", 4.0, None, "minor"),
        ("endotracheal_tube", None, "good", "minor"),
        ("endotracheal_tube", None, "bad", "urgent"),
        ("never heard of", None, None, "minor"),
    ],
)
def test_significance_by_finding_degree_and_position(
    name: str, degree: float | None, position: str | None, level: Significance
) -> None:
    assert ONTOLOGY.significance(name, degree, position) == level


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        ("pneumonia", "opacity"),
        ("consolidation", "airspace_opacity"),
        ("lung_edema", "vascular_congestion"),
        ("lymphadenopathy", "hilar_abnormality"),
        ("tension_pneumothorax", "pneumothorax"),
        ("picc", "central_line"),
        ("rib_fracture", "bone_abnormality"),
        ("air_bronchogram", "consolidation"),
        ("septal_lines", "lung_edema"),
        ("impella", "device"),
    ],
)
def test_kinship(child: str, parent: str) -> None:
    assert parent in ONTOLOGY.ancestors[child]
    assert child not in ONTOLOGY.ancestors[parent]


@pytest.mark.parametrize(
    ("word", "base"),
    [
        ("oedemas", "edema"),
        ("haemothoraces", "hemothorace"),
        ("masses", "mass"),
        ("bases", "base"),
        ("opacities", "opacity"),
        ("diaphragms", "diaphragm"),
        ("pelvis", "pelvis"),
        ("thorax", "thorax"),
        ("abscess", "abscess"),
        ("oesophageal", "esophageal"),
        ("orthopaedic", "orthopedic"),
        ("gas", "gas"),
    ],
)
def test_british_spelling_and_plurals(word: str, base: str) -> None:
    assert base_form(word) == base
