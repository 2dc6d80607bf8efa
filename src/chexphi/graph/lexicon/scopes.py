"""Finds the words that a cue is about: words after it, its subject, or a label. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence

from chexphi.graph.lexicon import clauses
from chexphi.graph.lexicon.clause_starts import clause_start
from chexphi.graph.lexicon.cue_table import PASSED_OVER, CueMatch
from chexphi.graph.lexicon.spans import CAN_BE_ABSENT, Span
from chexphi.graph.words import words as _words

Scope = tuple[int, int]
"""First word, one past the last word."""

BACKWARD_SCOPES = ("before", "tail", "end", "all")
"""Scopes that end where the cue starts."""
SCOPES_WITH_HOSTS = ("after", *BACKWARD_SCOPES)
"""Scopes that may name something that is present: `no calcification in the nodule`."""
_EARLIER_FILM = _words("prior previous previously earlier last yesterday before ct mri")
"""After `not seen`: an earlier film, or another examination."""
_OBJECT_END = _words("with , ; in from on at since is are was were has have placement insertion replacement")
_LIST_END = _OBJECT_END - {","} | {"."}
_CHANGES = _words("new placement insertion exchange replacement stable unchanged interval persistent")
"""What follows one of these is not removed: `removal of a tube, stable wires and clips`."""
_VALUE_MARKS = _words(": = | ? ( [ - \u2013 \u2014 \u2192 > , * \" ' \u2026")
"""Between a label and its value."""
_CELL_END = _words("; | . ) ]")
_VALUE_END = _words("; | . ) ] } , ! * \" ' - \u2013 \u2014 and but")
_BEFORE_VALUE = _words("a answer the is final all both")
"""Words between a mark and a value: `? The answer is no`, `: all absent`."""
_FAVOR = _words("favor favors favoring favored favour favours favouring favoured")
_PREPOSITIONS = _words("on in at for within to of")
_FILLERS = _words(
    """seen identified visible evident noted present detected appreciated found suspected demonstrated today
    currently here either bilaterally significant acute definite evidence small mild moderate large trace tiny
    minimal left right \ufe0f"""
)
"""What may follow a value: `none seen on this film`."""


def scope_of(tokens: Sequence[str], spans: Sequence[Span], match: CueMatch) -> Scope:
    """The words that a cue is about."""
    cue_start, cue_end, kind = match.start, match.end, match.cue.scope
    if kind == "after":
        end = clauses.clause_end(tokens, spans, cue_end)
        return (_disfavored_start(tokens, cue_end, end) if match.cue.words[0] in _FAVOR else cue_end), end
    if kind == "object":
        return cue_end, _object_end(tokens, spans, cue_end)
    if kind == "within":
        return cue_start, cue_end
    if kind == "next":
        return cue_end, _phrase_end(tokens, spans, cue_end)
    if kind == "place":
        phrase_end = _phrase_end(tokens, spans, cue_end)
        return (cue_end, cue_end) if _has_finding(spans, cue_end, phrase_end) else (cue_end, phrase_end)
    if kind == "all":
        goes_on = match.cue.words[-1] == "any" and tokens[cue_end : cue_end + 1] not in ([], ["."], [","])
        return (cue_start, cue_start) if goes_on else (0, cue_start)
    if kind == "rest":
        return cue_start, len(tokens)
    if kind == "clause":
        relative = cue_start > 0 and tokens[cue_start - 1] in (
            "which",
            "that",
        )  # `thickening, which can be …`
        start = cue_start if relative else clause_start(tokens, spans, cue_start)
        return start, clauses.clause_end(tokens, spans, cue_end)
    if kind == "noun":
        return _phrase_start(spans, cue_start), cue_start
    return _scope_before(tokens, spans, match)


def _disfavored_start(tokens: Sequence[str], start: int, end: int) -> int:
    """Where the doubt starts: at pneumonia in `favor atelectasis over pneumonia`."""
    return tokens.index("over", start) if "over" in tokens[start:end] else start


def _object_end(tokens: Sequence[str], spans: Sequence[Span], start: int) -> int:
    """End of the nouns that `removal of` governs; a list of devices goes on after a comma."""
    for at in range(start, len(tokens)):
        if tokens[at] in _OBJECT_END and not (tokens[at] == "," and _device_list_goes_on(tokens, spans, at)):
            return at
    return len(tokens)


def _device_list_goes_on(tokens: Sequence[str], spans: Sequence[Span], comma: int) -> bool:
    """Whether an item of a list of devices precedes the comma, and all items up to an `and` follow it."""
    end = next((at for at in range(comma, len(tokens)) if _ends_list(tokens, at)), len(tokens))
    if "and" not in tokens[comma:end]:
        return False
    heads = {span.end for span in spans if span.label == "devices_present"}
    marks = [at for at in range(comma, end) if tokens[at] in (",", "and")]
    return all(at in heads or tokens[at - 1] == "," for at in (*marks, end))


def _ends_list(tokens: Sequence[str], at: int) -> bool:
    """Whether a list of what was removed ends here: `…, stable wires`, `… and a new drain`."""
    if tokens[at] not in (",", "and"):
        return tokens[at] in _LIST_END
    return not _CHANGES.isdisjoint(tokens[at + 1 : at + 3])


def is_value(tokens: Sequence[str], at: int) -> bool:
    """Whether a label or a question precedes the word at `at`, with a mark between them."""
    return _label_before(tokens, at) is not None


def value_of(tokens: Sequence[str], spans: Sequence[Span], match: CueMatch) -> Scope | None:
    """The label whose value the cue is, or None. The mark between them may be missing: `Effusion none.`"""
    if label := _label_before(tokens, match.start):
        if _value_ends(tokens, spans, match.start, match.end):
            return label
        says_more = match.cue.status == "stated" and tokens[match.start - 1] in (":", "?", "|", "=")
        return label if says_more and not _has_finding(spans, match.end, len(tokens)) else None
    at_end = tokens[match.end : match.end + 1] in ([], ["."], [";"], ["|"])
    value_without_mark = at_end and any(span.end == match.start for span in spans)
    return (clause_start(tokens, spans, match.start), match.start) if value_without_mark else None


def _scope_before(tokens: Sequence[str], spans: Sequence[Span], match: CueMatch) -> Scope:
    """The words before a cue that it is about: its subject, or the label or question that it answers."""
    cue_start, cue = match.start, match.cue
    while cue_start and tokens[cue_start - 1] in PASSED_OVER:
        cue_start -= 1
    empty_scope = (cue_start, cue_start)
    if cue.scope == "value":
        return value_of(tokens, spans, match) or empty_scope
    if cue.scope == "-" or ("not" in cue.words and _on_earlier_film(tokens, match.end)):
        return empty_scope
    if cue.scope == "tail" and not _is_tail(tokens, spans, cue_start, match.end):
        return empty_scope
    if cue.scope == "end" and match.end < len(tokens) and tokens[match.end] not in _VALUE_END:
        return empty_scope
    start = clause_start(tokens, spans, cue_start)
    label = _label_before(tokens, cue_start)
    has_subject = any(start <= span.start < cue_start for span in spans)
    if label and not has_subject and _value_ends(tokens, spans, cue_start, match.end):
        return label
    return start, cue_start


def _is_tail(tokens: Sequence[str], spans: Sequence[Span], cue_start: int, cue_end: int) -> bool:
    """Whether a phrase ends right before the cue, and no finding follows it."""
    before_mark = tokens[cue_end : cue_end + 1] in ([","], ["."])
    if not before_mark and _has_finding(spans, cue_end, clauses.clause_end(tokens, spans, cue_end)):
        return False
    return bool(_label_before(tokens, cue_start)) or any(span.end == cue_start for span in spans)


def _has_finding(spans: Sequence[Span], start: int, end: int) -> bool:
    """Whether a finding or device starts at one of the words."""
    return any(start <= span.start < end and span.label in CAN_BE_ABSENT for span in spans)


def _on_earlier_film(tokens: Sequence[str], cue_end: int) -> bool:
    """Whether the cue is about an earlier film: `not seen on the prior film` says nothing about this one."""
    return not _EARLIER_FILM.isdisjoint(tokens[cue_end : cue_end + 4])


def _label_before(tokens: Sequence[str], value_start: int) -> Scope | None:
    """The label or question whose value starts at `value_start`, or None."""
    label_end = value_start
    while label_end and (
        tokens[label_end - 1] in _VALUE_MARKS
        or tokens[label_end - 1] in _BEFORE_VALUE
        or _is_dotted_line(tokens, label_end)
    ):
        label_end -= 1
    marks = tokens[label_end:value_start]
    if not label_end or (_VALUE_MARKS.isdisjoint(marks) and "." not in marks):
        return None
    in_list = "(" in marks or "[" in marks or marks == [","]
    colon = next((index for index in range(label_end) if tokens[index] in (":", "=")), label_end)
    for index in range(label_end - 1, -1, -1):
        if tokens[index] in _CELL_END or tokens[index] == "?":
            return index + 1, label_end
        if tokens[index] == "," and (in_list or colon < index):
            return index + 1, label_end
    return 0, label_end


def _is_dotted_line(tokens: Sequence[str], mark_end: int) -> bool:
    """Whether a dotted line ends here: `effusion ..... none`."""
    neighbours = (*tokens[mark_end - 2 : mark_end - 1], *tokens[mark_end : mark_end + 1])
    return tokens[mark_end - 1] == "." and "." in neighbours


def _value_ends(tokens: Sequence[str], spans: Sequence[Span], value_start: int, value_end: int) -> bool:
    """Whether a value ends here: after `none seen` or `no;`, or before the next label of a run-on line."""
    if tokens[value_end - 1] == "," or (
        tokens[value_start - 1] == "?" and tokens[value_end : value_end + 1] == [","]
    ):
        return True
    for index in range(value_end, len(tokens)):
        if tokens[index] in _VALUE_END:
            return tokens[index] != "and" or index > value_end
        if tokens[value_start - 1] == ",":
            return False
        if tokens[index] in _FILLERS:
            continue
        statement_end = next((i for i in range(index, len(tokens)) if tokens[i] in _VALUE_END), len(tokens))
        if tokens[index] in _PREPOSITIONS:
            return not _has_finding(spans, index, statement_end)
        return ":" in tokens[index : min(index + 4, statement_end)]
    return tokens[value_start - 1] != "," or value_end == len(tokens)


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
