"""What a cue is about: words after it, its subject, or the label before its value. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence

from chexphi.graph.cues import words as _words
from chexphi.graph.lexicon import clauses
from chexphi.graph.lexicon.cue_table import PASSED_OVER, Found
from chexphi.graph.lexicon.spans import CAN_BE_ABSENT, Span

Scope = tuple[int, int]
"""First word, one past the last word."""

BACK = ("before", "tail", "end", "all")
"""Scopes that end where the cue stands."""
OPEN = ("after", *BACK)
"""Scopes in which something may be named that is there: `no calcification in the nodule`."""
_EARLIER = _words("prior previous previously earlier last yesterday before")
_OBJECT_END = _words("with , ; in from on at since is are was were has have placement insertion replacement")
_MARKS = _words(": = | ? ( [ - \u2013 \u2014 \u2192 > , * \" ' \u2026")
"""Between a label and its value."""
_CELL_END = _words("; | . ) ]")
_VALUE_END = _words("; | . ) ] } , ! * \" ' - \u2013 \u2014 and but")
_BEFORE_VALUE = _words("a answer the is final all both")
"""Words between a mark and a value: `? The answer is no`, `: all absent`."""
_WHERE = _words("on in at for within to of")
_FILLERS = _words(
    """seen identified visible evident noted present detected appreciated found suspected demonstrated today
    currently here either bilaterally significant acute definite evidence small mild moderate large trace tiny
    minimal left right \ufe0f"""
)
"""What may stand behind a value: `none seen on this film`."""


def scope(tokens: Sequence[str], spans: Sequence[Span], found: Found) -> Scope:
    """The words that a cue is about."""
    at, after, where = found.at, found.after, found.cue.where
    if where == "after":
        return after, clauses.clause_end(tokens, spans, after)
    if where == "object":
        return after, next((i for i in range(after, len(tokens)) if tokens[i] in _OBJECT_END), len(tokens))
    if where == "within":
        return at, after
    if where == "next":
        return after, _phrase_end(tokens, spans, after)
    if where == "place":
        end = _phrase_end(tokens, spans, after)
        return (after, after) if _named(spans, after, end) else (after, end)
    if where == "all":
        open_end = found.cue.words[-1] == "any" and tokens[after : after + 1] not in ([], ["."], [","])
        return (at, at) if open_end else (0, at)
    if where == "rest":
        return at, len(tokens)
    if where == "clause":
        return clauses.clause_start(tokens, spans, at), clauses.clause_end(tokens, spans, after)
    if where == "noun":
        return _phrase_start(spans, at), at
    return _back(tokens, spans, found)


def is_value(tokens: Sequence[str], at: int) -> bool:
    """A label or a question stands before the word at `at`, and a mark between."""
    return _label(tokens, at) is not None


def value_of(tokens: Sequence[str], spans: Sequence[Span], found: Found) -> Scope | None:
    """The label of which a cue is the value; a cell may have lost its mark: `Effusion none.`"""
    if label := _label(tokens, found.at):
        if _ends(tokens, spans, found.at, found.after):
            return label
        longer = found.cue.says == "stated" and tokens[found.at - 1] in (":", "?", "|", "=")
        return label if longer and not _named(spans, found.after, len(tokens)) else None
    last = tokens[found.after : found.after + 1] in ([], ["."], [";"], ["|"])
    bare = last and any(span.end == found.at for span in spans)
    return (clauses.clause_start(tokens, spans, found.at), found.at) if bare else None


def _back(tokens: Sequence[str], spans: Sequence[Span], found: Found) -> Scope:
    """What stands before a cue: its subject, or the label or question that it is the value of."""
    at, cue = found.at, found.cue
    while at and tokens[at - 1] in PASSED_OVER:
        at -= 1
    nothing = (at, at)
    if cue.where == "value":
        return value_of(tokens, spans, found) or nothing
    if cue.where == "-" or ("not" in cue.words and _elsewhere(tokens, found.after)):
        return nothing
    if cue.where == "tail" and not _is_tail(tokens, spans, at, found.after):
        return nothing
    if cue.where == "end" and found.after < len(tokens) and tokens[found.after] not in _VALUE_END:
        return nothing
    start = clauses.clause_start(tokens, spans, at)
    label = _label(tokens, at)
    subject = any(start <= span.start < at for span in spans)
    return label if label and not subject and _ends(tokens, spans, at, found.after) else (start, at)


def _is_tail(tokens: Sequence[str], spans: Sequence[Span], at: int, after: int) -> bool:
    """A phrase ends right before the cue, and no finding follows it."""
    closed = tokens[after : after + 1] in ([","], ["."])
    if not closed and _named(spans, after, clauses.clause_end(tokens, spans, after)):
        return False
    return bool(_label(tokens, at)) or any(span.end == at for span in spans)


def _named(spans: Sequence[Span], start: int, end: int) -> bool:
    """A finding or device stands between two words."""
    return any(start <= span.start < end and span.label in CAN_BE_ABSENT for span in spans)


def _elsewhere(tokens: Sequence[str], after: int) -> bool:
    """`not seen on the prior film` is no statement on this one."""
    return not _EARLIER.isdisjoint(tokens[after : after + 4])


def _label(tokens: Sequence[str], at: int) -> Scope | None:
    """The words of the label, or of the question, that the word at `at` is the value of."""
    end = at
    while end and (tokens[end - 1] in _MARKS or tokens[end - 1] in _BEFORE_VALUE or _leader(tokens, end)):
        end -= 1
    marks = tokens[end:at]
    if not end or (_MARKS.isdisjoint(marks) and "." not in marks):
        return None
    inner = "(" in marks or "[" in marks or marks == [","]
    colon = next((index for index in range(end) if tokens[index] in (":", "=")), end)
    for index in range(end - 1, -1, -1):
        if tokens[index] in _CELL_END or tokens[index] == "?":
            return index + 1, end
        if tokens[index] == "," and (inner or colon < index):
            return index + 1, end
    return 0, end


def _leader(tokens: Sequence[str], end: int) -> bool:
    """A dotted line ends here: `effusion ..... none`."""
    return tokens[end - 1] == "." and "." in (*tokens[end - 2 : end - 1], *tokens[end : end + 1])


def _ends(tokens: Sequence[str], spans: Sequence[Span], at: int, after: int) -> bool:
    """Nothing follows the value but what may: `none seen`, `no;`, and the next label of a run-on line."""
    if tokens[after - 1] == "," or (tokens[at - 1] == "?" and tokens[after : after + 1] == [","]):
        return True
    for index in range(after, len(tokens)):
        if tokens[index] in _VALUE_END:
            return tokens[index] != "and" or index > after
        if tokens[at - 1] == ",":
            return False
        if tokens[index] in _FILLERS:
            continue
        rest = next((i for i in range(index, len(tokens)) if tokens[i] in _VALUE_END), len(tokens))
        if tokens[index] in _WHERE:
            return not _named(spans, index, rest)
        return ":" in tokens[index : min(index + 4, rest)]
    return tokens[at - 1] != "," or after == len(tokens)


def _phrase_end(tokens: Sequence[str], spans: Sequence[Span], start: int) -> int:
    """End of the noun phrase that starts at `start`, after an article."""
    end = start + (tokens[start : start + 1] in (["a"], ["an"], ["the"], ["any"]))
    for span in spans:
        if span.start == end:
            end = span.end
    return end


def _phrase_start(spans: Sequence[Span], end: int) -> int:
    """Start of the noun phrase that ends at `end`."""
    start = end
    for span in reversed(spans):
        if span.end == start:
            start = span.start
    return start
