"""Texts that a policy might write to earn rewards without being right. Standard library only.

Each function makes one text from another. `chexphi rewards probe` measures what such a text earns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from chexphi.graph.claims import OPPOSITE
from chexphi.graph.lexicon.spans import term_lines
from chexphi.graph.text import sentence_spans
from chexphi.graph.types import Extractor, Mention, Parse

_SIDE = {"left": "right", "Left": "Right", "LEFT": "RIGHT", "LUL": "RUL", "LLL": "RLL"}
_OTHER_SIDE = _SIDE | {value: key for key, value in _SIDE.items()}
_SIDES = re.compile(rf"(?<![^\W_])({'|'.join(_OTHER_SIDE)})(?=(?:wards?)?(?![^\W_]))")

_OBSERVED = (
    "(?:seen|present|identified|visible|visuali[sz]ed|evident|noted|demonstrated|appreciated|detected|"
    "apparent|found|observed|shown)"
)
_ADVERB = r"(?:(?:clearly|definite?ly|definitively|readily|currently|now) )?"
_DISAPPEARED = "(?:resolved|cleared|disappeared|been (?:removed|pulled out|discontinued|excluded|ruled out))"
_ASSERTED: tuple[tuple[str, str], ...] = (
    (r"\bneither\b", ""),
    (r"\bnor\b", "and"),
    (r"\b(?:has|have|had) (?:completely |fully |entirely |since |now |also )?" + _DISAPPEARED, "persists"),
    (r"\b(is|are|was|were) (?:now )?(?:resolved|absent|gone|removed|excluded|ruled out)", r"\1 present"),
    (r"\bno longer\b", "still"),
    (r"\b(?:cannot|can not) be (" + _ADVERB + _OBSERVED + r")\b", r"is \1"),
    (r"\bhas not been (" + _OBSERVED + r")\b", r"is \1"),
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
"""Words of denial and their opposites, in the order they are tried; see `terms/cues.txt`."""
_ARTICLE = re.compile(r"\b(?:an?|the|some|any|another) $", re.IGNORECASE)
_DENIALS = ("no ", "no evidence of ")


def swap_sides(text: str) -> str:
    """Swap left and right, also in `left-sided` and `RUL`; doing it twice gives the text itself.

    >>> swap_sides("Left-sided effusion, bilateral opacities, nodule in the RUL.")
    'Right-sided effusion, bilateral opacities, nodule in the LUL.'
    """
    return _SIDES.sub(lambda side: _OTHER_SIDE[side[0]], text)


def every_finding(*, denied: bool) -> str:
    """A sentence for every finding and device of the lexicon."""
    opening = "No" if denied else "There is"
    return " ".join(f"{opening} {term}." for file in ("disorder", "devices") for term in term_lines(file))


def richest_sentence(text: str, extractor: Extractor) -> str:
    """The sentence of a text with the largest graph: alone it earns the largest part of the text's reward."""
    sentence_texts = [text[start:end] for start, end in sentence_spans(text)] or [text]
    graphs = extractor.extract(sentence_texts)
    sizes = [len(graph.entities) + len(graph.relations) for graph in graphs]
    return sentence_texts[sizes.index(max(sizes))]


def flip_polarity(text: str, extractor: Extractor) -> str:
    """Deny every finding and device that the text states, and state those that it denies.

    A sentence is rewritten in several ways. The result is the one in which the extractor reads most findings
    as the opposite and all else as before. A sentence without findings stays. The words are not always good
    English.

    >>> from chexphi.graph.open import open_extractor
    >>> flip_polarity("There is no nodule or edema. A catheter is seen.", open_extractor("lexicon"))
    'There is nodule and edema. No catheter is seen.'
    """
    text_pieces, end = [], 0
    for start, stop in sentence_spans(text):
        text_pieces += [text[end:start], _flip_sentence(text[start:stop], extractor)]
        end = stop
    return "".join([*text_pieces, text[end:]])


def flipped_share(parse: Parse, flipped_parse: Parse) -> tuple[int, int]:
    """How many findings and devices of a text have only the opposite polarity in its flipped text.

    Returns:
        (flipped, all): of distinct names with one polarity; those with both have no opposite.
    """
    polar_findings, flipped_entities = (
        _findings(parse),
        {mention.entity for mention in flipped_parse.mentions},
    )
    entities = {
        (text, label) for text, label in polar_findings if (text, OPPOSITE[label]) not in polar_findings
    }
    flipped_count = sum(
        (text, OPPOSITE[label]) in flipped_entities and (text, label) not in flipped_entities
        for text, label in entities
    )
    return flipped_count, len(entities)


def _findings(parse: Parse) -> set[tuple[str, str]]:
    return {mention.entity for mention in parse.mentions if mention.label in OPPOSITE}


def _flip_sentence(sentence: str, extractor: Extractor) -> str:
    (parse,) = extractor.parse([sentence])
    if not _findings(parse):
        return sentence
    forms = list(dict.fromkeys(_capital(sentence, form) for form in _rewritten(sentence, parse)))
    parses = extractor.parse(forms)
    scores = [
        (flipped_share(parse, flipped_parse)[0], *_similarity(parse, flipped_parse))
        for flipped_parse in parses
    ]
    return forms[scores.index(max(scores))]


def _similarity(parse: Parse, flipped_parse: Parse) -> tuple[bool, int]:
    """Whether the graph changed, and how much of it is as before: the more, the more the text earns."""
    graph, flipped_graph = parse.graph, flipped_parse.graph
    return flipped_graph != graph, len(graph.entities & flipped_graph.entities) + len(
        graph.relations & flipped_graph.relations
    )


def _rewritten(sentence: str, parse: Parse) -> Iterator[str]:
    """The sentence with denials asserted and statements denied; the last form has its findings alone."""
    for denial in _DENIALS:
        # the mark keeps the denials that are inserted here from being turned into assertions
        yield f"\x00{denial}".join(map(_asserted, _deny(parse, denial).split(f"\x00{denial}")))
    findings = [mention for mention in parse.mentions if mention.label in OPPOSITE]
    yield f"There is {', there is '.join(('no ' if _stated(m) else '') + m.text for m in findings)}."


def _deny(parse: Parse, denial: str) -> str:
    """Insert a denial, after a mark, before the noun phrase of every finding that is stated."""
    text = parse.text
    phrase_starts = {_phrase_start(parse, m) for m in parse.mentions if m.label in OPPOSITE and _stated(m)}
    for start in sorted(phrase_starts, reverse=True):
        article = _ARTICLE.search(text, 0, start)
        phrase = text[start:]
        if start == 0 and phrase[1:2].islower():
            phrase = phrase[:1].lower() + phrase[1:]
        text = text[: article.start() if article else start] + f"\x00{denial}" + phrase
    return text


def _stated(mention: Mention) -> bool:
    return not mention.label.endswith("notpresent")


def _phrase_start(parse: Parse, mention: Mention) -> int:
    """Where a mention's noun phrase starts: mentions directly before it belong to the phrase."""
    start = mention.start
    preceding_mentions = [m for m in parse.mentions if m.end <= start and m.label not in OPPOSITE]
    for preceding_mention in reversed(preceding_mentions):
        if parse.text[preceding_mention.end : start].strip(" -"):
            break
        start = preceding_mention.start
    return start


def _asserted(text: str) -> str:
    """The text with every word of denial replaced by its opposite."""
    for denial, statement in _ASSERTED:
        text = re.sub(denial, statement, text, flags=re.IGNORECASE)
    return re.sub(r"  +", " ", text)


def _capital(sentence: str, rewritten: str) -> str:
    """The rewritten sentence without marks, with a capital where the sentence had one."""
    text = rewritten.replace("\x00", "").strip()
    return text[:1].upper() + text[1:] if sentence[:1].isupper() else text
