"""How many there are of something, counted in words. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chexphi.graph.findings.vocabulary import base_form
from chexphi.graph.text import sentence_spans

UNBOUNDED = float("inf")
_NUMBERS = {
    "no": 0, "zero": 0, "none": 0, "one": 1, "single": 1, "solitary": 1, "a": 1, "an": 1, "another": 1,
    "two": 2, "both": 2, "pair": 2, "couple": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "twelve": 12,
}  # fmt: skip
_INDEFINITE = frozenset({"multiple", "several", "many", "numerous", "few", "innumerable", "various"})
_FURTHER = frozenset({"second", "third", "fourth", "another", "one"})
"""Words that count one more without its name: `and a second at the base`."""
_DISTRIBUTED = frozenset({"each", "both", "either"})
"""Words that make several of one: `an effusion on each side`."""
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_LOOK_BACK = 4
"""Words before a noun among which its number is."""


def asked_count(text: str) -> int | None:
    """The number that an answer gives; None without one.

    >>> asked_count("two"), asked_count("There are 3."), asked_count("several")
    (2, 3, None)
    """
    for word in _WORD.findall(text.lower()):
        if word.isdecimal() and len(word) <= 3:
            return int(word)
        if word in _NUMBERS and word not in ("a", "an", "both"):
            return _NUMBERS[word]
    return None


def count_in(text: str, noun: str) -> tuple[float, float] | None:
    """The least and the most that a text counts of a noun; None where it does not name it.

    >>> count_in("One nodule is on the left, and a second is on the right.", "nodules")
    (2, 2)
    >>> count_in("There are several nodules.", "nodules")
    (2, inf)
    """
    noun_words = [base_form(word) for word in _WORD.findall(noun.lower())]
    if not noun_words:
        return None
    totals: list[int] = []
    singles, is_named, is_definite, is_open = 0, False, False, False
    for start, end in sentence_spans(text):
        words = _WORD.findall(text[start:end].lower())
        places = [at for at, word in enumerate(words) if base_form(word) == noun_words[-1]]
        is_named |= bool(places)
        ends = [*(place - _LOOK_BACK for place in places[1:]), len(words)]
        for at, end_at in zip(places, ends[: len(places)], strict=True):
            number, is_plural = _number(words, at, noun_words), words[at] != noun_words[-1]
            if number is None:
                is_open |= is_plural
                is_definite |= not is_plural
            elif number == 1:
                singles += 1 + sum(word in _FURTHER for word in words[at + 1 : max(at + 1, end_at)])
                is_open |= not _DISTRIBUTED.isdisjoint(words)
            else:
                totals.append(number)
    if not is_named:
        return None
    total = sum(totals) + singles or int(is_definite)
    if len(totals) > 1 and 2 * max(totals) == sum(totals):
        total = max(totals)  # said as a whole and in parts
    return (max(total, 2), UNBOUNDED) if is_open and not totals else (total, total)


def _number(words: Sequence[str], at: int, noun_words: Sequence[str]) -> int | None:
    """The number of the noun at a place; None without one."""
    for word in reversed(words[max(0, at - _LOOK_BACK) : at]):
        if word in _INDEFINITE:
            return None
        if word in _NUMBERS or (word.isdecimal() and len(word) <= 2):
            return _NUMBERS[word] if word in _NUMBERS else int(word)
    after = words[at + 1 : at + 4]  # fractures of three ribs
    if after[:1] == ["of"] and len(after) == 3 and base_form(after[2]) in noun_words:
        return _NUMBERS.get(after[1])
    return None
