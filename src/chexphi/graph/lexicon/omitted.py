"""Restores nouns that a sentence leaves out: `a large left but no right effusion`, `none on the left`.

What is said of one side and what is said of the other become statements of their own. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from chexphi.graph.lexicon.clauses import BE
from chexphi.graph.lexicon.spans import CAN_BE_ABSENT, Span
from chexphi.graph.tokens import Token
from chexphi.graph.words import words as _words

_OTHER_SIDE = {"left": "right", "right": "left", "left-sided": "right", "right-sided": "left"}
_SIDES = frozenset(_OTHER_SIDE)
_SIDED_WORDS = _words("bilateral both bibasal bibasilar biapical left right left-sided right-sided")
_STAND_INS = _words("none not no one that those but while whereas although and ;")
"""A sentence without one of these leaves out no noun."""
_CONTRASTS = _words("but while whereas although though and , ;")
_PREPOSITIONS = _words("on in at")
_PREDICATES = BE | _words("has have had does do persists persist remains remain appears appear shows show")
_AFTER_ONE = _PREPOSITIONS | BE | _words("has have may might could can cannot remains persists , . ; which")
_COMPARED = _words("than to as with versus vs from")
"""Before `that on the right`: it is only compared with."""
_SEEN_WORDS = _words("seen present visible identified evident noted detected")
_ZONES = _words("upper mid middle lower basal basilar apical")
_RESOLVED = _words("resolved cleared disappeared gone vanished")
_COURSES = _RESOLVED | _words(
    """increased decreased worsened improved enlarged progressed persists persisted persist unchanged stable
    grown"""
)
_REACH = 4
"""Words within which a side follows its preposition: `on the left`, `in the lower left lung`."""


class _Edit(NamedTuple):
    """Words in place of the words from `start` to before `end`."""

    start: int
    end: int
    words: tuple[str, ...]


def with_omitted_nouns(tokens: Sequence[Token], words: Sequence[str], spans: Sequence[Span]) -> list[Token]:
    """The words of a sentence with the nouns that it leaves out; empty if it leaves out none.

    A restored word has the position of the word that stands for it, which may be its side.

    Args:
        tokens: Words and marks with their positions.
        words: Their texts.
        spans: The labelled words.
    """
    if _SIDES.isdisjoint(words) or (
        _STAND_INS.isdisjoint(words) and ("," not in words or _PREDICATES.isdisjoint(words))
    ):
        return []
    edits = {edit.start: edit for edit in _edits(words, spans)}
    if not edits:
        return []
    restored, at = [], 0
    while at <= len(tokens):
        edit = edits.get(at)
        if edit is not None:
            stand_in = tokens[at : edit.end] or tokens[at - 1 : at]
            start, end = stand_in[0].start, stand_in[-1].end
            restored += [Token(word, start, end) for word in edit.words]
            if edit.end > at:
                at = edit.end
                continue
        restored += tokens[at : at + 1]
        at += 1
    return restored


def _edits(words: Sequence[str], spans: Sequence[Span]) -> Iterator[_Edit]:
    for at, word in enumerate(words):
        if word in _SIDES:
            yield from _of_mixed_sides(words, spans, at)
        elif word in ("none", "not"):
            yield from _of_none(words, spans, at)
        elif word in ("one", "that", "those") and at and _stands_for_noun(words, at):
            yield from _replaced(at, at + 1, _noun_before(words, spans, at))
        elif word in _CONTRASTS and at:
            yield from _of_bare_side(words, spans, at)
            yield from _of_one_resolved(words, spans, at)


def _replaced(start: int, end: int, noun: tuple[str, ...], *, denied: bool = False) -> Iterator[_Edit]:
    if noun:
        yield _Edit(start, end, ("but", "no", *noun) if denied else noun)


def _of_mixed_sides(words: Sequence[str], spans: Sequence[Span], side: int) -> Iterator[_Edit]:
    """`a large left but no right effusion`: a noun that two sides share, of which one is denied."""
    at = side + 1 + (words[side + 1 : side + 2] == [","])
    if words[at : at + 1] not in (["but"], ["and"]):
        return
    second = next((i for i in range(at + 1, min(at + 6, len(words))) if words[i] in _SIDES), None)
    if second is None or words[second] == words[side] or _touches_finding(spans, at, second):
        return
    negation = next((i for i in range(at + 1, second) if words[i] in ("no", "not", "without")), None)
    start = max(0, side - 3)
    first_is_denied = not {"no", "without"}.isdisjoint(words[start:side]) and not _touches_finding(
        spans, start, side
    )
    comma = second + 1 if words[second + 1 : second + 2] == [","] else None
    noun = _noun_at(words, spans, second + 1 + (comma is not None))
    if not noun or first_is_denied == (negation is not None):
        return
    if first_is_denied and words[at] == "and" and words[at + 1] not in ("a", "an", "the"):
        return  # `no left and right effusions`
    yield _Edit(side + 1, side + 1, noun)
    if negation is not None and words[negation] == "not":
        yield _Edit(negation, negation + 1, ("no",))
    if comma is not None:
        yield _Edit(comma, comma + 1, ())


def _of_none(words: Sequence[str], spans: Sequence[Span], at: int) -> Iterator[_Edit]:
    """`none on the left`, `but not on the left`."""
    preposition = at + 1 + (words[at + 1 : at + 2] != [] and words[at + 1] in _SEEN_WORDS)
    is_stand_in = words[at] == "none" or (at > 0 and words[at - 1] in _CONTRASTS)
    if is_stand_in and _has_side(words, preposition):
        yield from _replaced(at, at + 1, _noun_before(words, spans, at), denied=True)


def _of_bare_side(words: Sequence[str], spans: Sequence[Span], contrast: int) -> Iterator[_Edit]:
    """`but the right persists`, `the right is raised`: a side that stands for its noun."""
    side = contrast + 1 + (words[contrast + 1 : contrast + 2] == ["the"])
    verb = side + 1
    if verb >= len(words) or words[side] not in _SIDES or words[verb] not in _PREDICATES:
        return
    if words[contrast - 1] in _SIDES or _SIDED_WORDS.isdisjoint(words[:contrast]):
        return
    if words[verb] in ("does", "do"):
        noun = _noun_before(words, spans, contrast)
        if words[verb + 1 : verb + 2] == ["not"] and noun:
            yield _Edit(contrast + 1, verb + 2, ("no", words[side], *noun))
        else:
            yield from _replaced(verb, verb + 1, noun)
        return
    noun = _noun_of_side(words, spans, contrast, _OTHER_SIDE[words[side]])
    yield from _replaced(verb, verb, noun or _noun_before(words, spans, contrast))


def _of_one_resolved(words: Sequence[str], spans: Sequence[Span], contrast: int) -> Iterator[_Edit]:
    """`resolved on the left and increased on the right`: one finding that is gone, and one that is not."""
    course = contrast + 1
    while words[course : course + 1] and words[course] in BE | {"has", "have"}:
        course += 1
    if words[course : course + 1] == [] or words[course] not in _COURSES or not _has_side(words, course + 1):
        return
    earlier = next((i for i in range(contrast - 1, -1, -1) if words[i] in _COURSES), None)
    if earlier is None or not _has_side(words, earlier + 1):
        return
    if (words[course] in _RESOLVED) == (words[earlier] in _RESOLVED):
        return
    noun = _noun_before(words, spans, contrast)
    if noun:
        yield _Edit(contrast, contrast + 1, ("but", *noun))
        yield from (_Edit(i, i + 1, ()) for i in range(earlier) if words[i] in ("bilateral", "both"))


def _stands_for_noun(words: Sequence[str], at: int) -> bool:
    """Whether a word stands for a finding with a side: `a small left one`, `that on the left`."""
    if words[at] != "one":
        return words[at - 1] not in _COMPARED and _has_side(words, at + 1)
    if at + 1 < len(words) and words[at + 1] not in _AFTER_ONE:
        return False
    has_own_side = not _SIDES.isdisjoint(words[max(0, at - 2) : at])
    return has_own_side or _has_side(words, at + 1)


def _has_side(words: Sequence[str], preposition: int) -> bool:
    """Whether a preposition with a side starts here: `on the left`."""
    location = words[preposition : preposition + _REACH]
    return bool(location) and location[0] in _PREPOSITIONS and not _SIDES.isdisjoint(location)


def _touches_finding(spans: Sequence[Span], start: int, end: int) -> bool:
    return any(start <= span.start < end and span.label != "concept" for span in spans)


def _noun_at(words: Sequence[str], spans: Sequence[Span], start: int) -> tuple[str, ...]:
    """The noun phrase that starts here, up to its finding."""
    at = start
    for span in spans:
        if span.start <= at < span.end:
            at = span.end
            if span.label in CAN_BE_ABSENT:
                return tuple(words[start:at])
    return ()


def _noun_before(words: Sequence[str], spans: Sequence[Span], end: int) -> tuple[str, ...]:
    """The last finding before a word, with the structure that names it: `pleural effusion`."""
    at = next((i for i in reversed(range(len(spans))) if _is_finding_before(spans[i], end)), None)
    return () if at is None else _phrase(words, spans, at)


def _is_finding_before(span: Span, end: int) -> bool:
    return span.end <= end and span.label in CAN_BE_ABSENT


def _noun_of_side(words: Sequence[str], spans: Sequence[Span], end: int, side: str) -> tuple[str, ...]:
    """The noun of the phrase with a side: of `the left hemidiaphragm is raised` the hemidiaphragm."""
    for at, span in enumerate(spans):
        if (
            span.end > end
            or span.label != "concept"
            or side not in (word[: len(side)] for word in span.words)
        ):
            continue
        head = at
        while head + 1 < len(spans) and spans[head + 1].start == spans[head].end:
            head += 1
            if spans[head].label in CAN_BE_ABSENT:
                break
        return _phrase(words, spans, head) if head > at and spans[head].label != "concept" else ()
    return ()


def _phrase(words: Sequence[str], spans: Sequence[Span], head: int) -> tuple[str, ...]:
    """The words of a noun with its structure and zone, without sides and degrees."""
    phrase_start = head
    while phrase_start and spans[phrase_start - 1].end == spans[phrase_start].start:
        phrase_start -= 1
    return tuple(
        word
        for span in spans[phrase_start : head + 1]
        for word in words[span.start : span.end]
        if span is spans[head] or span.label == "anatomy" or word in _ZONES
    )
