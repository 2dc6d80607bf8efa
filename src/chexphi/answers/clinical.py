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

LONGEST = 500
"""Characters of the longest text whose meaning is read."""

_COMMAND = re.compile(r"\\[a-zA-Z]+\s*\{([^{}]*)\}")
_MARKUP = re.compile(
    r"</?(?:b|i|u|em|strong|p|span|div|code|br|li|ul|ol)\b[^<>]*>|\\[()\[\],;:! ]|\$|\*\*|`|^\s*#+\s",
    re.MULTILINE,
)
_BESIDE = re.compile(r"(\}|\*\*)\s*(\\boxed|\*\*)")
"""Two answers that only their markup parts."""
_ENDS = " \t\n{}\"'“”«»"
_LEAD = re.compile(
    r"(?:(?:so|thus|therefore|hence|conclusion|in conclusion|in summary)\s*[,:]\s*"
    r"|(?:based on|according to|in|on) (?:the|this) (?:given |provided )?(?:chest )?"
    r"(?:image|film|x-?ray|radiograph|scan|finding)s?\s*,\s*"
    r"|(?:(?:the|my)\s+)?(?:(?:final|correct|right|best|short)\s+)*(?:answer|ans|option|choice|response|result)"
    r"(?: to (?:the|this) question)?[\"']?\s*(?:is(?!\s+(?:correct|right)\b)\s*:?|[:=]|-+>?\s|\n)\s*"
    r"|i (?:choose|select|pick) )[\"'\s]*"
)
_HEAD = re.compile(
    r"(yes|no)(?:\s*[,.:;!(\n]|\s+-+\s|\s(?=(?:there|it|they|this|that|these|the|i)\b))[\s,.:;!-]*"
)
_PARTED = re.compile(r"[,;:|/\n([{?=>~]\s*\w|\.+\s*\w|\s-+\s+\w|\w\?")
_AND = re.compile(r"\b(?:as well as|along with|together with|in addition to|plus(?! or minus))\b")
_BOTH = re.compile(r"\bboth (?=.+\band\b)")
_OPTION = re.compile(
    rf"[(\[]?(?:(?:option|choice|answer)\s+)?[(\[]?([{OPTION_LETTERS}])(?:\s*[)\].:]+\s*|\s+-+\s+|\s+(?=\())(.*\w.*)",
    re.DOTALL,
)
_NAMED_OPTION = re.compile(rf"(?:option|choice)\s+([{OPTION_LETTERS}])\s+(.*\w.*)")
_OPTION_BEHIND = re.compile(rf"[(\[]([{OPTION_LETTERS}])[)\]]$")
_LETTER = re.compile(
    rf"([{OPTION_LETTERS}])(?: is (?:the )?(?:correct|right|best)(?: (?:answer|option|choice|1))?)?"
)
_CLAUSE_END = re.compile(r"[,;:()\n]|\.(?!\d)")
_DENIED = re.compile(r"\b(?:is|are|was|were|has|have|see|shows?|demonstrates?) no\b|^no \w")
_OTHERWISE = re.compile(rf"\bor (?:{'|'.join(replies.NEGATIONS | replies.VERBS)}|there|it)\b|\bor$")
_ASSENT = re.compile(r"(?:that|this|it)(?:'s| is) (?:right|correct)\W*")
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
    text = _BESIDE.sub(r"\1\n\2", text)
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
    whole = "" if _PARTED.search(text) else normalize(text)
    if _YES.fullmatch(whole):
        return "yes"
    if _NO.fullmatch(whole):
        return "no"
    head = _HEAD.match(text)
    if not head or "?" in text:
        return None
    return _confirmed(head[1], text[head.end() :])


def _confirmed(head: str, rest: str) -> str | None:
    """The yes or no at the head of a text whose rest says the same again; None where it may not."""
    clauses = [clause for part in _CLAUSE_END.split(rest) if (clause := normalize(part))]
    words = {word for clause in clauses for word in clause.split()}
    if not clauses or words & (replies.HEDGES - {"or"} | {"yes"}):
        return None
    first = set(clauses[0].split())
    if head == "yes":
        confirmed = _YES.fullmatch(clauses[0]) or first & replies.VERBS
        return "yes" if confirmed and not words & (replies.NEGATIONS | {"or"}) else None
    if any(_YES.fullmatch(clause) or _OTHERWISE.search(clause) for clause in clauses):
        return None
    denied = _NO.fullmatch(clauses[0]) or _DENIED.search(clauses[0]) or first & (replies.NEGATIONS - {"no"})
    return "no" if denied or (first & replies.FINE and first & replies.VERBS) else None


def _option(item: str) -> Meaning | None:
    """An option's letter with or without its text; None for several letters, or a text that takes it back."""
    letter_alone = _LETTER.fullmatch(normalize(item))
    if letter_alone or "?" in item:
        return Meaning(letter_alone[1], "") if letter_alone else None
    taken_back = set(replies.HEDGES)
    if before := _OPTION.fullmatch(item) or _NAMED_OPTION.fullmatch(item):
        letter, text = before[1], before[2]
    elif behind := _OPTION_BEHIND.search(item):
        letter, text = behind[1], item[: behind.start()]
        taken_back |= {"not", "option", "choice"}
    else:
        return None
    words = _WORD.findall(normalize(text))
    if not words or words[0] in terms.ORGANISMS or taken_back & set(words):
        return None
    return None if any(map(_LETTER.fullmatch, words)) else Meaning(letter, _plain(text))


def _plain(text: str) -> str:
    """The phrase of an item; an abbreviation in brackets that says the same is left out."""
    before, bracket, inside = text.strip().removesuffix(")").rpartition("(")
    if bracket and phrase(before) == phrase(inside):
        text = before
    return _yes_or_no(text) or phrase(text)


@functools.lru_cache(maxsize=4096)
def _meanings_of(text: str) -> frozenset[Meaning]:
    text = _unwrap(text)
    if _ASSENT.fullmatch(text):  # no side
        return frozenset({Meaning("", "that is right")})
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
    together = frozenset(meaning for part in parts for meaning in _meanings_of(part))
    sides, both = frozenset({Meaning("", "left"), Meaning("", "right")}), Meaning("", "bilateral")
    joined = sides <= together and both not in together  # `left, right, both` lists what there is to choose
    return together - sides | {both} if joined else together


def same(first: str | Iterable[str], second: str | Iterable[str]) -> bool:
    """Whether two answers say the same things, and at least one; a long text says nothing."""
    texts = [text for answer in (first, second) for text in ([answer] if isinstance(answer, str) else answer)]
    if max(map(len, texts), default=0) > LONGEST:
        return False
    one, two = meanings(first), meanings(second)
    return bool(one) and len(one) == len(two) and _covered(one, two) and _covered(two, one)


def _covered(one: frozenset[Meaning], two: frozenset[Meaning]) -> bool:
    return all(any(mine.agrees(other) for other in two) for mine in one)
