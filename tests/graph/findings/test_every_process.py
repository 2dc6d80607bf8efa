"""Findings are the same in every process: sets of words have another order in each."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
from chexphi.graph.clinical.compare import compare
from chexphi.graph.findings.ontology import default_ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.lexicon.extractor import LexiconExtractor
ontology = default_ontology()
terms = sorted({term for concept in ontology.concepts.values() for term in (*concept.terms, *concept.normal)})
texts = [
    frame.format(first, second)
    for first, second in zip(terms, terms[7:])
    for frame in ("Increased {} in the left lower lobe, suggestive of {}.", "Also {} with small right {}.")
]
read = [findings(parse, ontology) for parse in LexiconExtractor().parse(texts)]
for found, other in zip(read, read[1:]):
    print([finding.to_dict() for finding in found], compare(found, other, ontology).score)
"""


def output(hash_seed: int) -> str:
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_the_order_of_sets_does_not_matter() -> None:
    first = output(0)
    assert len(first.splitlines()) > 2000
    assert output(2) == output(3) == first
