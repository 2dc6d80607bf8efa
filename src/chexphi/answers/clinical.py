"""Answers as meanings: yes and no in any form, sides, views, plurals, units, numbers, abbreviations, options.

Two answers are the same if they say the same things and nothing else. A statement that is weakened, retracted
or one of several choices (`probably yes`, `yes/no`, `A or B`) is never read as the plain statement.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from chexphi.answers import replies, terms
from chexphi.answers.labels import OPTION_LETTERS, fold, items, normalize
from chexphi.answers.phrases import expand, phrase

MAX_CHARACTERS = 500
"""The meaning of a longer text is not read."""

_COMMAND = re.compile(r"\\[a-zA-Z]+\s*\{([^{}]*)\}")
_MARKUP = re.compile(
    r"</?(?:b|i|u|em|strong|p|span|div|code|br|li|ul|ol)\b[^<>]*>|\\[()\[\],;:! ]|\$|\*\*|`|^\s*#+\s",
    re.MULTILINE,
)
_ADJACENT_MARKUP = re.compile(r"(\}|\*\*)\s*(\\boxed|\*\*)")
"""Two answers with nothing but markup between them."""
_OUTER_MARKS = " \t\n{}\"'“”«»"
_ANSWER_PHRASE = re.compile(
    r"(?:(?:so|thus|therefore|hence|conclusion|in conclusion|in summary)\s*[,:]\s*"
    r"|(?:based on|according to|in|on) (?:the|this) (?:given |provided )?(?:chest )?"
    r"(?:image|film|x-?ray|radiograph|scan|finding)s?\s*,\s*"
    r"|(?:(?:the|my)\s+)?(?:(?:final|correct|right|best|short)\s+)*(?:answer|ans|option|choice|response|result)"
    r"(?: to (?:the|this) question)?[\"']?\s*(?:is(?!\s+(?:correct|right)\b)\s*:?|[:=]|-+>?\s|\n)\s*"
    r"|i (?:choose|select|pick) )[\"'\s]*"
)
_YES_NO_START = re.compile(
    r"(yes|no)(?:\s*[,.:;!(\n]|\s+-+\s|\s(?=(?:there|it|they|this|that|these|the|i)\b))[\s,.:;!-]*"
)
_SEVERAL_CLAUSES = re.compile(r"[,;:|/\n([{?=>~]\s*\w|\.+\s*\w|\s-+\s+\w|\w\?")
_AND = re.compile(r"\b(?:as well as|along with|together with|in addition to|plus(?! or minus))\b")
_BOTH_AND = re.compile(r"\bboth (?=.+\band\b)")
_OPTION = re.compile(
    rf"[(\[]?(?:(?:option|choice|answer)\s+)?[(\[]?([{OPTION_LETTERS}])(?:\s*[)\].:]+\s*|\s+-+\s+|\s+(?=\())(.*\w.*)",
    re.DOTALL,
)
_NAMED_OPTION = re.compile(rf"(?:option|choice)\s+([{OPTION_LETTERS}])\s+(.*\w.*)")
_OPTION_AFTER = re.compile(rf"[(\[]([{OPTION_LETTERS}])[)\]]$")
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
    """One statement of an answer: an option's letter, a phrase, or an option with its text."""

    letter: str
    phrase: str

    def agrees(self, meaning: Meaning) -> bool:
        """Whether both have a letter or a phrase, and every field that both have is the same."""
        field_pairs = ((self.letter, meaning.letter), (self.phrase, meaning.phrase))
        common_pairs = [(mine, theirs) for mine, theirs in field_pairs if mine and theirs]
        return bool(common_pairs) and all(mine == theirs for mine, theirs in common_pairs)


def _unwrap(text: str) -> str:
    """The answer without markup and without words such as `the answer is`."""
    text = _ADJACENT_MARKUP.sub(r"\1\n\2", text)
    while (shorter := _COMMAND.sub(r"\1", text)) != text:
        text = shorter
    text = fold(expand(_MARKUP.sub(" ", text))).strip(_OUTER_MARKS)
    while lead := _ANSWER_PHRASE.match(text):
        answer = text[lead.end() :].strip(_OUTER_MARKS)
        if not answer:
            break
        text = answer
    return text


def _yes_or_no(text: str) -> str | None:
    """`yes` or `no` where the whole text says so and retracts nothing; else None."""
    single_clause = "" if _SEVERAL_CLAUSES.search(text) else normalize(text)
    if _YES.fullmatch(single_clause):
        return "yes"
    if _NO.fullmatch(single_clause):
        return "no"
    head = _YES_NO_START.match(text)
    if not head or "?" in text:
        return None
    return _confirmed(head[1], text[head.end() :])


def _confirmed(head: str, remainder: str) -> str | None:
    """The yes or no at the start of a text, if the remainder says the same; else None."""
    clauses = [clause for clause_text in _CLAUSE_END.split(remainder) if (clause := normalize(clause_text))]
    words = {word for clause in clauses for word in clause.split()}
    if not clauses or words & (replies.HEDGES - {"or"} | {"yes"}):
        return None
    first_words = set(clauses[0].split())
    if head == "yes":
        confirmed = _YES.fullmatch(clauses[0]) or first_words & replies.VERBS
        return "yes" if confirmed and not words & (replies.NEGATIONS | {"or"}) else None
    if any(_YES.fullmatch(clause) or _OTHERWISE.search(clause) for clause in clauses):
        return None
    denied = (
        _NO.fullmatch(clauses[0]) or _DENIED.search(clauses[0]) or first_words & (replies.NEGATIONS - {"no"})
    )
    return "no" if denied or (first_words & replies.FINE and first_words & replies.VERBS) else None


def _option(item: str) -> Meaning | None:
    """An option's letter with or without its text; None for several letters, or a text that retracts it."""
    letter_alone = _LETTER.fullmatch(normalize(item))
    if letter_alone or "?" in item:
        return Meaning(letter_alone[1], "") if letter_alone else None
    retracting_words = set(replies.HEDGES)
    if letter_before := _OPTION.fullmatch(item) or _NAMED_OPTION.fullmatch(item):
        letter, text = letter_before[1], letter_before[2]
    elif letter_after := _OPTION_AFTER.search(item):
        letter, text = letter_after[1], item[: letter_after.start()]
        retracting_words |= {"not", "option", "choice"}
    else:
        return None
    words = _WORD.findall(normalize(text))
    if not words or words[0] in terms.ORGANISMS or retracting_words & set(words):
        return None
    return None if any(map(_LETTER.fullmatch, words)) else Meaning(letter, _phrase_of_item(text))


def _phrase_of_item(text: str) -> str:
    """The phrase of an item, without an abbreviation in brackets that says the same."""
    phrase_text, bracket, inside = text.strip().removesuffix(")").rpartition("(")
    if bracket and phrase(phrase_text) == phrase(inside):
        text = phrase_text
    return _yes_or_no(text) or phrase(text)


@functools.lru_cache(maxsize=4096)
def _meanings_of(text: str) -> frozenset[Meaning]:
    text = _unwrap(text)
    if _ASSENT.fullmatch(text):  # it names no side
        return frozenset({Meaning("", "that is right")})
    if yes_or_no := _yes_or_no(text):
        return frozenset({Meaning("", yes_or_no)})
    item_texts = items(_BOTH_AND.sub("", _AND.sub(",", text)))
    return frozenset(
        _option(item) or Meaning("", _phrase_of_item(item)) for item in item_texts if normalize(item)
    )


def meanings(answer: str | Iterable[str]) -> frozenset[Meaning]:
    """The statements of an answer, as a set; left and right together are bilateral.

    >>> sorted(meaning.phrase for meaning in meanings("AP and lateral views"))
    ['ap', 'lateral']
    """
    texts = [answer] if isinstance(answer, str) else answer
    all_meanings = frozenset(meaning for text in texts for meaning in _meanings_of(text))
    sides, bilateral = frozenset({Meaning("", "left"), Meaning("", "right")}), Meaning("", "bilateral")
    # an answer `left, right, both` lists the choices
    is_bilateral = sides <= all_meanings and bilateral not in all_meanings
    return all_meanings - sides | {bilateral} if is_bilateral else all_meanings


def same(answer_a: str | Iterable[str], answer_b: str | Iterable[str]) -> bool:
    """Whether two answers make the same statements, at least one; a long text makes none."""
    texts = [
        text for answer in (answer_a, answer_b) for text in ([answer] if isinstance(answer, str) else answer)
    ]
    if max(map(len, texts), default=0) > MAX_CHARACTERS:
        return False
    meanings_a, meanings_b = meanings(answer_a), meanings(answer_b)
    if not meanings_a or len(meanings_a) != len(meanings_b):
        return False
    return _all_agree(meanings_a, meanings_b) and _all_agree(meanings_b, meanings_a)


def _all_agree(some_meanings: frozenset[Meaning], other_meanings: frozenset[Meaning]) -> bool:
    return all(
        any(meaning.agrees(other_meaning) for other_meaning in other_meanings) for meaning in some_meanings
    )
