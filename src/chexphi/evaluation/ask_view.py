"""A reply for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from chexphi.evaluation.ask_reply import Comparison, Reply, answer_probability
from chexphi.graph.claims import contradicted
from chexphi.graph.match import GraphMatch
from chexphi.graph.types import Graph
from chexphi.kg.compared_findings import findings_table
from chexphi.kg.tables import entities_table, entity_phrase, marked_text
from chexphi.number_text import count_text, figure_text
from chexphi.prompts import ParseStatus
from chexphi.rewards.explain.reasons import SAYS
from chexphi.schema import visible


def view(reply: Reply, *, colour: bool) -> Iterator[RenderableType]:
    """Reasoning, answer and graph, and the comparison if there is a reference."""
    parsed = reply.parsed
    if parsed.status is not ParseStatus.ok:
        text = visible(reply.generation.text).strip() or "(nothing)"
        yield Text(f"malformed: {parsed.status.value.replace('_', ' ')}; the text as generated:\n{text}\n")
    if parsed.think:
        yield marked_text(reply.parse, colour=colour)
        yield ""
    yield _answer(reply)
    if reply.parse.mentions:
        yield entities_table(reply.parse)
    elif parsed.think:
        yield Text("graph: the extractor found nothing in the reasoning")
    if reply.comparison:
        yield from _comparison(reply.comparison, reply.parse.graph)


def _answer(reply: Reply) -> Text:
    answer, probability = reply.parsed.answer, answer_probability(reply.generation)
    if not answer:
        return Text("answer: none that could be read, so it has no probability")
    text = Text("answer: ").append(visible(answer), "bold")
    if probability is not None:
        text.append(f" (probability {probability:.3g} after this reasoning)")
    if reply.consistency is not None:
        text.append(f"; the reasoning {SAYS[reply.consistency]} it")
    return text


def _comparison(comparison: Comparison, predicted: Graph) -> Iterator[RenderableType]:
    reference, rewards = comparison.reference, comparison.rewards
    if reference.gold is None:
        yield Text("\nreference: without an answer, so the answer is not compared")
    else:
        text = Text(f"\nreference: {visible(', '.join(reference.gold))}; the answer is ")
        yield text.append("right" if comparison.is_correct else "wrong", "bold")
    if comparison.match is None:
        yield Text("reference: its reasoning has no graph, so the graph is not compared")
    else:
        yield _figures(comparison.match)
        yield from _differences(predicted, reference.reading.graph)
    if comparison.findings is not None:
        yield findings_table(comparison.findings)
    values = {"answer": rewards.accuracy, "graph": rewards.graph}
    figures = [f"{name} {figure_text(value)}" for name, value in values.items() if value is not None]
    yield Text(f"rewards: {', '.join(figures)}")


def _figures(match: GraphMatch) -> Table:
    table = Table("graph", "precision", "recall", "F1", "matched", "missed", "invented")
    for name, counts in (("entities", match.entities), ("relations", match.relations)):
        if not counts.empty:
            shares = (figure_text(value) for value in (counts.precision, counts.recall, counts.f1))
            table.add_row(name, *shares, *map(count_text, (counts.tp, counts.fn, counts.fp)))
    table.add_row("mean", "", "", figure_text(match.f1))
    return table


def _differences(predicted: Graph, reference: Graph) -> Iterator[Text]:
    for word, graph, other_graph in (("invented", predicted, reference), ("missed", reference, predicted)):
        items = [entity_phrase(entity, graph) for entity in sorted(graph.entities - other_graph.entities)]
        items += [
            f"{entity_phrase(head, graph)} {kind} {entity_phrase(tail, graph)}"
            for head, kind, tail in sorted(graph.relations - other_graph.relations)
        ]
        if items:
            yield Text(f"{word}: {'; '.join(items)}")
    if wrong := [entity_phrase(entity, reference) for entity in sorted(contradicted(predicted, reference))]:
        yield Text(f"contradicted: {'; '.join(wrong)}")
