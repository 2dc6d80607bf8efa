"""What a sentence says of its findings: absent, uncertain, or plainly there. Standard library only.

In the manner of ConText (Chapman 2007; Harkema 2009): cues, each with its scope, and words that end one.
The cues are data (`terms/context.txt`); where a scope ends is decided here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

from chexphi.graph.cues import words as _words
from chexphi.graph.spans import Span, lines
from chexphi.graph.trie import Trie

_HEDGED = frozenset({"disorder_present", "devices_present"})
"""Labels that can be absent or uncertain."""
_STOP = _words(
    """but while whereas although though however except excepting because ; : so despite yet unlike apart
    aside than compared"""
)
"""What ends the clause."""
_OPEN = _words("a an the there this these it both i its that")
"""What opens a new statement after `and` or a comma."""
_GOES_ON = _words(
    """stable unchanged persistent persisting persists residual again similar increased decreased worsening
    improved"""
)
"""What opens a new statement after a comma or `with`: it is said of things that are there."""
_STATED = _words("typical consistent compatible due characteristic")
"""After `is`: the statement goes on about what is there."""
_BE = _words("is are was were")
_EARLIER = _words("prior previous previously earlier last yesterday before")
_MAYBE = _words("possible possibly probable probably likely suspected questionable may might could")
_OBJECT_END = _words("with , ; in from on at since is are was were has have")


@dataclass(frozen=True, slots=True)
class Cue:
    says: str
    """`absent`, `uncertain`, or `plain`."""
    where: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """Positions of findings in the list of spans."""

    absent: frozenset[int] = frozenset()
    uncertain: frozenset[int] = frozenset()
    denied: frozenset[int] = frozenset()
    """What is absent, and qualities that are denied: `not enlarged`."""


def read(tokens: Sequence[str], spans: Sequence[Span]) -> Context:
    """Which disorders and devices of a sentence are said to be absent, and which are in doubt.

    What is absent is not in doubt: `no definite evidence of a possible nodule`.
    """
    judged = {index: span.start for index, span in enumerate(spans) if span.label in _HEDGED | {"concept"}}
    findings = {index for index in judged if spans[index].label in _HEDGED}
    said: dict[str, set[int]] = {"absent": set(), "uncertain": set(), "plain": set()}
    qualities: set[int] = set()
    for at, cue in _cues(tokens):
        start, end = _scope(tokens, spans, at, cue)
        inside = {index for index, word in judged.items() if start <= word < end}
        said[cue.says] |= inside & findings
        # `not enlarged` denies the quality, `no new finding on the left` neither that it is new nor the side
        if cue.says == "absent" and cue.words not in (("no",), ("without",)) and not inside & findings:
            qualities |= {index for index in inside if judged[index] <= start + 1}
    absent = frozenset(said["absent"])
    return Context(absent, frozenset(said["uncertain"]) - absent, absent | qualities)


def _cues(tokens: Sequence[str]) -> Iterator[tuple[int, Cue]]:
    """The cues of a sentence, longest first, none inside another."""
    table, at = _table(), 0
    while at < len(tokens):
        found, end = table.longest(tokens, at)
        for cue in found or ():
            yield at, cue
        at = max(end, at + 1)


def _scope(tokens: Sequence[str], spans: Sequence[Span], at: int, cue: Cue) -> tuple[int, int]:
    """First word and one past the last word of what a cue is about."""
    after = at + len(cue.words)
    if cue.where == "after":
        return after, _clause_end(tokens, after)
    if cue.where == "object":
        return after, next((i for i in range(after, len(tokens)) if tokens[i] in _OBJECT_END), len(tokens))
    if cue.where == "within":
        return at, after
    if cue.where == "next":
        return after, _phrase_end(tokens, spans, after)
    if cue.where == "before" and not ("not" in cue.words and _elsewhere(tokens, after)):
        return _clause_start(tokens, spans, at), at
    return (0, at) if cue.where == "all" else (at, at)


def _elsewhere(tokens: Sequence[str], after: int) -> bool:
    """`not seen on the prior film` is no statement on this one."""
    return not _EARLIER.isdisjoint(tokens[after : after + 4])


def _clause_end(tokens: Sequence[str], start: int) -> int:
    """Where a statement that goes on at `start` ends."""
    verb = False
    for at in range(start, len(tokens)):
        word, after = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else ""
        if word in _STOP or (word in _BE and after in _STATED):
            return at
        if word in ("and", ","):
            follow = tokens[at + 2] if after == "and" and at + 2 < len(tokens) else after
            said_again = after in tokens[start:at]  # `no effusion on the left, effusion on the right`
            if follow in _OPEN or (word == "," and (verb or said_again or follow in _GOES_ON | _MAYBE)):
                return at
        if word == "with" and (after in _OPEN or after in _GOES_ON):
            return at
        verb |= word in _BE
    return len(tokens)


def _phrase_end(tokens: Sequence[str], spans: Sequence[Span], start: int) -> int:
    """End of the noun phrase that starts at `start`, after an article."""
    end = start + (tokens[start : start + 1] in (["a"], ["an"], ["the"], ["any"]))
    for span in spans:
        if span.start == end:
            end = span.end
    return end


def _clause_start(tokens: Sequence[str], spans: Sequence[Span], at: int) -> int:
    """Start of the statement whose verb stands at `at`; `A and B` is one subject, `… is C and B` two."""
    noun_ends = {span.end for span in spans if span.label not in ("concept", "size")}
    for index in range(at - 1, -1, -1):
        word = tokens[index]
        if word in _STOP or (word == "and" and (index not in noun_ends or _two(tokens, index))):
            return index
    return 0


def _two(tokens: Sequence[str], at: int) -> bool:
    """The `and` at `at` joins statements: the first has its verb, the second opens with an article."""
    return tokens[at + 1] in _OPEN and not _BE.isdisjoint(tokens[:at])


@cache
def _table() -> Trie[list[Cue]]:
    """The cues of each wording: `versus` has two."""
    classes: dict[str, list[str]] = {}
    cues: dict[tuple[str, ...], list[Cue]] = {}
    for line in lines("context"):
        name, equals, members = line.partition(" = ")
        if equals:
            classes[name] = members.split()
        else:
            says, where, *words = line.split()
            for form in set(_forms(words, classes)):
                cues.setdefault(form, []).append(Cue(says, where, form))
    return Trie(cues.items())


def _forms(words: Sequence[str], classes: dict[str, list[str]]) -> Iterator[tuple[str, ...]]:
    """Every wording of a cue."""
    choices: list[list[str]] = []
    for word in words:
        name = word.strip("()")
        choices.append(classes.get(name, [name]) + ([""] if word.startswith("(") else []))
    for form in product(*choices):
        yield tuple(word for word in form if word)
