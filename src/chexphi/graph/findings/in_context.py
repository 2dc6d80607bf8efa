"""The words of a quality as its sentence means them. Standard library only.

`Larger than on the left` is no change, and `previously on the left` is no side of today.

Every list is our choice: the ways of saying it that we know.
"""

from __future__ import annotations

import re

from chexphi.graph.findings.records import EMPTY, NO_QUALITIES
from chexphi.graph.findings.vocabulary import Vocabulary
from chexphi.graph.types import Mention

UNCHANGED, DECREASED, INCREASED = frozenset({"unchanged"}), frozenset({"decreased"}), frozenset({"increased"})
NEW = frozenset({"new"})
_OF_COURSE = frozenset({"enlarged", "development"})
"""Words that tell a change in some sentences only."""
_DENIED = re.compile(r"\b(?:no|not|without)\b[^.;,]*$")
_REACH = 60
"""Characters around a mention that are looked at."""
_NOT_RESOLVED = re.compile(
    r"(?:\b(?:not|never|hardly)|n't|\byet to)(?: (?:yet|been|be|have))*"
    r"( (?:completely|fully|entirely|totally))?\s*$"
)
"""Before a word of resolution: what it is about is still there."""
_THAN_OTHER_SIDE = re.compile(
    r"\s+than\s+(?:(?:that|those|seen|on|in|of|at|the)\s+)*(?:left|right|other|opposite)\b"
)
"""After a word of change: it compares two sides, as in `larger than on the left`."""
_ON_ONE_SIDE = re.compile(
    r"\s+(?:on|at|in|to|toward|towards)\s+(?:the\s+)?(?:left|right)(?:\s+(?:side|base|lung|apex))?\s*"
    r"(?:[.;,)\n]|$|than\b)"
)
_COMPARATIVES = frozenset({"worse", "larger", "smaller", "greater", "bigger", "more", "less"})
"""After both sides, and before one of them, they compare the sides: `bilateral, worse on the left`."""
_ANY_OTHER_CHANGE = re.compile(r"\b(?:\w+(?:ed|ing)|now|than before|unchanged|stable)\b[^.;\n]*$")
_BOTH_SIDES = re.compile(r"\b(?:bilateral\w*|both|bi-?(?:bas|api|hil)\w+)\b[^.;\n]*$")
_COMPARED_AMOUNT = (" more ", " less ")
_DENYING_WORD = re.compile(r"\b(?:no|any)\s*$")
_PREDICATE_END = re.compile(r"\s*(?:[.;,)\n]|$|\s(?:than|on|in|at|and|but)\b)")
_PERFECT_TENSE = re.compile(
    r"\b(?:has|have|having)(?: (?:since|further|also|slightly|markedly|clearly|now))*\s*$"
)
"""Before `enlarged`: it tells what happened, and not how the finding is."""
_TO_OTHER_SIDE = re.compile(r"\s+to\s+(?:the\s+)?(left|right)\b")
"""After a side: a shift starts there, and the side where it ends is told."""
_EARLIER_SIDE = re.compile(
    r"\b(?:previously|formerly|earlier|initially)\b"
    r"(?: (?:was|seen|noted|present|described|shown|located|lay|on|in|at|the))*\s*$"
)
_PRESENT_TIME = re.compile(r"[^.;\n]*\bnow\b")
_EARLIER = ("previously", "formerly")


def words_in_context(mention: Mention, text: str, vocabulary: Vocabulary) -> frozenset[str]:
    """The words of a mention, without those that tell how another finding is or how it was before."""
    words = vocabulary.words(mention.text)
    if mention.label != "concept":
        return words
    if mention.text.startswith(_EARLIER):
        return frozenset()
    qualities = vocabulary.qualities(words)
    if qualities is NO_QUALITIES and words.isdisjoint(_OF_COURSE):
        return words
    start, end = mention.start, mention.end
    if qualities is NO_QUALITIES:
        return words | _course(words, _before(text, start))
    if qualities.change:
        words = _change_in_context(
            words, qualities.change, _before(text, start), _after(text, end), vocabulary
        )
    if qualities.degree and text.endswith(_COMPARED_AMOUNT, 0, start):
        words = _without(words, "degree", vocabulary)
        if not (_ON_ONE_SIDE.match(_after(text, end)) or _THAN_OTHER_SIDE.match(_after(text, end))):
            words |= DECREASED if text.endswith(" less ", 0, start) else INCREASED
    may_be_former = text.startswith(" to ", end) or "now" in text[end : end + _REACH]
    if (
        qualities.sides
        and may_be_former
        and _is_former_side(qualities.sides, _before(text, start), _after(text, end))
    ):
        words = _without(_without(words, "side", vocabulary), "zone", vocabulary)
    return words


def _course(words: frozenset[str], previous: str) -> frozenset[str]:
    """The change that `has enlarged` and `development of` tell."""
    if "enlarged" in words:
        return INCREASED if _PERFECT_TENSE.search(previous) else EMPTY
    return EMPTY if _DENIED.search(previous) else NEW


def _before(text: str, start: int) -> str:
    return text[max(0, start - _REACH) : start].lower()


def _after(text: str, end: int) -> str:
    return text[end : end + _REACH].lower()


def _change_in_context(
    words: frozenset[str], change: str, previous: str, following: str, vocabulary: Vocabulary
) -> frozenset[str]:
    if change == "resolved" and (denial := _NOT_RESOLVED.search(previous)):
        return DECREASED if denial[1] else UNCHANGED
    is_comparative = not words.isdisjoint(_COMPARATIVES)
    if _THAN_OTHER_SIDE.match(following) or (is_comparative and _compares_sides(previous, following)):
        return _without(words, "change", vocabulary)
    if is_comparative and _DENYING_WORD.search(previous) and _PREDICATE_END.match(following):
        return UNCHANGED | _without(words, "change", vocabulary)
    return words


def _compares_sides(previous: str, following: str) -> bool:
    """Whether a comparative before one side follows both sides: `bibasal atelectasis, worse on the left`."""
    both = _BOTH_SIDES.search(previous)
    return bool(
        both
        and _ON_ONE_SIDE.match(following)
        and not _ANY_OTHER_CHANGE.search(previous, both.end(0) - len(both[0]))
    )


def _is_former_side(sides: frozenset[str], previous: str, following: str) -> bool:
    """Whether a side is where a shift starts, or where the finding was before."""
    if (target := _TO_OTHER_SIDE.match(following)) is not None:
        return len(sides) == 1 and target[1] not in sides
    return bool(_EARLIER_SIDE.search(previous) and _PRESENT_TIME.match(following))


def _without(words: frozenset[str], name: str, vocabulary: Vocabulary) -> frozenset[str]:
    return frozenset(word for word in words if not vocabulary.tells(word, name))
