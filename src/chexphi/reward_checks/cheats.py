"""Texts that a policy might write to be paid without being right. Standard library only.

Each function makes one text of another; what such a text earns is measured by `chexphi rewards probe`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from chexphi.graph.claims import OPPOSITE
from chexphi.graph.lexicon.spans import term_lines
from chexphi.graph.text import sentences
from chexphi.graph.types import Extractor, Mention, Parse

_SIDE = {"left": "right", "Left": "Right", "LEFT": "RIGHT", "LUL": "RUL", "LLL": "RLL"}
_OTHER_SIDE = _SIDE | {value: key for key, value in _SIDE.items()}
_SIDES = re.compile(rf"(?<![^\W_])({'|'.join(_OTHER_SIDE)})(?=(?:wards?)?(?![^\W_]))")

_SEEN = (
    "(?:seen|present|identified|visible|visuali[sz]ed|evident|noted|demonstrated|appreciated|detected|"
    "apparent|found|observed|shown)"
)
_ADVERB = r"(?:(?:clearly|definite?ly|definitively|readily|currently|now) )?"
_GONE = "(?:resolved|cleared|disappeared|been (?:removed|pulled out|discontinued|excluded|ruled out))"
_ASSERTED: tuple[tuple[str, str], ...] = (
    (r"\bneither\b", ""),
    (r"\bnor\b", "and"),
    (r"\b(?:has|have|had) (?:completely |fully |entirely |since |now |also )?" + _GONE, "persists"),
    (r"\b(is|are|was|were) (?:now )?(?:resolved|absent|gone|removed|excluded|ruled out)", r"\1 present"),
    (r"\bno longer\b", "still"),
    (r"\b(?:cannot|can not) be (" + _ADVERB + _SEEN + r")\b", r"is \1"),
    (r"\bhas not been (" + _SEEN + r")\b", r"is \1"),
    (r"\b(?:does|do|did) not (?=show|demonstrate|reveal|display|contain|have|see|find)", ""),
    (r"\b(?:fails|failed) to (show|demonstrate|reveal|display|contain)\b", r"\1s"),
    (r"\bcannot\b", "can"),
    (r"\bnot (?:any )?", ""),
    (r"\bn[o']t\b", ""),
    (r"\bnegative for\b", "positive for"),
    (r"\b(?:lack|absence) of\b", "presence of"),
    (r"\blacks\b", "has"),
    (r"\b(?:free|clear|devoid) (?:of|from)\b", "with"),
    (r"\bdenies\b", "has"),
    (r"\b(?:rather than|instead of)\b", "and"),
    (r"\b(?:rules out|ruled out|excludes)\b", "shows"),
    (r"\b(?:removal|(?:complete )?resolution|disappearance|complete clearing) of\b", "persistence of"),
    (r"\b(?:resolved|absent)\b", "persistent"),
    (r"\bwithout (?:any )?", "with "),
    (r"\bnone of\b", "all of"),
    (r"\bnothing\b", "something"),
    (r"\bnever\b", "often"),
    (r"\bno (?:other |definite |significant |convincing |obvious |acute )?", ""),
    (r" or ", " and "),
)
"""Words of denial and what says the opposite, in the order they are tried; see `terms/context.txt`."""
_ARTICLE = re.compile(r"\b(?:an?|the|some|any|another) $", re.IGNORECASE)
_DENIALS = ("no ", "no evidence of ")


def swap_sides(text: str) -> str:
    """Left for right and right for left, `left-sided` and `RUL` included; done twice, the text itself.

    >>> swap_sides("Left-sided effusion, bilateral opacities, nodule in the RUL.")
    'Right-sided effusion, bilateral opacities, nodule in the LUL.'
    """
    return _SIDES.sub(lambda found: _OTHER_SIDE[found[0]], text)


def every_finding(*, denied: bool) -> str:
    """A sentence for every finding and device of the lexicon."""
    opening = "No" if denied else "There is"
    return " ".join(f"{opening} {term}." for file in ("disorder", "devices") for term in term_lines(file))


def richest_sentence(text: str, extractor: Extractor) -> str:
    """The sentence of a text whose graph is the largest: alone it is paid the most of the text's reward."""
    found = [text[start:end] for start, end in sentences(text)] or [text]
    graphs = extractor.extract(found)
    sizes = [len(graph.entities) + len(graph.relations) for graph in graphs]
    return found[sizes.index(max(sizes))]


def flip_polarity(text: str, extractor: Extractor) -> str:
    """Every finding and device that the text states is denied, and the other way round.

    A sentence is rewritten in several ways, and the one is taken in which the extractor reads most of its
    findings as the opposite and all else as before; a sentence without findings stays. The words are not
    always good English.

    >>> from chexphi.graph.open import open_extractor
    >>> flip_polarity("There is no nodule or edema. A catheter is seen.", open_extractor("lexicon"))
    'There is nodule and edema. No catheter is seen.'
    """
    written, end = [], 0
    for start, stop in sentences(text):
        written += [text[end:start], _flip_sentence(text[start:stop], extractor)]
        end = stop
    return "".join([*written, text[end:]])


def flipped_share(before: Parse, after: Parse) -> tuple[int, int]:
    """How many of the findings and devices of a text another one gives the opposite polarity alone.

    Returns:
        (flipped, all): of distinct names with one polarity; those with both have no opposite.
    """
    stated, now = _findings(before), {mention.entity for mention in after.mentions}
    names = {(text, label) for text, label in stated if (text, OPPOSITE[label]) not in stated}
    flipped = sum((text, OPPOSITE[label]) in now and (text, label) not in now for text, label in names)
    return flipped, len(names)


def _findings(parse: Parse) -> set[tuple[str, str]]:
    return {mention.entity for mention in parse.mentions if mention.label in OPPOSITE}


def _flip_sentence(sentence: str, extractor: Extractor) -> str:
    (parse,) = extractor.parse([sentence])
    if not _findings(parse):
        return sentence
    forms = list(dict.fromkeys(_capital(sentence, form) for form in _rewritten(sentence, parse)))
    parses = extractor.parse(forms)
    scores = [(flipped_share(parse, after)[0], *_kept(parse, after)) for after in parses]
    return forms[scores.index(max(scores))]


def _kept(before: Parse, after: Parse) -> tuple[bool, int]:
    """Whether anything is another than before, and how much is not: the more, the more it is paid."""
    old, new = before.graph, after.graph
    return new != old, len(old.entities & new.entities) + len(old.relations & new.relations)


def _rewritten(sentence: str, parse: Parse) -> Iterator[str]:
    """The sentence with its denials asserted and its statements denied; at last its findings alone."""
    for denial in _DENIALS:
        # what is put in stands behind a mark, and is not turned round itself
        yield f"\x00{denial}".join(map(_asserted, _deny(parse, denial).split(f"\x00{denial}")))
    findings = [mention for mention in parse.mentions if mention.label in OPPOSITE]
    yield f"There is {', there is '.join(('no ' if _stated(m) else '') + m.text for m in findings)}."


def _deny(parse: Parse, denial: str) -> str:
    """A denial, behind a mark, before the noun phrase of every finding that is stated."""
    text = parse.text
    places = {_phrase_start(parse, m) for m in parse.mentions if m.label in OPPOSITE and _stated(m)}
    for place in sorted(places, reverse=True):
        article = _ARTICLE.search(text, 0, place)
        phrase = text[place:]
        if place == 0 and phrase[1:2].islower():
            phrase = phrase[:1].lower() + phrase[1:]
        text = text[: article.start() if article else place] + f"\x00{denial}" + phrase
    return text


def _stated(mention: Mention) -> bool:
    return not mention.label.endswith("notpresent")


def _phrase_start(parse: Parse, mention: Mention) -> int:
    """First character of the words that stand right before a mention and are mentions themselves."""
    start = mention.start
    others = [m for m in parse.mentions if m.end <= start and m.label not in OPPOSITE]
    for before in reversed(others):
        if parse.text[before.end : start].strip(" -"):
            break
        start = before.start
    return start


def _asserted(text: str) -> str:
    """The text with every word of denial turned round."""
    for denial, statement in _ASSERTED:
        text = re.sub(denial, statement, text, flags=re.IGNORECASE)
    return re.sub(r"  +", " ", text)


def _capital(before: str, after: str) -> str:
    """Without marks, and with a capital where the sentence had one."""
    text = after.replace("\x00", "").strip()
    return text[:1].upper() + text[1:] if before[:1].isupper() else text
