"""A reply for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from chexphi.evaluation.ask import Comparison, Reply, answer_probability
from chexphi.graph.claims import contradicted
from chexphi.graph.match import GraphMatch
from chexphi.graph.types import Graph
from chexphi.kg.tables import entities_table, marked, named, visible
from chexphi.prompts import ParseStatus


def view(reply: Reply, *, colour: bool) -> Iterator[RenderableType]:
    """Reasoning, answer, graph, and the comparison with the reference where there is one."""
    parsed = reply.parsed
    if parsed.status is not ParseStatus.ok:
        text = visible(reply.generation.text).strip() or "(nothing)"
        yield Text(f"malformed: {parsed.status.value.replace('_', ' ')}; the text as generated:\n{text}\n")
    if parsed.think:
        yield marked(reply.parse, colour=colour)
        yield ""
    yield _answer(reply)
    if reply.parse.mentions:
        yield entities_table(reply.parse)
    elif parsed.think:
        yield Text("graph: the extractor found nothing in the reasoning")
    if reply.comparison:
        yield from _comparison(reply.comparison, reply.parse.graph)


def _answer(reply: Reply) -> Text:
    said, probability = reply.parsed.answer, answer_probability(reply.generation)
    if not said:
        return Text("answer: none that could be read, so it has no probability")
    text = Text("answer: ").append(visible(said), "bold")
    if probability is not None:
        text.append(f" (probability {probability:.3g} after this reasoning)")
    return text


def _comparison(found: Comparison, predicted: Graph) -> Iterator[RenderableType]:
    reference, rewards = found.reference, found.rewards
    if reference.gold is None:
        yield Text("\nreference: without an answer, so the answer is not compared")
    else:
        text = Text(f"\nreference: {visible(', '.join(reference.gold))}; the answer is ")
        yield text.append("right" if found.is_correct else "wrong", "bold")
    if found.match is None:
        yield Text("reference: its reasoning has no graph, so the graph is not compared")
    else:
        yield _figures(found.match)
        yield from _differences(predicted, reference.graph)
    parts = {"answer": rewards.accuracy, "graph": rewards.graph}
    yield Text("rewards: " + ", ".join(f"{k} {v:.3f}" for k, v in parts.items() if v is not None))


def _figures(match: GraphMatch) -> Table:
    table = Table("graph", "precision", "recall", "F1", "shared", "invented", "missed")
    for name, counts in (("entities", match.entities), ("relations", match.relations)):
        if not counts.empty:
            shares = (f"{value:.3f}" for value in (counts.precision, counts.recall, counts.f1))
            table.add_row(name, *shares, str(counts.tp), str(counts.fp), str(counts.fn))
    table.add_row("mean", "", "", f"{match.f1:.3f}")
    return table


def _differences(predicted: Graph, reference: Graph) -> Iterator[Text]:
    for word, graph, other in (("invented", predicted, reference), ("missed", reference, predicted)):
        items = [named(entity, graph) for entity in sorted(graph.entities - other.entities)]
        items += [
            f"{named(head, graph)} {kind} {named(tail, graph)}"
            for head, kind, tail in sorted(graph.relations - other.relations)
        ]
        if items:
            yield Text(f"{word}: {'; '.join(items)}")
    if wrong := [named(entity, reference) for entity in sorted(contradicted(predicted, reference))]:
        yield Text(f"contradicted: {'; '.join(wrong)}")
