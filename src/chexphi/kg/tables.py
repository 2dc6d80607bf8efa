"""Graphs and their figures for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from chexphi.graph.types import LABEL_WORDS, Entity, Graph, Parse
from chexphi.number_text import count_text, counted, figure_text
from chexphi.schema import visible

COLOURS = {
    "size": "bright_black",
    "anatomy": "green",
    "disorder_present": "red",
    "disorder_notpresent": "blue",
    "concept": "yellow",
    "procedures": "cyan",
    "devices_present": "magenta",
    "devices_notpresent": "bright_blue",
}
_UNCLAIMED = "dim italic"
"""Style of what the text names but does not claim."""


def marked_text(parse: Parse, *, colour: bool) -> Text:
    """The text with its mentions marked.

    Args:
        parse: The parse of the text.
        colour: Mark mentions with the colours of their labels, and add a legend. Else write `[mention:
            label]`.
    """
    if not colour:
        return _bracketed(parse)
    text = Text(visible(parse.text))
    for mention in parse.mentions:
        style = COLOURS[mention.label] + (" italic underline" if mention.uncertain else " bold")
        text.stylize(style, mention.start, mention.end)
    labels = dict.fromkeys(mention.label for mention in parse.mentions)
    text.append("\n\n" if labels else "")
    text.append_text(Text("  ").join(Text(f"■ {LABEL_WORDS[label]}", COLOURS[label]) for label in labels))
    if any(mention.uncertain for mention in parse.mentions):
        text.append("  ").append("uncertain", "italic underline")
    for mention in parse.unclaimed:
        text.stylize(_UNCLAIMED, mention.start, mention.end)
    if parse.unclaimed:
        text.append("  " if labels else "\n\n").append("named, not claimed", _UNCLAIMED)
    return text


def _bracketed(parse: Parse) -> Text:
    text, end = Text(), 0
    silent = set(parse.unclaimed)
    for mention in sorted((*parse.mentions, *silent), key=lambda mention: (mention.start, -mention.end)):
        if mention.start < end:  # inside the last mention: only the table has it
            continue
        denied = mention.entity[0] != mention.text
        words = [LABEL_WORDS[mention.label], "denied" * denied, "uncertain" * mention.uncertain]
        if mention in silent:
            words = [LABEL_WORDS[mention.label].partition(",")[0], "not claimed"]
        between, inside = parse.text[end : mention.start], parse.text[mention.start : mention.end]
        text.append(visible(f"{between}[{inside}: {', '.join(filter(None, words))}]"))
        end = mention.end
    return text.append(visible(parse.text[end:]))


def entities_table(parse: Parse) -> Table:
    """Entities with their labels and relations, each once, in the order of the text."""
    table, graph = Table("entity", "label", "relation", "to"), parse.graph
    for entity in dict.fromkeys(mention.entity for mention in parse.mentions):
        name, label = _entity_text(entity, graph), Text(LABEL_WORDS[entity[1]], COLOURS[entity[1]])
        edges = sorted((kind, tail) for head, kind, tail in graph.relations if head == entity)
        for kind, tail in edges:
            table.add_row(name, label, kind, _entity_text(tail, graph))
            name = label = Text()
        if not edges:
            table.add_row(name, label, "", "")
    return table


def entity_phrase(entity: Entity, graph: Graph) -> str:
    """An entity as a phrase that tells whether it is absent or uncertain: `no perhaps effusion`."""
    absent = "no " if entity[1] in ("disorder_notpresent", "devices_notpresent") else ""
    return absent + ("perhaps " if entity in graph.uncertain else "") + visible(entity[0])


def _entity_text(entity: Entity, graph: Graph) -> Text:
    return Text(entity_phrase(entity, graph), COLOURS[entity[1]])


def texts_compared(figures: Mapping[str, Any], unit: str = "text") -> str:
    """How many texts were compared, and how many were not because only one file has them."""
    unmatched = figures.get("in_one_file_only")
    return counted(figures["n"], unit) + (
        f"; {count_text(unmatched)} in one file only, not compared" if unmatched else ""
    )


def graph_table(figures: Mapping[str, Any]) -> Table:
    """The table of an audit or of an evaluation on annotated sentences."""
    table = Table("part", "precision", "recall", "F1", "macro F1", "n", title=texts_compared(figures))
    for name in ("typed", "untyped", "tokens", "entities", "relations", "presence", "pairs"):
        if name in figures and figures[name]["n"]:
            _add_row(table, name, figures[name])
    for group in ("by_label", "by_relation", "by_finding"):
        table.add_section()
        for name, row in figures.get(group, {}).items():
            _add_row(table, name, row)
    if side := figures.get("laterality"):
        table.caption = f"side right: {figure_text(side['right'])} of {count_text(side['n'])}"
    return table


def _add_row(table: Table, name: str, row: Mapping[str, Any]) -> None:
    values = [
        figure_text(row[key]) if row.get(key) is not None else ""
        for key in ("precision", "recall", "f1", "macro_f1")
    ]
    table.add_row(escape(name), *values, count_text(row["n"]))
