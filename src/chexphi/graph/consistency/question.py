"""What a question asks for. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from chexphi.graph.consistency import changes
from chexphi.graph.consistency.options import options_of, without_options

_LISTING = re.compile(
    r"^\W*(?:[^,?]{0,60},\s*)?(?:what|which|name|list|describe|identify|give)\b", re.IGNORECASE
)
_ATTRIBUTE = re.compile(
    r"^\W*what (?:is|was) the (?:\w+ )?(?:size|severity|degree|extent|position|location|side|zone|lobe)\b",
    re.IGNORECASE,
)
_ALL = re.compile(
    r"^\W*(?:[^,?]{0,60},\s*)?(?:"
    r"(?:what|which|name|list|describe|identify|give) (?:are )?(?:all )?(?:the )?(?:\w+ )?"
    r"(?:findings|devices|abnormalities|lines|tubes|diseases)\b(?! (?:explain|account))"
    r"|what (?:is|has) (?:new|resolved)\b|what (?:findings?|devices?) (?:is|are|has|have)\b)|\ball\b",
    re.IGNORECASE,
)
_DEVICES = re.compile(r"\b(?:device|tube|line|catheter|hardware)s?\b", re.IGNORECASE)
_YES_NO = re.compile(
    r"^\W*(?:[^,?]{0,60},\s*)?(?P<verb>is|are|was|were|does|do|did|can|could|has|have|had)\b\s*"
    r"(?:(?:there|you|we|i|it|this)\b\s*)?"
    r"(?:(?:the |this )?(?:film|image|radiograph|x-ray|patient) (?=show|have|contain|demonstrate|reveal))?"
    r"(?:(?:see|be|any|show|have|contain|demonstrate|reveal)\b\s*)*",
    re.IGNORECASE,
)
_WHICH_LUNG = (
    r"\b(?:which|what) (?:lung|hemithorax|hemidiaphragm)s?"
    r"(?=\W{0,3}$| (?:is|are|was|contain|show|has|have|do|hold))"
)
_ANY = r"[^?]{0,60}?"
_LOCATION = re.compile(
    rf"\bwhere\b|\b(?:which|what) (?:lung )?(?:side|zone|lobe|field|location|part)s?\b|{_WHICH_LUNG}"
    rf"|\b(?:upper|mid|lower|left|right)\b{_ANY}\bor\b|\blocated\b",
    re.IGNORECASE,
)
_SIDE = re.compile(
    rf"\b(?:which|what) sides?\b|{_WHICH_LUNG}|\bleft\b{_ANY}\bor\b{_ANY}\b(?:right|both)\b"
    rf"|\bright\b{_ANY}\bor\b{_ANY}\b(?:left|both)\b",
    re.IGNORECASE,
)
_COMPARES = re.compile(
    r"\b(?:larger|bigger|greater|smaller|more|worse|most|largest|dominant)\b", re.IGNORECASE
)
_DEGREE = re.compile(
    rf"\bsever\w+\b|\bextensive\b|\bdegree\b|\bextent\b|\b(?:small|mild|moderate)\b{_ANY}\bor\b", re.I
)
_CHANGE = re.compile(
    rf"\bhow (?:has|have|did|is|are)\b{_ANY}\b(?:chang|evolv|develop|progress|compare)"
    rf"|\b(?:new|resolved|unchanged|stable|better|larger)\b{_ANY}\bor\b|\bchange in\b|\bwhat happened to\b"
    rf"|\bcompar(?:ed|ing) (?:to|with)\b{_ANY}\b(?:is|are|has|have)$",
    re.IGNORECASE,
)
_ON_PRIOR = re.compile(r"\bon the (?:prior|previous|earlier|first|old) \w+\W{0,3}$", re.IGNORECASE)
_COUNTED = re.compile(
    r"\b(?:how many|number of|more than (?:one|\d+)|at least (?:two|\d+))\s+(?P<noun>[\w -]{1,60}?)"
    r"(?=\W{0,3}$|\s+(?:are|is|do|does|can|could|has|have|in|on|of|visible|seen|present|there|you)\b)",
    re.IGNORECASE,
)
_EXISTS = re.compile(
    r"\bthere\b|\bany\b|^\W*(?:does|do|can|could)\b|\b(?:an?)\b (?!\w+ position)", re.IGNORECASE
)
_REGION = re.compile(
    r"\bbox\b|\b(?:marked|highlighted|indicated|outlined|boxed) (?:region|area|part)\b"
    r"|\b(?:the|this) region\b",
    re.IGNORECASE,
)
_LIKELY = re.compile(r"\b(?:likely|probable|suspected|suspicious|possible|may|might|could)\b", re.IGNORECASE)
_DISTANCE = re.compile(r"\bhow far\b|\bdistance\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Query:
    """What a question asks for, read from its words."""

    text: str
    """The question without its options and its mark."""
    options: tuple[str, ...] = ()
    lists: Literal["device", "finding"] | None = None
    """It asks for findings, or for devices."""
    asks_all: bool = False
    """It asks for all of them."""
    statement: str | None = None
    """A question for yes or no as a statement: `an effusion.`"""
    exists: bool = False
    """It asks whether there is a finding, and does not take for granted that there is."""
    location: bool = False
    """It asks where a finding is."""
    side: bool = False
    """It asks for the side alone."""
    compares: bool = False
    """It asks on which of both sides there is more."""
    degree: bool = False
    change: bool = False
    """It asks how a finding changed."""
    changes: frozenset[str] = frozenset()
    """It asks for what changed like this."""
    on_prior: bool = False
    """It asks what the prior film shows."""
    counted_noun: str = ""
    """What is counted: `rib fractures`."""
    distance: bool = False
    """It asks how far a tip is from something."""
    doubtful: bool = False
    """It asks for what is likely, so that doubt is an answer."""
    region: bool = False
    """It is about a marked region."""


def read_question(question: str) -> Query:
    """What a question asks for.

    >>> read_question("How many nodules are there?").counted_noun
    'nodules'
    """
    options = tuple(options_of(question).values())
    text = without_options(question).partition("?")[0].strip()
    yes_no, count = _YES_NO.match(text), _COUNTED.search(text)
    change = bool(_CHANGE.search(text))
    is_list = bool(_LISTING.search(text)) and not (
        yes_no or _ATTRIBUTE.search(text) or _LOCATION.search(text)
    )
    return Query(
        text,
        options,
        lists=("device" if _DEVICES.search(text) else "finding") if is_list else None,
        asks_all=is_list and bool(_ALL.search(text)),
        statement=f"{text[yes_no.end() :]}." if yes_no else None,
        exists=bool(yes_no and _EXISTS.search(text)),
        location=bool(_LOCATION.search(text)),
        side=bool(_SIDE.search(text)),
        compares=bool(_SIDE.search(text) and _COMPARES.search(text)),
        degree=bool(_DEGREE.search(text)),
        change=change,
        changes=frozenset() if change else changes.asked_changes(text),
        on_prior=bool(_ON_PRIOR.search(text)),
        counted_noun=count["noun"].strip() if count else "",
        distance=bool(_DISTANCE.search(text)),
        doubtful=bool(_LIKELY.search(text)),
        region=bool(_REGION.search(text)),
    )
