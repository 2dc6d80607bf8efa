"""Whether a device lies where it should. Standard library only."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from chexphi.graph.findings.concepts import Concept
from chexphi.graph.findings.statements import STOP
from chexphi.graph.findings.vocabulary import Vocabulary
from chexphi.graph.types import Mention

_WORD = re.compile(r"[^\W\d_][^\W_]*(?:[-/][^\W_]+)*")
_DEVICES = frozenset({"devices_present", "devices_notpresent"})
_TOKEN = re.compile(rf"{_WORD.pattern}|[,;:(]")
_NOT = frozenset({"no", "not", "without"})
_NOT_THERE = frozenset("not cannot never fails failed short isn doesn hasn".split())  # noqa: SIM905
"""Before a site: the device is not there."""
_DENIAL_END = frozenset({"but", "and", "although", "though", "instead", ",", ";", ":", "("})
_JUNCTION = re.compile(
    r"(?P<passed>\b(?:beyond|past|below|through|across|distal to|reach\w*) )?(?:the )?(?:level of the )?"
    r"\b(?:goj|gej|gastro-?o?esophageal junction|o?esophago-?gastric junction)\b",
    re.IGNORECASE,
)
"""Where the esophagus ends: a tube that passes it is in the stomach."""
_STOMACH, _ESOPHAGUS = "stomach", "esophagus"
_ABOVE_CARINA = re.compile(
    r"(\d+(?:\.\d+)?)\s*(mm|cm|millimeters?|centimeters?)\s+"
    r"(?:above|proximal to|superior to|cranial to|from)\s+(?:the\s+)?(?:level of\s+)?(?:the\s+)?carina",
    re.IGNORECASE,
)


_AT_CARINA = re.compile(
    r"\b(?:at|on|abut\w*|touch\w*|to|below|beyond|past|beneath)\s+"
    r"(?:the\s+)?(?:level of\s+)?(?:the\s+)?carina\b",
    re.IGNORECASE,
)
"""As near as this, a tube may slip into a bronchus."""
_OF_TIP = re.compile(
    r"\b(?:tips?|ends?|ending|terminat\w+|coil\w*|loop\w*)\b"
    r"[^.;]*?\b(?:in|into|within|inside|at|over|overlying|overlies)\s+((?:[\w-]+\s*){1,4})",
    re.IGNORECASE,
)
"""Where the tip of a device lies, beside where it enters."""


def position_of(concept: Concept, clause: str, vocabulary: Vocabulary) -> str | None:
    """`good` or `bad` by what a clause says: in so many words, by the place of the tip, or by its distance.

    >>> from chexphi.graph.findings.ontology import default_ontology
    >>> ontology = default_ontology()
    >>> tube = ontology.concepts["endotracheal_tube"]
    >>> position_of(tube, "ETT tip 5 cm above the carina", ontology.vocabulary)
    'good'
    """
    if _STOMACH in concept.good_sites:
        clause = _JUNCTION.sub(lambda at: f" {_STOMACH if at['passed'] else _ESOPHAGUS} ", clause)
    tokens = [word.lower() for word in _WORD.findall(clause)]
    said = [vocabulary.words(word) for previous, word in pairwise(["", *tokens]) if previous not in _NOT]
    forms = frozenset[str]().union(*said)
    if (position := vocabulary.qualities(forms).position) == "bad":
        return "bad"
    if concept.good_distance_mm and (distance := _ABOVE_CARINA.search(clause)):
        millimetres = float(distance[1]) * (10 if distance[2][0] in "cC" else 1)
        shortest, longest = concept.good_distance_mm
        return "good" if shortest <= millimetres <= longest else "bad"
    if concept.good_distance_mm and _AT_CARINA.search(clause):
        return "bad"
    if concept.bad_tip_sites and (tip := _OF_TIP.search(clause)):
        tip_words = vocabulary.words(" ".join(tip[1].lower().split()))
        if tip_words & concept.bad_tip_sites and not tip_words & concept.good_sites:
            return "bad"
    sites = concept.good_sites | concept.bad_sites
    named_sites = [(words & sites, denied) for words, denied in _with_denial(clause, vocabulary)]
    first_site = next((site for site, denied in named_sites if site and not denied), frozenset())
    if first_site & concept.bad_sites:
        return "bad"
    if not first_site and any(site & concept.good_sites for site, _ in named_sites):
        return "bad"
    return position or ("good" if first_site else None)


def _with_denial(clause: str, vocabulary: Vocabulary) -> Iterator[tuple[frozenset[str], bool]]:
    """The words of a clause, and whether it denies that the device is at them: `not in the stomach`."""
    is_denied = False
    for token in _TOKEN.findall(clause):
        word = token.lower()
        is_denied = word in _NOT_THERE or (is_denied and word not in _DENIAL_END)
        yield vocabulary.words(word), is_denied


class DeviceClauses:
    """What a text says of each of its devices.

    Args:
        text: All of it.
        mentions: All that it has.
    """

    def __init__(self, text: str, mentions: Sequence[Mention]) -> None:
        devices = [mention for mention in mentions if mention.label in _DEVICES]
        self._text = text
        self._starts, self._ends = sorted(d.start for d in devices), sorted(d.end for d in devices)

    def around(self, device: Mention) -> str:
        """The sentence around a device, up to the devices beside it."""
        following, preceding = (
            bisect_right(self._starts, device.start),
            bisect_right(self._ends, device.start),
        )
        limit = self._starts[following] if following < len(self._starts) else len(self._text)
        begin = self._ends[preceding - 1] if preceding else 0
        begin = max((stop.end() for stop in STOP.finditer(self._text, begin, device.start)), default=begin)
        stop = STOP.search(self._text, device.end, limit)
        return self._text[begin : stop.start() if stop else limit]
