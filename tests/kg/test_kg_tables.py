"""Graphs for the terminal: every mention marked at its place, readable without colour."""

from __future__ import annotations

import random
import re

import pytest
from rich.console import Console
from rich.table import Table

from chexphi.data.phantom.language import caption
from chexphi.data.phantom.scene import sample_build, sample_scene
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.types import LABEL_WORDS, LABELS, Mention, Parse
from chexphi.kg.tables import COLOURS, entities_table, entity_phrase, marked_text
from chexphi.schema import visible

DRAWN = [
    caption(rng, sample_scene(rng, sample_build(rng)), "train")[1].think
    for rng in (random.Random(seed) for seed in range(20))
]
HARD = (
    "No effusion,\r\nbut a possible 5 mm nodule in the \x1bright upper lobe. The heart is not enlarged. [sic]"
)


def parsed(text: str) -> Parse:
    (parse,) = LexiconExtractor().parse([text])
    assert parse.mentions
    return parse


def rows(table: Table) -> list[tuple[str, ...]]:
    return list(zip(*([str(cell) for cell in column.cells] for column in table.columns), strict=True))


@pytest.mark.parametrize("text", [*DRAWN, HARD])
def test_brackets_add_labels_and_take_nothing_away(text: str) -> None:
    parse = parsed(text)
    shown = marked_text(parse, colour=False).plain
    names = "|".join(LABEL_WORDS.values())
    label = re.compile(rf"\[([^\[\]]*?): (?:{names})(?:, denied)?(?:, uncertain)?\]")
    assert label.sub(r"\1", shown) == visible(text)
    assert len(label.findall(shown)) == len(parse.mentions)


def test_what_is_not_claimed_is_marked_and_in_no_table() -> None:
    parse = parsed("Is there an effusion? The heart is enlarged.")
    assert "[effusion: finding, not claimed]" in marked_text(parse, colour=False).plain
    shown = marked_text(parse, colour=True)
    assert shown.plain.endswith("named, not claimed")
    assert any(shown.plain[span.start : span.end] == "effusion" for span in shown.spans)
    assert "effusion" not in str(rows(entities_table(parse)))


@pytest.mark.parametrize("text", [*DRAWN, HARD])
def test_colours_lie_on_the_mentions(text: str) -> None:
    parse = parsed(text)
    shown = marked_text(parse, colour=True)
    assert shown.plain.startswith(visible(text) + "\n\n")
    expected = [(m.start, m.end, COLOURS[m.label]) for m in parse.mentions]
    spans = [(s.start, s.end, str(s.style).split()[0]) for s in shown.spans if s.start < len(text)]
    assert spans == expected
    legend = shown.plain[len(text) :]
    assert all(
        (LABEL_WORDS[name] in legend) == (name in {m.label for m in parse.mentions}) for name in LABEL_WORDS
    )


def test_denial_and_doubt_are_said_in_words() -> None:
    shown = marked_text(parsed(HARD), colour=False).plain
    for part in (
        "[effusion: finding, absent]",
        "[nodule: finding, present, uncertain]",
        "descriptor, denied]",
    ):
        assert part in shown


def test_a_mention_inside_another_is_left_to_the_table() -> None:
    inner, outer = Mention("effusion", "disorder_present", 8, 16), Mention("pleural effusion", "size", 0, 16)
    parse = Parse("pleural effusion", (inner, outer), frozenset())
    assert marked_text(parse, colour=False).plain == "[pleural effusion: size]"
    assert [row[0] for row in rows(entities_table(parse))] == ["effusion", "pleural effusion"]


@pytest.mark.parametrize("text", [*DRAWN, HARD])
def test_the_table_has_every_entity_and_every_relation_once(text: str) -> None:
    parse = parsed(text)
    graph, found, entities, edges = parse.graph, rows(entities_table(parse)), [], []
    for entity, label, kind, tail in found:
        if entity:
            entities.append((entity, label))
        if kind:
            edges.append((*entities[-1], kind, tail))
    assert sorted(entities) == sorted((entity_phrase(e, graph), LABEL_WORDS[e[1]]) for e in graph.entities)
    assert sorted(edges) == sorted(
        (entity_phrase(head, graph), LABEL_WORDS[head[1]], kind, entity_phrase(tail, graph))
        for head, kind, tail in graph.relations
    )


def test_every_label_has_a_colour_of_its_own_and_a_word() -> None:
    assert set(COLOURS) == set(LABEL_WORDS) == set(LABELS)
    assert len(set(COLOURS.values())) == len(set(LABEL_WORDS.values())) == len(LABELS)


def test_no_control_character_reaches_the_terminal() -> None:
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(marked_text(parsed(HARD), colour=True), entities_table(parsed(HARD)))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", captured.get())
    assert visible("a\x1b[31mb\r\n\tc\x9b") == "a [31mb \n\tc "
