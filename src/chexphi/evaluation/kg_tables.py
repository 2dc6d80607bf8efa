"""Graphs and their figures for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from chexphi.graph.types import Mention, Parse

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
MARKS = {"disorder_notpresent": "no ", "devices_notpresent": "no "}
"""What a colour says, for those who see none."""


def coloured(parse: Parse) -> Text:
    """The text with its mentions in the colour of their label, and a legend of the labels that occur."""
    text = Text(parse.text)
    for mention in parse.mentions:
        style = COLOURS[mention.label] + (" italic underline" if mention.uncertain else " bold")
        text.stylize(style, mention.start, mention.end)
    text.append("\n")
    for label in dict.fromkeys(mention.label for mention in parse.mentions):
        text.append(f"\n{label}", COLOURS[label])
    return text


def relations_table(parse: Parse) -> Table:
    """Mentions without relation, and relations, in the order of the text."""
    found = Table("head", "relation", "tail")
    linked = {end for head, _, tail in parse.edges for end in (head, tail)}
    for head, kind, tail in sorted(parse.edges):
        found.add_row(_name(parse.mentions[head]), kind, _name(parse.mentions[tail]))
    for index, mention in enumerate(parse.mentions):
        if index not in linked:
            found.add_row(_name(mention), "", "")
    return found


def _name(mention: Mention) -> Text:
    mark = MARKS.get(mention.label, "") + ("perhaps " if mention.uncertain else "")
    return Text(mark + mention.entity[0], COLOURS[mention.label])


def graph_table(figures: Mapping[str, Any]) -> Table:
    """The table of an audit or of an evaluation on annotated sentences."""
    found = Table("part", "precision", "recall", "F1", "macro F1", "n", title=f"{figures['n']} texts")
    for name in ("typed", "untyped", "tokens", "entities", "relations", "presence", "pairs"):
        if name in figures and figures[name]["n"]:
            _add(found, name, figures[name])
    for group in ("by_label", "by_relation", "by_finding"):
        found.add_section()
        for name, row in figures.get(group, {}).items():
            _add(found, name, row)
    if "laterality" in figures:
        found.caption = f"side right: {figures['laterality']['right']:.3f} of {figures['laterality']['n']}"
    return found


def _add(table: Table, name: str, row: Mapping[str, Any]) -> None:
    values = [
        f"{row[key]:.3f}" if row.get(key) is not None else ""
        for key in ("precision", "recall", "f1", "macro_f1")
    ]
    table.add_row(escape(name), *values, str(row["n"]))
