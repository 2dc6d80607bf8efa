"""Where a statement starts and ends, and which findings of it are only its place. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chexphi.graph.cues import words as _words
from chexphi.graph.phrases import groups
from chexphi.graph.spans import Span

STOP = _words(
    """but while whereas although though however except excepting because ; : so despite yet unlike apart
    aside than compared | ."""
)
"""What ends the clause."""
OPEN = _words(
    """a an the there this these it both i its that we he she they patient positive only just instead mainly
    also otherwise now found find see saw note noted no not neither without"""
)
"""What opens a new statement after `and` or a comma."""
_QUALIFIED = _words(
    """small mild mildly moderate moderately large trace tiny minimal minimally minor severe slight slightly
    subtle left right bilateral bibasilar biapical left-sided right-sided bibasal multiple several numerous
    scattered extensive diffuse patchy low new old healed chronic"""
)
"""Severity, side and number: after a comma they open a statement, unless the list goes on with `or`."""
_GOES_ON = _words(
    """stable unchanged persistent persisting persists residual again similar increased decreased worsening
    improved increasing decreasing improving resolving evolving"""
)
"""What opens a new statement after a comma or `with`: it is said of things that are there."""
_MAYBE = _words("possible possibly probable probably likely suspected questionable may might could")
BE = _words("is are was were")
_VERB = BE | _words(
    """has have had shows show appears appear remains remain persists persist seems demonstrates suggests
    projects terminates"""
)
_STATED = _words("typical consistent compatible due characteristic")
"""After `is`: the statement goes on about what is there."""
_SEEN = _words(
    "seen present identified visible evident noted demonstrated appreciated detected found observed shown"
)
_LATER = _words("after following post since given")
"""What came first is there: `no pneumothorax after placement of a tube`."""
_BREAK = _words(", / ( [ - \u2013 \u2014 + > \u2192")
_INTO = _words(
    """in within inside around about along near at on from by through surrounding overlying underlying
    adjacent beneath behind beside between across outside under above below involving of"""
)
"""Prepositions: the finding after them is where something is, or is not."""
_DETERMINERS = _words("the a an this that these those his her its their patient's any either each known to")
_OWNERS = _words("its whose their")
"""`its tip is not seen` is said of the tip alone."""
_SIGNS = _words(
    """evidence sign signs suggestion indication indications feature features finding findings manifestation
    manifestations appearance presence development recurrence reaccumulation focus foci area areas region
    amount degree form type kind collection layer component hint trace suspicion possibility formation rest
    residuum stigmata proof indicator indicators pattern impression question absence lack exclusion
    diagnosis signs/symptoms"""
)
"""`no sign of an effusion` denies the effusion."""
_HAPPENS = _words(
    """kinking malposition malpositioning migration dislodgement displacement retraction movement coiling leak
    leakage obstruction infection complication complications thrombosis discontinuity"""
)
"""What happens to something that is there: `no migration of leads`."""


def clause_end(tokens: Sequence[str], start: int) -> int:
    """Where a statement that goes on at `start` ends."""
    verb = either = False
    for at in range(start, len(tokens)):
        word, after = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else ""
        if word in STOP or (word in BE and after in _STATED):
            return at
        if at > start and (word in _LATER or _patient(tokens, at)):
            return at
        if word == "and" or word in _BREAK:
            if _new_statement(tokens, start, at, verb=verb, either=either):
                return at
        elif word == "with" and (after in OPEN or after in _GOES_ON or _qualified(tokens, at + 1)):
            return at
        verb |= word in BE
        either |= word in ("or", "nor")
    return len(tokens)


def _patient(tokens: Sequence[str], at: int) -> bool:
    """`in this patient`, `s/p`, `status post`, `to explain`: what follows is known."""
    ahead = tuple(tokens[at : at + 3])
    return (
        (ahead[:1] == ("in",) and "patient" in ahead)
        or ahead == ("s", "/", "p")
        or ahead[:2] in (("status", "post"), ("to", "explain"), ("to", "account"))
        or ahead in (("in", "the", "setting"), ("in", "setting", "of"))
    )


def _new_statement(tokens: Sequence[str], start: int, at: int, *, verb: bool, either: bool) -> bool:
    """The comma, dash, bracket or `and` at `at` ends the statement that goes on at `start`."""
    first = at + 1
    while (first < len(tokens) and tokens[first] in ("and", "with")) or tokens[first : first + 1] == [">"]:
        first += 1
    follow = tokens[first] if first < len(tokens) else ""
    if tokens[at] == "/":
        return _qualified(tokens, first)
    if follow in OPEN:
        return True
    if tokens[at] == "and" and tokens[first - 1] != ",":
        return _qualified(tokens, first) and follow not in ("new", "low")
    said_again = follow in tokens[start:at]  # `no effusion on the left, effusion on the right`
    if verb or said_again or follow in _GOES_ON | _MAYBE or _qualified(tokens, first):
        return not (verb is False and said_again and follow in _DETERMINERS)
    return _own_verb(tokens, start, first) or (either and not _list_goes_on(tokens, first))


def _qualified(tokens: Sequence[str], first: int) -> bool:
    return first < len(tokens) and tokens[first] in _QUALIFIED and not _list_goes_on(tokens, first)


def _list_goes_on(tokens: Sequence[str], first: int) -> bool:
    """An `or` stands before the end of the statement: what follows is one more part of a list."""
    if tokens[first : first + 1] in (["or"], ["nor"], ["and"]):
        return True
    for at in range(first, len(tokens)):
        if tokens[at] in STOP or tokens[at] in _VERB or tokens[at] in ("with", "(", "which"):
            return False
        if tokens[at] in ("or", "nor"):
            return True
    return False


def _own_verb(tokens: Sequence[str], start: int, first: int) -> bool:
    """What follows up to the next comma is a sentence: `no effusion, the heart is large`, `…, X is seen`."""
    for at in range(first, len(tokens)):
        if tokens[at] in STOP or tokens[at] in _BREAK or tokens[at] in ("which", "or", "nor", "as"):
            return False
        if tokens[at] in _VERB and at > first:
            closes = at + 1 < len(tokens) and tokens[at + 1] in _SEEN
            return not closes or "," not in tokens[start : first - 1]
    return False


def clause_start(tokens: Sequence[str], spans: Sequence[Span], at: int) -> int:
    """Start of the statement whose verb stands at `at`; `A, B and C` is one subject, `… is C and B` two."""
    ends = {span.end for span in spans if span.label not in ("concept", "size")}
    for index in range(at - 1, -1, -1):
        word = tokens[index]
        if (
            word in STOP
            or word in _OWNERS
            or (word == "and" and (not _joins(tokens, index, ends) or _two(tokens, index)))
        ):
            return index
        if word == "," and _stated(tokens, spans, index, at):
            return index
    return 0


def _joins(tokens: Sequence[str], at: int, ends: set[int]) -> bool:
    return at in ends or (at > 0 and tokens[at - 1] == "," and at - 1 in ends)


def _two(tokens: Sequence[str], at: int) -> bool:
    """The `and` at `at` joins statements: the first has its verb, the second opens with an article."""
    return tokens[at + 1] in OPEN and not BE.isdisjoint(tokens[:at])


def _stated(tokens: Sequence[str], spans: Sequence[Span], at: int, end: int) -> bool:
    """Before the comma at `at` stands a whole statement, and behind it a finding of its own."""
    named = any(at < span.start < end and span.label not in ("concept", "size", "anatomy") for span in spans)
    return (
        named and not _VERB.isdisjoint(tokens[:at]) and tokens[at + 1 : at + 2] not in (["which"], ["that"])
    )


def hosts(tokens: Sequence[str], spans: Sequence[Span], start: int, end: int) -> Iterator[int]:
    """Findings that only say where something is, or is not: `no calcification in the nodule`."""
    inside = [index for index, span in enumerate(spans) if start <= span.start and span.end <= end]
    if not inside:
        return
    for group in groups([spans[index] for index in inside]):
        members = [inside[place] for place in group]
        first = spans[members[0]].start
        while first > start and tokens[first - 1] in _DETERMINERS:
            first -= 1
        if (
            first - 1 > start and tokens[first - 1] in _INTO and _hosts(tokens, spans, first - 1, members)
        ) or (end == spans[members[-1]].end and _part(spans, members)):
            yield from members
        elif _HAPPENS.intersection(tokens[spans[members[-1]].end : spans[members[-1]].end + 1]):
            yield from members  # `lead discontinuity`


def _hosts(tokens: Sequence[str], spans: Sequence[Span], at: int, members: Sequence[int]) -> bool:
    """The preposition at `at` stands after something that can be in, or of, what follows."""
    before = tokens[at - 1]
    if before in _SIGNS:
        return False
    named = any(span.end == at and span.text not in _SIGNS for span in spans)
    if tokens[at] != "of":
        return named or before in _HAPPENS or before == "adjacent"
    definite = tokens[at + 1] in ("the", "this", "these", "his", "her", "that")
    return named or before in _HAPPENS or definite


def _part(spans: Sequence[Span], members: Sequence[int]) -> bool:
    """`catheter tip`, `tube malposition`: a part of it, or what happens to it, is what is spoken of."""
    last = spans[members[-1]]
    part = last.label == "anatomy" or not _HAPPENS.isdisjoint(last.words)
    return (
        part
        and len(members) > 1
        and any(spans[index].label not in ("anatomy", "concept", "size") for index in members[:-1])
    )
