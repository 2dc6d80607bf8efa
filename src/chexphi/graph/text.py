"""Sentences with their places in the text. Standard library only."""

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
from chexphi.graph.types import Graph, Mention, Parse, claimed

_BREAK = re.compile(
    r"""(?P<tag></?(?i:think|answer|br|p|div|li|ul|ol|tr|td|th|table|h[1-6])\b[^<>]{0,40}>)
    | (?P<stop>[.!?\u3002\uff01\uff1f](?<![.!?\u3002\uff01\uff1f][.!?\u3002\uff01\uff1f])
        [.!?\u3002\uff01\uff1f]*+)
        (?=["')\]*_`\u201d\u2019\u00bb]*+(?:\s|[A-Z<]|$))
    | (?P<item>(?<![\w(.,/-])(?:\(?(?:\d{1,2}|[a-hA-H])\)(?=\s?[^\W\d])|[\u2022\u25cf\u25aa]\s))
    | (?P<line>\n\s*+)""",
    re.VERBOSE,
)
"""What may end a sentence; never a point inside `1.5`. Marks in a row are looked at once, from the first."""
_LAST_WORD = re.compile(r"[^\W\d_]+(?:\.[^\W\d_]+)*$")
_MARKER = re.compile(r"\s*[(\[]?\d{1,2}\s*")
"""The number of a list item, before its point."""
_LONGEST = 1500
"""Characters of a sentence."""
_MOST = 400
"""Words and marks of a sentence: more than 1,500 characters of prose have."""
_WORD = re.compile(r"\w+|[^\w\s]")
_HEADED = re.compile(r"[:\u2013?]|-\s")
"""Without these no section has a heading."""
_LOOK_BACK = 120
"""Characters before a break that decide what it is."""


@lru_cache(maxsize=1024)  # the graph and the repetitions of one completion
def sentences(text: str) -> tuple[tuple[int, int], ...]:
    """Places (first character, one past the last) of the sentences of a text.

    A sentence ends at `. ! ?`, at a tag that ends a block and at a line end, but not inside a number, after
    a title, after the number of a list item (which belongs to no sentence) or where a line was wrapped.
    """
    return tuple(place for start, end in _pieces(text) if start < end for place in _bounded(text, start, end))


def _bounded(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A text without any sentence end is cut between words, so that no rule meets one of 20,000 words."""
    while (longest := _longest(text, start, end)) < end:
        cut = max(text.rfind(" ", start + 1, longest), text.rfind("\n", start + 1, longest))
        cut = cut if cut > start else longest
        yield _stripped(text, start, cut)
        start, _ = _stripped(text, cut, end)
    if start < end:
        yield start, end


def _longest(text: str, start: int, end: int) -> int:
    """One past the last character that a sentence from `start` may have."""
    if end - start <= _MOST:
        return end
    longest = min(end, start + _LONGEST)
    further = next(islice(_WORD.finditer(text, start, longest), _MOST, None), None)
    return further.start() if further else longest


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    layout = Layout.of(text) if "\n" in text else None
    for found in _BREAK.finditer(text):
        before = text[max(start, found.start() - _LOOK_BACK) : found.start()]
        if found["stop"] == "." and _MARKER.fullmatch(before):
            start = found.end()
            continue
        if found["stop"] and _runs_on(text, found, before):
            continue
        if found["item"] and before.count("(") > before.count(")"):  # `(image 2)`
            continue
        if found["line"] and layout and found["line"].count("\n") == 1 and layout.goes_on(found.start()):
            continue
        yield _stripped(text, start, found.end() if found["stop"] else found.start())
        start = found.end()
    yield _stripped(text, start, len(text))


def _runs_on(text: str, found: re.Match[str], before: str) -> bool:
    """The mark ends no sentence: of an abbreviation, a doubt (`? pneumonia`), an answered question."""
    mark, after = found["stop"], text[found.end() : found.end() + _LOOK_BACK]
    if mark == ".":
        return _goes_on(text, found.start(), found.end())
    if mark.startswith(".."):  # a dotted line before a value
        return after.lstrip()[:1].islower() or is_answer(after.lstrip(" ."))
    if mark not in ("?", "\uff1f"):
        return False
    doubt = before[-1:] in ("", " ", "\n", "(") and after.lstrip(" ")[:1].islower()
    return doubt or (is_answer(after.lstrip()) and not after.lstrip(" \t").startswith("\n\n"))


def _goes_on(text: str, at: int, after: int) -> bool:
    """The point at `at` belongs to an abbreviation."""
    word = _LAST_WORD.search(text, max(0, at - 16), at)
    if word is None:
        return False
    name = word[0].lower()
    dotted = "." in name and not text[after : after + 4].lstrip()[:1].isupper()
    return name in ABBREVIATIONS or dotted


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def by_sentences(
    texts: Sequence[str], parse_sentences: Callable[[Sequence[str]], Sequence[Parse]]
) -> list[Parse]:
    """The parses of texts by what parses sentences: one call, all sentences in order."""
    return [
        joined(text, places, parses, _apart(text)) for text, places, parses in _cut(texts, parse_sentences)
    ]


def graphs_by_sentences(
    texts: Sequence[str], parse_sentences: Callable[[Sequence[str]], Sequence[Parse]]
) -> list[Graph]:
    """The graphs of `by_sentences`: a text without sections has all that its sentences have."""
    found = []
    for text, places, parses in _cut(texts, parse_sentences):
        if sections := _apart(text):
            found.append(joined(text, places, parses, sections).graph)
        else:
            found.append(Graph.union([parse.graph for parse in parses]))
    return found


def _cut(
    texts: Sequence[str], parse_sentences: Callable[[Sequence[str]], Sequence[Parse]]
) -> Iterator[tuple[str, tuple[tuple[int, int], ...], list[Parse]]]:
    """Each text with its sentences' places and parses."""
    places = [sentences(text) for text in texts]
    cut = [text[start:end] for text, found in zip(texts, places, strict=True) for start, end in found]
    parses = iter(parse_sentences(cut))
    for text, found in zip(texts, places, strict=True):
        yield text, found, list(islice(parses, len(found)))


def joined(
    text: str,
    places: Sequence[tuple[int, int]],
    parses: Sequence[Parse],
    sections: Sequence[tuple[int, int, bool]],
) -> Parse:
    """The parse of a text from those of its sentences; `sections` are those that ask or tell why."""
    mentions: list[Mention] = []
    unclaimed: list[Mention] = []
    edges: set[tuple[int, str, int]] = set()
    for (start, _), sentence in zip(places, parses, strict=True):
        first = len(mentions)
        mentions += _moved(sentence.mentions, start)
        unclaimed += _moved(sentence.unclaimed, start)
        edges |= {(first + head, kind, first + tail) for head, kind, tail in sentence.edges}
    parse = claimed(text, mentions, edges, _asked(text, places, mentions, sections))
    return replace(parse, unclaimed=(*unclaimed, *parse.unclaimed))


def _asked(
    text: str,
    places: Sequence[tuple[int, int]],
    mentions: Sequence[Mention],
    sections: Sequence[tuple[int, int, bool]],
) -> set[int]:
    """Positions of the mentions in sections that ask or tell why."""
    order = sorted(range(len(mentions)), key=lambda index: mentions[index].start) if sections else []
    begins = [mentions[index].start for index in order]
    return {
        index
        for first, last, question in sections
        for index in order[bisect_left(begins, first) : bisect_left(begins, last)]
        if not (question and _in_question(text, places, mentions[index]))
    }


def _apart(text: str) -> list[tuple[int, int, bool]]:
    return unclaimed_sections(text) if _HEADED.search(text) else []


def _in_question(text: str, places: Sequence[tuple[int, int]], mention: Mention) -> bool:
    """The sentence of a mention is a question: it is read with its answer, if it has one."""
    start, end = places[bisect_right(places, mention.start, key=itemgetter(0)) - 1]
    return mention.start < end and "?" in text[start:end]


def _moved(mentions: Sequence[Mention], start: int) -> list[Mention]:
    return [replace(found, start=start + found.start, end=start + found.end) for found in mentions]
