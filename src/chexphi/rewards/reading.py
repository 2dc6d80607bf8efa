"""What a reasoning says, in the form that a rule compares. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chexphi.graph.findings.ontology import open_ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.findings.records import Finding
from chexphi.graph.types import Extractor, Graph
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
    ontology = open_ontology(rule.ontology)
    return [Reading(parse.graph, findings(parse, ontology)) for parse in extractor.parse(texts)]
