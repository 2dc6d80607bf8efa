"""Clauses of a text: which film they speak of, and whether they go on with the one before."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chexphi.graph.text import sentence_spans

_CLAUSE_END = re.compile(r";|,? but |, and |, while | while |,? whereas |,? although |, with ", re.IGNORECASE)
_FILM = r"(?:films?|radiographs?|images?|stud(?:y|ies)|exam\w*|x-?rays?|scans?)"
_PRIOR = re.compile(
    r"(?P<location>\b(?:on|in|at) )?(?:the |a |that )?\b(?:prior|previous|earlier|former|first|older?|last) "
    rf"(?:chest )?{_FILM}"
    r"(?P<verb> (?:showed|shows|had|has|demonstrated|revealed|did|contained))?",
    re.IGNORECASE,
)
_COMPARED = re.compile(r"\b(?:since|than|with|to|from|unlike|versus)\s+$", re.IGNORECASE)
_BOTH_FILMS = re.compile(r"\b(?:also|too|as well|already|both|either)\b", re.IGNORECASE)
_CONTINUATION = re.compile(
    r"\W*(?:(?:now|today|currently|there|here|is|are|was|were|but|and|however),? )*"
    r"(it|they|one|none|(?:this|these)(?= (?:is|are|was|were|has|have|shows?|contains?|holds?)\b))\b",
    re.IGNORECASE,
)


def clauses(text: str) -> Iterator[tuple[int, int, int]]:
    """(Number of the sentence, first character, one past the last) of each clause of a text."""
    for number, (start, end) in enumerate(sentence_spans(text)):
        begin = start
        for mark in _CLAUSE_END.finditer(text, start, end):
            yield number, begin, mark.start()
            begin = mark.end()
        yield number, begin, end


def is_on_prior_film(clause: str) -> bool:
    """Whether a clause speaks of the prior film alone, and not of the current one beside it."""
    return prior_film(clause) is not None


def prior_film(clause: str) -> re.Match[str] | None:
    """Where a clause that speaks of the prior film alone names it, with its `location` and `verb`."""
    film = _PRIOR.search(clause)
    if film is None or not (film["location"] or film["verb"]) or _BOTH_FILMS.search(clause):
        return None
    return None if _COMPARED.search(clause[: film.start()]) else film


def names_prior_film(text: str) -> bool:
    """Whether any clause of a text may speak of the prior film alone; quicker than to ask each."""
    return any(film["location"] or film["verb"] for film in _PRIOR.finditer(text))


def continues(sentence: str) -> str | None:
    """The word by which a sentence goes on with the finding of the one before (`It`, `one`, `none`)."""
    start = _CONTINUATION.match(sentence)
    return start[1].lower() if start else None
