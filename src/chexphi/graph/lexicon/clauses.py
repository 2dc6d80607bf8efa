"""Where a statement starts and ends. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence

from chexphi.graph.cues import words as _words
from chexphi.graph.lexicon.spans import CAN_BE_ABSENT, Span

STOP = _words(
    """but while whereas although though however except excepting because ; : so despite yet unlike apart
    aside than compared | ."""
)
"""What ends the clause."""
OPEN = _words(
    """a an the there this these rather persistence it both i its that presence we he she they patient
    positive only just instead mainly also otherwise now found find see saw note noted no not neither
    without"""
)
"""What opens a new statement after `and` or a comma."""
_QUALIFIED = _words(
    """small mild mildly moderate moderately large trace tiny minimal minimally minor severe slight slightly
    subtle left right bilateral bibasilar biapical left-sided right-sided bibasal one two three four
    multiple several numerous scattered extensive diffuse patchy low new old healed chronic linear
    subsegmental plate-like platelike bandlike streaky discoid dependent basal bibasal dense hazy
    retrocardiac enlarged calcified"""
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
    projects terminates may might could suggest represents represent reflects likely probably"""
)
_ARTICLES = _words("the a an this his her")
_STANDS = _words("only just noted situ place intact unchanged stable enlarged again")
"""Predicates without a verb: `pacemaker in situ`."""
_CONCLUDES = _words(
    """makes make argues argue excludes suggests favors favours indicates means supports speaks eliminates
    confirms rules"""
)
_RELATIVE = _words("to that which would could may might not and or")
_STATED = _words("typical consistent compatible due characteristic")
"""After `is`: the statement goes on about what is there."""
_SEEN = _words(
    "seen present identified visible evident noted demonstrated appreciated detected found observed shown"
)
_LATER = _words("after following post since given")
"""What came first is there: `no pneumothorax after placement of a tube`."""
_BREAK = _words(", / * ( [ - \u2013 \u2014 + > \u2192")
_TURNS = STOP | BE | _LATER | _CONCLUDES | _BREAK | _words("and with or nor in s status to")
"""A clause ends at one of these, if anywhere."""
_OWNERS = _words("its whose their")
"""`its tip is not seen` is said of the tip alone."""


def clause_end(tokens: Sequence[str], spans: Sequence[Span], start: int) -> int:
    """Where a statement that goes on at `start` ends."""
    verb = either = False
    for at in range(start, len(tokens)):
        word = tokens[at]
        if word not in _TURNS:
            continue
        after = tokens[at + 1] if at + 1 < len(tokens) else ""
        if word in STOP or (word in BE and after in _STATED):
            return at
        if at > start and (word in _LATER or _patient(tokens, at) or _concludes(tokens, at)):
            return at
        if word == "and" or word in _BREAK:
            if _new_statement(tokens, start, at, verb=verb, either=either) or _device(
                tokens, spans, start, at
            ):
                return at
        elif word == "with" and (
            after in OPEN
            or after in _GOES_ON
            or _qualified(tokens, at + 1)
            or _device(tokens, spans, start, at)
        ):
            return at
        verb |= word in BE
        either |= word in ("or", "nor")
    return len(tokens)


def _concludes(tokens: Sequence[str], at: int) -> bool:
    """`The absence of a line makes an effusion unlikely`: the verb of what was denied."""
    return tokens[at] in _CONCLUDES and tokens[at - 1] not in _RELATIVE


def _device(tokens: Sequence[str], spans: Sequence[Span], start: int, at: int) -> bool:
    """A device is named next, and a disorder before: `no effusion, pacemaker noted`."""
    named = [span for span in spans if span.label in CAN_BE_ABSENT]
    behind = next((span for span in named if span.start > at), None)
    before = next((span for span in named if start <= span.start < at), None)
    return (
        before is not None
        and behind is not None
        and (before.label, behind.label) == ("disorder_present", "devices_present")
        and not _list_goes_on(tokens, at + 1)
    )


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
    if tokens[at] in "([" and not _STANDS.isdisjoint(tokens[at : at + 5]):
        return True
    if follow in OPEN:
        return True
    if tokens[at] == "and" and tokens[first - 1] != ",":
        return _qualified(tokens, first) and follow not in ("new", "low")
    # `no effusion on the left, effusion on the right`
    said_again = follow not in _ARTICLES and follow in tokens[start:at]
    if verb or said_again or follow in _GOES_ON | _MAYBE or _qualified(tokens, first):
        return True
    if follow[:1].isdigit() and not _list_goes_on(tokens, first):
        return True
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
        if tokens[at] in _STANDS and at > first and "or" not in tokens[first - 2 : at]:
            return True
        if tokens[at] in _VERB and at > first:
            closes = at + 1 < len(tokens) and tokens[at + 1] in _SEEN
            return not closes or "," not in tokens[start : first - 1]
    return False


def clause_start(tokens: Sequence[str], spans: Sequence[Span], at: int) -> int:
    """Start of the statement whose verb stands at `at`; `A, B and C` is one subject, `… is C and B` two."""
    ends = {span.end for span in spans if span.label not in ("concept", "size")}
    for index in range(at - 1, -1, -1):
        word = tokens[index]
        if word in STOP or word in _OWNERS or (word == "which" and tokens[index - 1] == "of"):
            return index
        if word == "and" and (not _joins(tokens, index, ends) or _two(tokens, index)):
            return index
        if word == "," and (
            _stated(tokens, spans, index, at)
            or _told(tokens, spans, index, at)
            or _new_subject(tokens, spans, index, at)
        ):
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


def _new_subject(tokens: Sequence[str], spans: Sequence[Span], at: int, end: int) -> bool:
    """A subject with its article stands behind the comma: `an opacity, the hilum is not visible`."""
    own = any(at < span.start < end for span in spans)
    return own and tokens[at + 1] in _ARTICLES and {"and", "or"}.isdisjoint(tokens[at:end])


def _told(tokens: Sequence[str], spans: Sequence[Span], at: int, end: int) -> bool:
    """A finding has its predicate, and another one follows: `effusion smaller, edema resolved`."""
    named = any(at < span.start < end and span.label in CAN_BE_ABSENT for span in spans)
    if not named or not {"and", "or"}.isdisjoint(tokens[at:end]):
        return False
    last = next((span for span in reversed(spans) if span.end <= at), None)
    earlier = any(span.end <= at and span.label in CAN_BE_ABSENT for span in spans)
    return last is not None and last.end == at and last.label == "concept" and earlier
