"""One form for all phrases of one meaning: abbreviations, plurals, spelling, numbers, units, sides, views."""

from __future__ import annotations

import functools
import re
from decimal import Decimal

from chexphi.answers import replies, terms
from chexphi.answers.labels import normalize


def _words(names: object) -> str:
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))  # type: ignore[call-overload]


_CONTRACTED = (
    (re.compile("\u2019"), "'"),
    (re.compile(r"\bcan't\b|\bcannot\b", re.IGNORECASE), "can not"),
    (re.compile(r"n't\b", re.IGNORECASE), " not"),
    (re.compile(r"\b(is|are|was|were|does|do|did|has|have)nt\b", re.IGNORECASE), r"\1 not"),
    (re.compile(r"\b(there|it|that)'s\b", re.IGNORECASE), r"\1 is"),
    (re.compile(rf"\b({'|'.join(terms.PREFIXES)})-(?=\w)", re.IGNORECASE), r"\1"),
    (re.compile(r"_+"), " "),
)
_SPELLING = re.compile(_words(terms.SPELLING))
_PHRASE = re.compile(rf"(?<!\S)(?:{_words(terms.PHRASES)})(?!\S)")
_NUMBER = r"\d+(?:\.\d+)?"
_UNIT = rf"(?:{_words(terms.UNITS)})"
_MEASURE = re.compile(
    rf"(?<![\w.])({_NUMBER})( ?{_UNIT})?(?!\w*[./]\w)"
    rf"((?: ?(?:x|by|-|to|±) ?{_NUMBER}(?: ?{_UNIT})?)*)(?![\w.])"
)
_NEXT_NUMBER = re.compile(rf" ?(x|by|-|to|±) ?({_NUMBER})( ?{_UNIT})?")
_COMPARISON = re.compile(rf"(?<!\S)({_words(terms.COMPARISONS)}) (?=[-+]?\d)(?!\d+(?:st|nd|rd|th)\b)")
_INTRODUCTION = re.compile(
    r"^(?:(?:in|on|at|within|inside|to|located|the|"
    r"there (?:is|are)|(?:it|this|that|these|they) (?:is|are|shows?|demonstrates?|reveals?)|"
    r"(?:the |this )?(?:image|film|xray|chest xray|scan|finding) (?:is|shows?|demonstrates?|reveals?)"
    r") )+(?=\S)"
)
_ABSENT_BEFORE = re.compile(
    r"^(?:no|without|absence of|negative for|free of)(?: (?:any|evidence of|sign of))* (?=\S)"
)
_ABSENT_AFTER = re.compile(rf" (?:(?:is|are|was|were) )?(?:absent|not (?:{replies.OBSERVED}))$")
_PRESENT_AFTER = re.compile(rf" (?:(?:is|are|was|were) )?(?:{replies.OBSERVED})$")
_LOCATED = re.compile(r"^(.+?) (?:in|on|of|at|within) (?:the )?(.+)$")


def _singular(word: str) -> str:
    if word in terms.SINGULAR:
        return terms.SINGULAR[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("sses", "xes", "ches", "shes", "uses")) else word[:-1]


def _word(word: str) -> str:
    word = _SPELLING.sub(lambda match: terms.SPELLING[match[0]], word)
    for form in (word, word.removesuffix("s")):
        if form in terms.ABBREVIATIONS:
            return terms.ABBREVIATIONS[form]
    word = _singular(word)
    return terms.NUMBERS.get(word, terms.ABBREVIATIONS.get(word, word))


def _decimal(number: str, factor: str = "1") -> str:
    value = (Decimal(number) * Decimal(factor)).normalize()
    return f"{value:f}"


def _measure(measure: re.Match[str]) -> str:
    """`1.5 x 1.8 cm` -> `15x18 mm`; a number without a unit has the unit of the next number."""
    numbers_with_units = [("", measure[1], measure[2]), *_NEXT_NUMBER.findall(measure[3] or "")]
    unit, converted = "", []
    for joint, number, number_unit in reversed(numbers_with_units):
        unit = (number_unit or "").strip() or unit
        target_unit, factor = terms.UNITS.get(unit, ("", "1"))
        joint = {"by": "x", "to": "-"}.get(joint, joint)
        converted.append((joint + _decimal(number, factor), target_unit))
    target_units = {target_unit for _, target_unit in converted if target_unit}
    unit_text = f" {target_units.pop()}" if len(target_units) == 1 else ""
    return "".join(text for text, _ in reversed(converted)) + unit_text


def _with_phrases_replaced(phrase: str) -> str:
    while (replaced := _PHRASE.sub(lambda match: terms.PHRASES[match[0]], phrase)) != phrase:
        phrase = replaced
    return phrase


def _sides_first(phrase: str) -> str:
    """Sides and zones in one order and before the finding, as of `opacity in the upper left lobe`."""
    located = _LOCATED.match(phrase)
    if located and set(located[2].split()) <= terms.LOCATION_WORDS:
        phrase = f"{located[2]} {located[1]}"
    words = phrase.split()
    for position in range(len(words) - 1):
        pair = words[position : position + 2]
        ends_the_phrase = position + 2 == len(words) or words[position + 2] not in terms.SIDES | terms.ZONES
        if pair[0] in terms.ZONES and pair[1] in terms.SIDES and ends_the_phrase:
            words[position : position + 2] = reversed(pair)
    return " ".join(words)


def _shortened(phrase: str) -> str:
    words = phrase.split()
    if terms.VIEWS & set(words) and set(words) <= terms.VIEWS | terms.OF_A_VIEW | terms.SIDES:
        return " ".join(sorted(word for word in words if word not in terms.OF_A_VIEW))
    if len(words) == 2 and words[0] in terms.SIDES and words[1] == "lung":
        return words[0]
    return phrase


def expand(text: str) -> str:
    """The text with contractions and underscores written out; its punctuation stays."""
    for pattern, replacement in _CONTRACTED:
        text = pattern.sub(replacement, text)
    return text


@functools.lru_cache(maxsize=4096)
def phrase(text: str) -> str:
    """The form that all phrases of one meaning share.

    >>> phrase("Opacities in the left lower lobe"), phrase("LLL opacity")
    ('left lower lobe opacity', 'left lower lobe opacity')
    >>> phrase("0.5 cm"), phrase("five mm"), phrase("5.0 millimetres")
    ('5 mm', '5 mm', '5 mm')
    """
    normalized = normalize(expand(text))
    words = _with_phrases_replaced(" ".join(map(_word, normalized.split())))
    words = _COMPARISON.sub(lambda comparison: terms.COMPARISONS[comparison[1]], words)
    words = _MEASURE.sub(_measure, words).replace(" %", "%").replace(" °", "°")
    words = _INTRODUCTION.sub("", words)
    finding = _ABSENT_BEFORE.sub("", words)
    if finding == words:  # only one of them: both together would be a double denial
        finding = _ABSENT_AFTER.sub("", words)
    negation = "no " if finding != words else ""
    return (
        negation + _shortened(_with_phrases_replaced(_sides_first(_PRESENT_AFTER.sub("", finding))))
        or normalized
    )
