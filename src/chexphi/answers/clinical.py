"""Answers as meanings: yes and no in any form, sides, views, plurals, units, numbers, abbreviations, options.

Two answers are the same if they say the same things and nothing else. What is weakened, taken back or one of
several choices (`probably yes`, `yes/no`, `A or B`) is never read as the plain thing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from chexphi.answers import replies, terms
from chexphi.answers.labels import OPTION_LETTERS, fold, items, normalize
from chexphi.answers.phrases import expand, phrase

_COMMAND = re.compile(r"\\[a-zA-Z]+\s*\{([^{}]*)\}")
_MARKUP = re.compile(
    r"</?(?:b|i|u|em|strong|p|span|div|code|br|li|ul|ol)\b[^<>]*>|\\[()\[\],;:! ]|\$|\*\*|`|^\s*#+\s",
    re.MULTILINE,
)
_ENDS = " \t\n{}\"'“”«»"
_LEAD = re.compile(
    r"(?:(?:so|thus|therefore|hence|conclusion|in conclusion|in summary)\s*[,:]\s*"
    r"|(?:based on|according to|in|on) (?:the|this) (?:given |provided )?(?:chest )?"
    r"(?:image|film|x-?ray|radiograph|scan|finding)s?\s*,\s*"
    r"|(?:(?:the|my)\s+)?(?:(?:final|correct|right|best|short)\s+)*(?:answer|ans|option|choice|response|result)"
    r"(?: to (?:the|this) question)?[\"']?\s*(?:is(?!\s+(?:correct|right)\b)\s*:?|[:=]|-+>?\s|\n)\s*"
    r"|i (?:choose|select|pick) )[\"'\s]*"
)
_HEAD = re.compile(r"(yes|no)\b(?!\s*/)[\s,.:;!-]*")
_AND = re.compile(r"\b(?:as well as|along with|together with|in addition to|plus(?! or minus))\b")
_BOTH = re.compile(r"\bboth (?=.+\band\b)")
_OPTION = re.compile(
    rf"[(\[]?(?:(?:option|choice|answer)\s+)?[(\[]?([{OPTION_LETTERS}])(?:\s*[)\].:]+\s*|\s+-+\s+|\s+(?=\())(.*\w.*)",
    re.DOTALL,
)
_NAMED_OPTION = re.compile(rf"(?:option|choice)\s+([{OPTION_LETTERS}])\s+(.*\w.*)")
_OPTION_BEHIND = re.compile(rf"(.*\w.*?)\s*[(\[]([{OPTION_LETTERS}])[)\]]")
_LETTER = re.compile(
    rf"([{OPTION_LETTERS}])(?: is (?:the )?(?:correct|right|best)(?: (?:answer|option|choice|1))?)?"
)
_IN_BRACKETS = re.compile(r"(.*\w.*?)\s*\(([^()]*\w[^()]*)\)")
_OTHERWISE = re.compile(rf"\bor (?:{'|'.join(replies.NEGATIONS | replies.VERBS)}|there|it)\b|\bor$")
_WORD = re.compile(r"[^\W_]+")
_YES, _NO = re.compile(replies.YES), re.compile(replies.NO)


@dataclass(frozen=True, slots=True)
class Meaning:
    """One thing that an answer says: an option's letter, a phrase, or an option with its text."""

    letter: str
    phrase: str

    def agrees(self, other: Meaning) -> bool:
        """Whether both have a part in common and none that differs."""
        parts = ((self.letter, other.letter), (self.phrase, other.phrase))
        given = [(one, two) for one, two in parts if one and two]
        return bool(given) and all(one == two for one, two in given)


def _unwrap(text: str) -> str:
    """The answer without markup and without words such as `the answer is`."""
    while (shorter := _COMMAND.sub(r"\1", text)) != text:
        text = shorter
    text = fold(expand(_MARKUP.sub(" ", text))).strip(_ENDS)
    while lead := _LEAD.match(text):
        rest = text[lead.end() :].strip(_ENDS)
        if not rest:
            break
        text = rest
    return text


def _yes_or_no(text: str) -> str | None:
    """`yes` or `no` where the whole text says it and takes nothing back."""
    whole = normalize(expand(text))
    if _YES.fullmatch(whole):
        return "yes"
    if _NO.fullmatch(whole):
        return "no"
    head = _HEAD.match(text)
    if not head or "?" in text:
        return None
    clause = normalize(text[head.end() :])
    return _confirmed(head[1], clause) if clause else None


def _confirmed(head: str, clause: str) -> str | None:
    """The yes or no at the head of a text whose rest says the same again; None where it may not."""
    words = set(clause.split())
    if head == "yes":
        if words & (replies.NEGATIONS | replies.HEDGES | {"yes"}):
            return None
        return "yes" if _YES.fullmatch(clause) or words & replies.VERBS else None
    if words & (replies.HEDGES - {"or"} | {"yes"}) or _OTHERWISE.search(clause):
        return None
    denied = words & (replies.NEGATIONS - {"no"}) or (
        words & ({"no"} | replies.FINE) and words & replies.VERBS
    )
    return "no" if denied or _NO.fullmatch(clause) else None


def _option(item: str) -> Meaning | None:
    """An option's letter with or without its text; None for several letters, or a text that takes it back."""
    alone = _LETTER.fullmatch(normalize(item))
    if alone or "?" in item:
        return Meaning(alone[1], "") if alone else None
    behind = _OPTION_BEHIND.fullmatch(item)
    found = _OPTION.fullmatch(item) or _NAMED_OPTION.fullmatch(item)
    if not (found or behind):
        return None
    letter, text = (found[1], found[2]) if found else (behind[2], behind[1])  # type: ignore[index]
    words = _WORD.findall(normalize(text))
    taken_back = replies.HEDGES if found else replies.HEDGES | {"not", "option", "choice"}
    if taken_back & set(words) or any(_LETTER.fullmatch(word) for word in words):
        return None
    return None if words[0] in terms.ORGANISMS else Meaning(letter, _plain(text))


def _plain(text: str) -> str:
    """The phrase of an item; an abbreviation in brackets that says the same is left out."""
    twice = _IN_BRACKETS.fullmatch(text.strip())
    if twice and phrase(twice[1]) == phrase(twice[2]):
        text = twice[1]
    return _yes_or_no(text) or phrase(text)


@functools.lru_cache(maxsize=4096)
def _said(text: str) -> frozenset[Meaning]:
    text = _unwrap(text)
    if known := _yes_or_no(text):
        return frozenset({Meaning("", known)})
    parts = items(_BOTH.sub("", _AND.sub(",", text)))
    return frozenset(_option(part) or Meaning("", _plain(part)) for part in parts if normalize(part))


def meanings(answer: str | Iterable[str]) -> frozenset[Meaning]:
    """What an answer says, as a set; left with right is bilateral.

    >>> sorted(meaning.phrase for meaning in meanings("AP and lateral views"))
    ['ap', 'lateral']
    """
    parts = [answer] if isinstance(answer, str) else answer
    said = frozenset(meaning for part in parts for meaning in _said(part))
    sides = frozenset({Meaning("", "left"), Meaning("", "right")})
    return said - sides | {Meaning("", "bilateral")} if sides <= said else said


def same(first: str | Iterable[str], second: str | Iterable[str]) -> bool:
    """Whether two answers say the same things, and at least one."""
    one, two = meanings(first), meanings(second)
    return bool(one) and len(one) == len(two) and _covered(one, two) and _covered(two, one)


def _covered(one: frozenset[Meaning], two: frozenset[Meaning]) -> bool:
    return all(any(mine.agrees(other) for other in two) for mine in one)
