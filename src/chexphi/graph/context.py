"""What a sentence says of its findings: absent, uncertain, plainly there, or nothing. Standard library only.

In the manner of ConText (Chapman 2007; Harkema 2009): cues, each with its scope, and words that end one.
The cues are data (`terms/context.txt`), where a clause ends is in `clauses`, what claims nothing in `unclaimed`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

from chexphi.graph import clauses, unclaimed
from chexphi.graph.cues import words as _words
from chexphi.graph.spans import Span, lines
from chexphi.graph.trie import Trie

_HEDGED = frozenset({"disorder_present", "devices_present"})
"""Labels that can be absent or uncertain."""
_EARLIER = _words("prior previous previously earlier last yesterday before")
_OBJECT_END = _words("with , ; in from on at since is are was were has have placement insertion replacement")
_PASSED_OVER = _words(
    """clearly definitely definitively readily reliably confidently entirely fully completely currently now totally
    since also really actually even truly certainly safely reasonably thus therefore otherwise essentially ever
    apparently obviously"""
)
"""Adverbs inside a cue."""
_SEPARATORS = _words(": = | ? ( [ - \u2013 \u2014 \u2192 > , *")
"""Between a label and its value."""
_CELL_END = _words("; | . ) ]")
_VALUE_END = _words("; | . ) ] , ! * - \u2013 \u2014 and but")
_FILLERS = _words(
    """seen identified visible evident noted present detected appreciated found suspected at this time on film
    image view study exam radiograph the today currently here either bilaterally significant acute definite
    demonstrated of note in lung lungs side sides left right both evidence"""
)
"""What may stand behind a value: `none seen on this film`."""
_HELD = frozenset({"after", "before", "all", "tail", "end"})
"""Scopes in which a place may be named that is there."""


@dataclass(frozen=True, slots=True)
class Cue:
    says: str
    """`absent`, `uncertain`, `unclaimed`, `stated` or `plain`."""
    where: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """Positions of findings in the list of spans."""

    absent: frozenset[int] = frozenset()
    uncertain: frozenset[int] = frozenset()
    denied: frozenset[int] = frozenset()
    """What is absent, and qualities that are denied: `not enlarged`."""
    unclaimed: frozenset[int] = frozenset()
    """What is named and not claimed, qualities and places included."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A cue at its place in the sentence."""

    cue: Cue
    at: int
    after: int
    """One past its last word."""


def read(tokens: Sequence[str], spans: Sequence[Span]) -> Context:
    """What a sentence says of its disorders and devices.

    What is absent is not in doubt: `no definite evidence of a possible nodule`.
    """
    judged = {index: span.start for index, span in enumerate(spans) if span.label in _HEDGED | {"concept"}}
    findings = {index for index in judged if spans[index].label in _HEDGED}
    said: dict[str, set[int]] = {name: set() for name in ("absent", "uncertain", "stated", "plain")}
    qualities: set[int] = set()
    answered: set[int] = set()
    ranges = list(unclaimed.asked(tokens))
    weak: list[tuple[int, int]] = []
    for found in _applied(tokens, spans):
        cue = found.cue
        start, end = _scope(tokens, spans, found)
        if cue.says == "unclaimed":
            weak.append((start, end))
            continue
        inside = {index for index, word in judged.items() if start <= word < end}
        if cue.says == "absent" and cue.where in _HELD:
            inside -= set(clauses.hosts(tokens, spans, start, end))
        said[cue.says] |= inside & findings
        if cue.where in ("value", "before", "tail", "end") and tokens[found.at - 1] in _SEPARATORS:
            answered |= inside
        # `not enlarged` denies the quality, `no new finding on the left` neither that it is new nor the side
        if cue.says == "absent" and cue.words not in (("no",), ("without",)) and not inside & findings:
            qualities |= {index for index in inside if judged[index] <= start + 1}
    absent, stated = said["absent"], said["stated"]
    starts = [span.start for span in spans]
    open_ranges = [part for part in ranges if not any(_in(part, starts[index]) for index in answered)]
    decided = absent | stated
    open_ranges += [part for part in weak if not any(_in(part, starts[index]) for index in decided)]
    open_ranges += unclaimed.heading(tokens, spans, absent, answered)
    nothing = {index for index, start in enumerate(starts) for part in open_ranges if _in(part, start)}
    absent = frozenset(absent - nothing)
    uncertain = frozenset(said["uncertain"] - absent - stated - nothing)
    return Context(absent, uncertain, absent | (qualities - nothing), frozenset(nothing))


def _in(part: tuple[int, int], word: int) -> bool:
    return part[0] <= word < part[1]


def _applied(tokens: Sequence[str], spans: Sequence[Span]) -> Iterator[_Found]:
    """The cues that hold: of one wording a value outweighs the rest, `not all` the verb behind it."""
    kept: list[tuple[int, int]] = []
    for at, after, cues in _cues(tokens):
        value = [cue for cue in cues if cue.where == "value" and _value_of(tokens, spans, at, after)]
        for cue in value[:1] or cues:
            found = _Found(cue, at, after)
            if cue.says == "plain" and cue.where == "clause":
                kept.append((at, clauses.clause_end(tokens, after)))
            elif cue.where not in ("before", "tail", "all") or not any(_in(part, at) for part in kept):
                yield found


def _cues(tokens: Sequence[str]) -> Iterator[tuple[int, int, list[Cue]]]:
    """The cues of a sentence with their places, longest first, none inside another, adverbs passed over."""
    table = _table()
    kept = range(len(tokens))
    words = tokens
    if not _PASSED_OVER.isdisjoint(tokens):
        kept = [index for index, word in enumerate(tokens) if word not in _PASSED_OVER]  # type: ignore[assignment]
        words = [tokens[index] for index in kept]
    at = 0
    while at < len(words):
        found, end = table.longest(words, at)
        if found:
            yield kept[at], kept[end - 1] + 1, found
        at = max(end, at + 1)


def _scope(tokens: Sequence[str], spans: Sequence[Span], found: _Found) -> tuple[int, int]:
    """First word and one past the last word of what a cue is about."""
    at, after, where = found.at, found.after, found.cue.where
    if where == "after":
        return after, clauses.clause_end(tokens, after)
    if where == "object":
        return after, next((i for i in range(after, len(tokens)) if tokens[i] in _OBJECT_END), len(tokens))
    if where == "within":
        return at, after
    if where == "next":
        return after, _phrase_end(tokens, spans, after)
    if where == "place":
        end = _phrase_end(tokens, spans, after)
        held = any(after <= span.start < end and span.label in _HEDGED for span in spans)
        return (after, after) if held else (after, end)
    if where == "all":
        return 0, at
    if where == "rest":
        return at, len(tokens)
    if where == "clause":
        return clauses.clause_start(tokens, spans, at), clauses.clause_end(tokens, after)
    if where == "noun":
        return _phrase_start(spans, at), at
    return _back(tokens, spans, found)


def _back(tokens: Sequence[str], spans: Sequence[Span], found: _Found) -> tuple[int, int]:
    """What stands before a cue: its subject, or the label or question that it is the value of."""
    at, after, cue = found.at, found.after, found.cue
    while at and tokens[at - 1] in _PASSED_OVER:
        at -= 1
    nothing = (at, at)
    label = _label(tokens, at)
    if cue.where == "value":
        return _value_of(tokens, spans, at, after) or nothing
    if "not" in cue.words and _elsewhere(tokens, after):
        return nothing
    if cue.where == "tail" and not _is_tail(tokens, spans, at, after):
        return nothing
    if cue.where == "end" and after < len(tokens) and tokens[after] not in _VALUE_END:
        return nothing
    start = clauses.clause_start(tokens, spans, at)
    subject = any(start <= span.start < at for span in spans)
    return label if label and not subject and _ends(tokens, at, after) else (start, at)


def _value_of(tokens: Sequence[str], spans: Sequence[Span], at: int, after: int) -> tuple[int, int] | None:
    """The label that the words from `at` to `after` are the value of; a cell may lose its mark: `Effusion none.`"""
    if label := _label(tokens, at):
        return label if _ends(tokens, at, after) else None
    bare = any(span.end == at for span in spans) and tokens[after : after + 1] in ([], ["."], [";"], ["|"])
    return (clauses.clause_start(tokens, spans, at), at) if bare else None


def _is_tail(tokens: Sequence[str], spans: Sequence[Span], at: int, after: int) -> bool:
    """A phrase ends right before the cue, and no finding follows it."""
    end = clauses.clause_end(tokens, after)
    closed = tokens[after : after + 1] in ([","], ["."])
    if not closed and any(after <= span.start < end and span.label in _HEDGED for span in spans):
        return False
    return bool(_label(tokens, at)) or any(span.end == at for span in spans)


def _elsewhere(tokens: Sequence[str], after: int) -> bool:
    """`not seen on the prior film` is no statement on this one."""
    return not _EARLIER.isdisjoint(tokens[after : after + 4])


def _label(tokens: Sequence[str], at: int) -> tuple[int, int] | None:
    """The words of the label, or of the question, that the word at `at` is the value of."""
    end = at
    while end and (tokens[end - 1] in _SEPARATORS or (end < at and tokens[end - 1] in ("a", "answer"))):
        end -= 1
    if end == at or not end:
        return None
    marks = tokens[end:at]
    inner = "(" in marks or "[" in marks or marks == [","]
    colon = next((index for index in range(end) if tokens[index] in (":", "=")), end)
    for index in range(end - 1, -1, -1):
        cut = tokens[index] in _CELL_END or (tokens[index] == "," and (inner or colon < index))
        if cut or (tokens[index] == "?" and index < end):
            return index + 1, end
    return 0, end


def _ends(tokens: Sequence[str], at: int, after: int) -> bool:
    """Nothing follows the value but what may: `none seen`, `no;`, and the next label of a run-on line."""
    if tokens[after - 1] == "," or (tokens[at - 1] == "?" and tokens[after : after + 1] == [","]):
        return True
    for index in range(after, len(tokens)):
        if tokens[index] in _VALUE_END:
            return tokens[index] != "and" or index > after
        if tokens[index] not in _FILLERS:
            return tokens[at - 1] == ":" and ":" in tokens[index : index + 4]
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


@cache
def _table() -> Trie[list[Cue]]:
    """The cues of each wording: `no` has two."""
    classes: dict[str, list[str]] = {}
    cues: dict[tuple[str, ...], list[Cue]] = {}
    for line in lines("context"):
        name, equals, members = line.partition(" = ")
        if equals:
            classes[name] = members.split()
        else:
            says, where, *words = line.split()
            for form in dict.fromkeys(_forms(words, classes)):
                cues.setdefault(form, []).append(Cue(says, where, form))
    return Trie(cues.items())


def _forms(words: Sequence[str], classes: dict[str, list[str]]) -> Iterator[tuple[str, ...]]:
    """Every wording of a cue."""
    choices: list[list[str]] = []
    for word in words:
        name = word.strip("()") or word
        choices.append(classes.get(name, [name]) + ([""] if word.startswith("(") and len(word) > 2 else []))
    for form in product(*choices):
        yield tuple(word for word in form if word)
