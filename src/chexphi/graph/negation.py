"""Which findings of a sentence are said to be absent. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence

from chexphi.graph.cues import words as _words
from chexphi.graph.spans import Span

_DENIABLE = frozenset({"disorder_present", "devices_present"})
_FORWARD = frozenset({"no", "without", "neither", "nor", "nothing", "never", "negative", "lack"})
_NOT_SCOPE = _words(
    "see seen show demonstrate identify identified have contain find a an any appreciate evident"
)
_STOP = frozenset(
    {"but", "while", "whereas", "although", "though", "however", "except", "because", ";", ":", "so"}
)
_OPEN = frozenset({"a", "an", "the", "there", "this", "these", "it", "both", "i", "its"})
"""What opens a new statement after `and` or a comma."""
_GONE = (
    ("has", "resolved"), ("have", "resolved"), ("has", "cleared"), ("have", "cleared"),
    ("has", "disappeared"), ("been", "removed"), ("been", "pulled", "out"),
    ("is", "absent"), ("are", "absent"), ("has", "completely", "resolved"), ("is", "resolved"),
)  # fmt: skip
_STATED = frozenset({"typical", "consistent", "compatible", "due", "characteristic"})
"""After `is`: the statement goes on about what is there."""
_EARLIER = frozenset({"prior", "previous", "earlier", "last"})
_SEEN = _words("seen present identified visible visualized evident noted demonstrated appreciated detected")


def denied(tokens: Sequence[str], spans: Sequence[Span]) -> frozenset[int]:
    """Positions in `spans` of the disorders and devices that the sentence says are absent."""
    findings = {index: span for index, span in enumerate(spans) if span.label in _DENIABLE}
    if not findings:
        return frozenset()
    gone: set[int] = set()
    for at in range(len(tokens)):
        if _starts_denial(tokens, spans, at):
            end = _scope(tokens, at + 1)
            gone |= {index for index, span in findings.items() if at < span.start < end}
        elif _says_gone(tokens, at):
            start = 0 if tokens[at] == "found" else _clause_start(tokens, spans, at)
            gone |= {index for index, span in findings.items() if start <= span.start < at}
    return frozenset(gone)


def _starts_denial(tokens: Sequence[str], spans: Sequence[Span], at: int) -> bool:
    """`no longer` and `no interval change` are statements on something that is there."""
    word, after = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else ""
    if word == "no":
        follow = tokens[at + 1 : at + 3]
        return not (after == "longer" or "change" in follow or (after == "interval" and "increase" in follow))
    if word in _FORWARD:
        return True
    if word == "not":
        return after in _NOT_SCOPE or any(s.start == at + 1 and s.label in _DENIABLE for s in spans)
    return (word, after) in (
        ("free", "of"),
        ("rather", "than"),
        ("absence", "of"),
        ("instead", "of"),
        ("removal", "of"),
    )


def _scope(tokens: Sequence[str], at: int) -> int:
    """Where a denial that starts before `at` ends."""
    for index in range(at, len(tokens)):
        word = tokens[index]
        if word in _STOP or (
            word in ("is", "are") and index + 1 < len(tokens) and tokens[index + 1] in _STATED
        ):
            return index
        if word in ("and", ",") and index + 1 < len(tokens):
            after = tokens[index + 1]
            if after in _OPEN or (
                after == "and" and tokens[index + 2 : index + 3] and tokens[index + 2] in _OPEN
            ):
                return index
    return len(tokens)


def _says_gone(tokens: Sequence[str], at: int) -> bool:
    if any(tuple(tokens[at : at + len(words)]) == words for words in _GONE):
        return True
    if tuple(tokens[at : at + 2]) == ("found", "none"):
        return True
    if tokens[at] not in ("is", "are", "was", "were") or tokens[at + 1 : at + 2] != ["not"]:
        return False
    return not _SEEN.isdisjoint(tokens[at + 2 : at + 4]) and _EARLIER.isdisjoint(tokens[at + 3 : at + 7])


def _clause_start(tokens: Sequence[str], spans: Sequence[Span], at: int) -> int:
    """Start of the statement whose verb stands at `at`; `A and B` is one subject, `… is C and B` two."""
    noun_ends = {span.end for span in spans if span.label not in ("concept", "size")}
    for index in range(at - 1, -1, -1):
        word = tokens[index]
        if word in _STOP or (word == "and" and (index not in noun_ends)):
            return index
    return 0
