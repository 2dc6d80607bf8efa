"""Finds where a statement ends. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from chexphi.graph.lexicon.spans import CAN_BE_ABSENT, Span
from chexphi.graph.words import words as _words

CLAUSE_ENDS = _words(
    """but while whereas although though however except excepting because ; : so despite yet unlike apart
    aside than compared | ."""
)
"""A clause ends at one of these."""
STATEMENT_STARTS = _words(
    """a an the there this these rather persistence it both i its that presence we he she they patient
    positive only just instead mainly also otherwise now found find see saw note noted no not neither
    without"""
)
"""After `and` or a comma these start a new statement."""
_QUALIFIERS = _words(
    """small mild mildly moderate moderately large trace tiny minimal minimally minor severe slight slightly
    subtle left right bilateral bibasilar biapical left-sided right-sided bibasal one two three four
    multiple several numerous scattered extensive diffuse patchy low new old healed chronic linear
    subsegmental plate-like platelike bandlike streaky discoid dependent basal bibasal dense hazy
    retrocardiac enlarged calcified"""
)
"""Severity, side and number. After a comma they start a statement, unless the list goes on with `or`."""
_COURSE_WORDS = _words(
    """stable unchanged persistent persisting persists residual again similar increased decreased worsening
    improved increasing decreasing improving resolving evolving"""
)
"""The course of findings that are present: after a comma or `with` it starts a new statement."""
_MAYBE = _words("possible possibly probable probably likely suspected questionable may might could")
BE = _words("is are was were")
VERBS = BE | _words(
    """has have had shows show appears appear remains remain persists persist seems demonstrates suggests
    projects terminates may might could suggest represents represent reflects likely probably"""
)
ARTICLES = _words("the a an this his her")
_VERBLESS_PREDICATES = _words("only just noted situ place intact unchanged stable enlarged again")
"""Predicates without a verb: `pacemaker in situ`."""
_CONCLUDES = _words(
    """makes make argues argue excludes suggests favors favours indicates means supports speaks eliminates
    confirms rules"""
)
_RELATIVE = _words("to that which would could may might not and or")
_PREDICATES_OF_PRESENT = _words("typical consistent compatible due characteristic")
"""After `is` they describe a finding that is present."""
_SEEN_PARTICIPLES = _words(
    "seen present identified visible evident noted demonstrated appreciated detected found observed shown"
)
_INFERENCES = _words(
    """suggesting suggestive suggests consistent compatible keeping indicating indicative representing
    reflecting"""
)
_MARKINGS = _words("markings marking")
"""Lungs have them. So what their absence suggests is present."""
_ABNORMAL_MARKINGS = _words(
    "increased prominent coarse coarsened interstitial accentuated reticular abnormal"
)
_SINCE_WORDS = _words("after following post since given")
"""What follows is present or known: `no pneumothorax after placement of a tube`."""
_BREAK_MARKS = _words(", / * ( [ - \u2013 \u2014 + > \u2192")
_POSSIBLE_ENDS = (
    CLAUSE_ENDS
    | BE
    | _SINCE_WORDS
    | _INFERENCES
    | _CONCLUDES
    | _BREAK_MARKS
    | _words("and with or nor in s status to")
)
"""A clause can only end at one of these."""


def clause_end(tokens: Sequence[str], spans: Sequence[Span], start: int) -> int:
    """The end of the statement that the word at `start` belongs to."""
    has_verb = has_or = False
    for at in range(start, len(tokens)):
        word = tokens[at]
        if word not in _POSSIBLE_ENDS:
            continue
        next_word = tokens[at + 1] if at + 1 < len(tokens) else ""
        if word in CLAUSE_ENDS or (word in BE and next_word in _PREDICATES_OF_PRESENT):
            return at
        if at > start and (
            word in _SINCE_WORDS
            or (word in _INFERENCES and _lacks_markings(tokens[start:at]))
            or _starts_known_context(tokens, at)
            or _is_conclusion(tokens, at)
        ):
            return at
        if word == "," and _joins_qualifiers(tokens, spans, start, at):
            continue
        if word == "and" or word in _BREAK_MARKS:
            if _starts_statement(tokens, start, at, has_verb=has_verb, has_or=has_or):
                return at
            if _device_after_disorder(tokens, spans, start, at):
                return at
        elif word == "with" and (
            next_word in STATEMENT_STARTS
            or next_word in _COURSE_WORDS
            or _starts_with_qualifier(tokens, at + 1)
            or _device_after_disorder(tokens, spans, start, at)
        ):
            return at
        has_verb |= word in BE
        has_or |= word in ("or", "nor")
    return len(tokens)


def _joins_qualifiers(tokens: Sequence[str], spans: Sequence[Span], start: int, comma: int) -> bool:
    """Whether only qualifiers are between a denial and the comma: `no acute, displaced fracture`."""
    if start == 0 or tokens[start - 1] not in ("no", "without", "any"):
        return False
    for span, next_span in pairwise(spans):
        if span.start >= start:
            bounds = (span.start, span.end, next_span.start)
            return bounds == (start, comma, comma + 1) and span.label == next_span.label == "concept"
    return False


def _lacks_markings(denied_words: Sequence[str]) -> bool:
    """Whether normal markings of the lung are denied, which a pneumothorax does."""
    return not _MARKINGS.isdisjoint(denied_words) and _ABNORMAL_MARKINGS.isdisjoint(denied_words)


def _is_conclusion(tokens: Sequence[str], at: int) -> bool:
    """Whether the verb concludes from what was denied: `the absence of a line makes an effusion unlikely`."""
    return tokens[at] in _CONCLUDES and tokens[at - 1] not in _RELATIVE


def _device_after_disorder(tokens: Sequence[str], spans: Sequence[Span], start: int, at: int) -> bool:
    """Whether a device follows a disorder: `no effusion, pacemaker noted`."""
    previous_label = ""
    for span in spans:
        if span.start < start or span.label not in CAN_BE_ABSENT:
            continue
        if span.start > at:
            is_device_after = (previous_label, span.label) == ("disorder_present", "devices_present")
            return is_device_after and not _list_goes_on(tokens, at + 1)
        previous_label = previous_label or span.label
    return False


def _starts_known_context(tokens: Sequence[str], at: int) -> bool:
    """Whether what follows is known: `in this patient`, `s/p`, `status post`, `to explain`."""
    if tokens[at] not in ("in", "s", "status", "to"):
        return False
    next_words = tuple(tokens[at : at + 3])
    return (
        (next_words[:1] == ("in",) and "patient" in next_words)
        or next_words == ("s", "/", "p")
        or next_words[:2]
        in (("status", "post"), ("to", "explain"), ("to", "account"), ("to", "evaluate"), ("to", "assess"))
        or next_words in (("in", "the", "setting"), ("in", "setting", "of"))
    )


def _starts_statement(tokens: Sequence[str], start: int, at: int, *, has_verb: bool, has_or: bool) -> bool:
    """Whether the comma, dash, bracket or `and` at `at` ends the statement of the word at `start`."""
    part_start = at + 1
    while part_start < len(tokens) and tokens[part_start] in ("and", "with", ">"):
        part_start += 1
    next_word = tokens[part_start] if part_start < len(tokens) else ""
    if tokens[at] == "/":
        return _starts_with_qualifier(tokens, part_start)
    if tokens[at] in "([" and not _VERBLESS_PREDICATES.isdisjoint(tokens[at : at + 5]):
        return True
    if next_word in STATEMENT_STARTS:
        return True
    if tokens[at] == "and" and {tokens[at - 1], next_word} == {"left", "right"}:
        return False
    if tokens[at] == "and" and tokens[part_start - 1] != ",":
        return _starts_with_qualifier(tokens, part_start) and next_word not in ("new", "low")
    # `no effusion on the left, effusion on the right`
    repeats_word = next_word not in ARTICLES and next_word in tokens[start:at]
    if has_verb or repeats_word or next_word in _COURSE_WORDS or next_word in _MAYBE:
        return True
    if _starts_with_qualifier(tokens, part_start):
        return True
    if next_word[:1].isdigit() and not _list_goes_on(tokens, part_start):
        return True
    return _is_own_sentence(tokens, start, part_start) or (has_or and not _list_goes_on(tokens, part_start))


def _starts_with_qualifier(tokens: Sequence[str], start: int) -> bool:
    return start < len(tokens) and tokens[start] in _QUALIFIERS and not _list_goes_on(tokens, start)


def _list_goes_on(tokens: Sequence[str], start: int) -> bool:
    """Whether an `or` follows in the same statement, so that the word at `start` belongs to a list."""
    if tokens[start : start + 1] in (["or"], ["nor"], ["and"]):
        return True
    for at in range(start, len(tokens)):
        if tokens[at] in CLAUSE_ENDS or tokens[at] in VERBS or tokens[at] in ("with", "(", "which"):
            return False
        if tokens[at] in ("or", "nor"):
            return True
    return False


def _is_own_sentence(tokens: Sequence[str], start: int, part_start: int) -> bool:
    """Whether the words up to the next comma have their own verb: `no effusion, the heart is large`."""
    for at in range(part_start, len(tokens)):
        word = tokens[at]
        if word in CLAUSE_ENDS or word in _BREAK_MARKS or word in ("which", "or", "nor", "as"):
            return False
        if word in _VERBLESS_PREDICATES and at > part_start and "or" not in tokens[part_start - 2 : at]:
            return True
        if word in VERBS and at > part_start:
            ends_in_participle = at + 1 < len(tokens) and tokens[at + 1] in _SEEN_PARTICIPLES
            return not ends_in_participle or "," not in tokens[start : part_start - 1]
    return False
