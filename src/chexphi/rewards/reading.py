"""What a reasoning says, in the form that a rule compares. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chexphi.graph.clinical.compare import ClinicalMatch, compare
from chexphi.graph.findings.ontology import open_ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.findings.records import Finding
from chexphi.graph.types import Extractor, Graph, Parse
from chexphi.rewards.rules import CLINICAL, GraphRule


@dataclass(frozen=True, slots=True)
class Reading:
    """The graph of a reasoning, and its findings where the measure is `clinical`."""

    graph: Graph = Graph()  # noqa: RUF009 (frozen)
    findings: tuple[Finding, ...] = ()


def read(texts: Sequence[str], extractor: Extractor, rule: GraphRule) -> list[Reading]:
    """One reading per text, in order."""
    if rule.measure != CLINICAL:
        return [Reading(graph) for graph in extractor.extract(texts)]
    return [with_findings(parse, rule.ontology) for parse in extractor.parse(texts)]


def with_findings(parse: Parse, ontology: str = "") -> Reading:
    """The graph of a text that is parsed already, and its findings; `ontology` as in `GraphRule`."""
    return Reading(parse.graph, findings(parse, open_ontology(ontology)))


def compare_findings(predicted: Reading, reference: Reading, ontology: str = "") -> ClinicalMatch | None:
    """The findings of a reasoning against the reference's; None where the reference has none.

    Args:
        predicted: What the reasoning says.
        reference: What the reference's says.
        ontology: The file of concepts that both were read with, as in `GraphRule`.
    """
    if not reference.findings:
        return None
    return compare(predicted.findings, reference.findings, open_ontology(ontology))
