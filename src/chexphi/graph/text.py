"""Cuts texts into sentences, and joins the parses of sentences to those of texts. Standard library only."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from operator import itemgetter

from chexphi.graph.lines import ABBREVIATIONS, Layout, is_answer
from chexphi.graph.sections import unclaimed_sections
from chexphi.graph.types import Graph, Mention, Parse, parse_with_unclaimed

_POSSIBLE_END = re.compile(
    r"""(?P<tag></?(?i:think|answer|br|p|div|li|ul|ol|tr|td|th|table|h[1-6])\b[^<>]{0,40}>)
    | (?P<stop>[.!?\u3002\uff01\uff1f](?<![.!?\u3002\uff01\uff1f][.!?\u3002\uff01\uff1f])
        [.!?\u3002\uff01\uff1f]*+)
        (?=["')\]*_`\u201d\u2019\u00bb]*+(?:\s|[A-Z<]|$))
    | (?P<item>(?<![\w(.,/-])(?:\(?(?:\d{1,2}|[a-hA-H])\)(?=\s?[^\W\d])|[\u2022\u25cf\u25aa]\s))
    | (?P<line>\n\s*+)""",
    re.VERBOSE,
)
"""What may end a sentence; never the point inside `1.5`. Several marks in a row are one match."""
_LAST_WORD = re.compile(r"[^\W\d_]+(?:\.[^\W\d_]+)*$")
_ITEM_NUMBER = re.compile(r"\s*[(\[]?\d{1,2}\s*")
"""The number of a list item, before its point."""
_MAX_CHARACTERS = 1500
"""Characters that a sentence may have."""
_MAX_TOKENS = 400
"""Words and marks that a sentence may have: more than there are in 1,500 characters of prose."""
_TOKEN = re.compile(r"\w+|[^\w\s]")
_HEADING_MARK = re.compile(r"[:\u2013?]|-\s")
"""A text without one of these has no heading."""
_LOOK_BACK = 120
"""How many characters around a possible end are looked at."""


@lru_cache(maxsize=1024)  # the graph and the repetitions of one completion
def sentence_spans(text: str) -> tuple[tuple[int, int], ...]:
    """The spans (first character, one past the last) of the sentences of a text.

    A sentence ends at `. ! ?`, at a tag that ends a block, and at the end of a line. It does not end inside a
    number, after a title, after the number of a list item, or where a line was wrapped. The number of a list
    item is not part of a sentence.
    """
    return tuple(
        span
        for start, end in _split_at_ends(text)
        if start < end
        for span in _split_overlong(text, start, end)
    )


def _split_overlong(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cuts an overlong sentence between words, so that no rule has to read 20,000 words at once."""
    while (longest_end := _longest_end(text, start, end)) < end:
        split_at = max(text.rfind(" ", start + 1, longest_end), text.rfind("\n", start + 1, longest_end))
        split_at = split_at if split_at > start else longest_end
        yield _strip_span(text, start, split_at)
        start, _ = _strip_span(text, split_at, end)
    if start < end:
        yield start, end


def _longest_end(text: str, start: int, end: int) -> int:
    """One past the last character that a sentence which starts at `start` may have."""
    if end - start <= _MAX_TOKENS:
        return end
    longest_end = min(end, start + _MAX_CHARACTERS)
    excess_token = next(islice(_TOKEN.finditer(text, start, longest_end), _MAX_TOKENS, None), None)
    return excess_token.start() if excess_token else longest_end


def _split_at_ends(text: str) -> Iterator[tuple[int, int]]:
    """The spans between the ends of sentences; a span may be empty or overlong."""
    start = 0
    layout = Layout.of(text) if "\n" in text else None
    for boundary in _POSSIBLE_END.finditer(text):
        text_before = text[max(start, boundary.start() - _LOOK_BACK) : boundary.start()]
        if boundary["stop"] == "." and _ITEM_NUMBER.fullmatch(text_before):
            start = boundary.end()
            continue
        if boundary["stop"] and _is_not_an_end(text, boundary, text_before):
            continue
        if boundary["item"] and text_before.count("(") > text_before.count(")"):  # `(image 2)`
            continue
        if (
            boundary["line"]
            and layout
            and boundary["line"].count("\n") == 1
            and layout.goes_on(boundary.start())
        ):
            continue
        yield _strip_span(text, start, boundary.end() if boundary["stop"] else boundary.start())
        start = boundary.end()
    yield _strip_span(text, start, len(text))


def _is_not_an_end(text: str, boundary: re.Match[str], text_before: str) -> bool:
    """Whether the mark does not end a sentence: an abbreviation, a doubt (`? pneumonia`), a question that is
    answered."""
    marks, text_after = boundary["stop"], text[boundary.end() : boundary.end() + _LOOK_BACK]
    if marks == ".":
        return _is_abbreviation(text, boundary.start(), boundary.end())
    if marks.startswith(".."):  # a dotted line leads to a value
        return text_after.lstrip()[:1].islower() or is_answer(text_after.lstrip(" ."))
    if marks not in ("?", "\uff1f"):
        return False
    is_before_word = text_after[:1].isalpha() or text_after.lstrip(" ")[:1].islower()
    doubt = text_before[-1:] in ("", " ", "\n", "(") and is_before_word
    return (
        doubt
        or not text_before.strip()
        or (is_answer(text_after.lstrip()) and not text_after.lstrip(" \t").startswith("\n\n"))
    )


def _is_abbreviation(text: str, point: int, text_after_start: int) -> bool:
    """The point at `point` belongs to an abbreviation."""
    word = _LAST_WORD.search(text, max(0, point - 16), point)
    if word is None:
        return False
    abbreviation = word[0].lower()
    dotted = "." in abbreviation and not text[text_after_start : text_after_start + 4].lstrip()[:1].isupper()
    return abbreviation in ABBREVIATIONS or dotted


def _strip_span(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def by_sentences(
    texts: Sequence[str], parse_sentences: Callable[[Sequence[str]], Sequence[Parse]]
) -> list[Parse]:
    """Parse texts by a function that parses sentences. It is called once, with all sentences in order."""
    return [
        join_parses(text, spans, parses, _sections_of(text))
        for text, spans, parses in _parses_by_text(texts, parse_sentences)
    ]


def graphs_by_sentences(
    texts: Sequence[str], parse_sentences: Callable[[Sequence[str]], Sequence[Parse]]
) -> list[Graph]:
    """The graphs of texts by a function that parses sentences.

    A text without unclaimed sections has the union of the graphs of its sentences, which is quicker to make.
    """
    graphs = []
    for text, spans, parses in _parses_by_text(texts, parse_sentences):
        if sections := _sections_of(text):
            graphs.append(join_parses(text, spans, parses, sections).graph)
        else:
            graphs.append(Graph.union([parse.graph for parse in parses]))
    return graphs


def _parses_by_text(
    texts: Sequence[str], parse_sentences: Callable[[Sequence[str]], Sequence[Parse]]
) -> Iterator[tuple[str, tuple[tuple[int, int], ...], list[Parse]]]:
    """Each text with the spans and the parses of its sentences."""
    spans_by_text = [sentence_spans(text) for text in texts]
    sentence_texts = [
        text[start:end] for text, spans in zip(texts, spans_by_text, strict=True) for start, end in spans
    ]
    parses = iter(parse_sentences(sentence_texts))
    for text, spans in zip(texts, spans_by_text, strict=True):
        yield text, spans, list(islice(parses, len(spans)))


def join_parses(
    text: str,
    spans: Sequence[tuple[int, int]],
    parses: Sequence[Parse],
    sections: Sequence[tuple[int, int, bool]],
) -> Parse:
    """The parse of a text from the parses of its sentences; `sections` ask a question or give a reason."""
    mentions: list[Mention] = []
    unclaimed: list[Mention] = []
    edges: set[tuple[int, str, int]] = set()
    for (start, _), sentence in zip(spans, parses, strict=True):
        offset = len(mentions)
        mentions += _shifted(sentence.mentions, start)
        unclaimed += _shifted(sentence.unclaimed, start)
        edges |= {(offset + head, kind, offset + tail) for head, kind, tail in sentence.edges}
    parse = parse_with_unclaimed(text, mentions, edges, _unclaimed_positions(text, spans, mentions, sections))
    return replace(parse, unclaimed=(*unclaimed, *parse.unclaimed))


def _unclaimed_positions(
    text: str,
    spans: Sequence[tuple[int, int]],
    mentions: Sequence[Mention],
    sections: Sequence[tuple[int, int, bool]],
) -> set[int]:
    """Positions of the mentions in sections that ask a question or give a reason."""
    by_start = sorted(range(len(mentions)), key=lambda index: mentions[index].start) if sections else []
    begins = [mentions[index].start for index in by_start]
    return {
        index
        for section_start, section_end, question in sections
        for index in by_start[bisect_left(begins, section_start) : bisect_left(begins, section_end)]
        if not (question and _in_question(text, spans, mentions[index]))
    }


def _sections_of(text: str) -> list[tuple[int, int, bool]]:
    return unclaimed_sections(text) if _HEADING_MARK.search(text) else []


def _in_question(text: str, spans: Sequence[tuple[int, int]], mention: Mention) -> bool:
    """Whether the sentence of a mention is a question. Such a sentence is read together with its answer."""
    start, end = spans[bisect_right(spans, mention.start, key=itemgetter(0)) - 1]
    return mention.start < end and "?" in text[start:end]


def _shifted(mentions: Sequence[Mention], offset: int) -> list[Mention]:
    return [  # `replace` takes three times as long
        Mention(m.text, m.label, offset + m.start, offset + m.end, m.uncertain, m.denied) for m in mentions
    ]
