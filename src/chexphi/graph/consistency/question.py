"""What a question asks for, and what its answer therefore claims. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from chexphi.answers import clinical
from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.findings.records import NO_QUALITIES, Finding, Qualities
from chexphi.graph.findings.vocabulary import millimetres
from chexphi.graph.types import Extractor

NOTHING = frozenset(
    {"none", "nothing", "no", "no finding", "no findings", "no abnormality", "no device", "no devices"}
    | {"normal", "nothing abnormal", "no change", "clear"}
)
"""Answers that there is nothing of what a question asks to list."""
NOT_SEEN = frozenset({"not seen", "not present", "absent", "not visible", "not there", "neither", "none"})
"""Answers that what a question names is not there."""
_OPTION = re.compile(r"(?:^|\s)\(?([A-Ha-h])[).:]\s*(.+?)(?=\s+\(?[A-Ha-h][).:]\s|[\n;]|$)")
_LETTER = re.compile(r"\(?([A-Ha-h])[).:]?")
_INVERSION = re.compile(
    r"\b(?:is|are|was|were|does|do|did|can|could|has|have|had)\b\s*(?:there|you|we|i|it)?\s*(?:see|be|any)?\s*",
    re.IGNORECASE,
)
_LISTING = re.compile(r"^\W*(?:[^,?]{0,60},\s*)?(?:what|which|name|list|describe)\b", re.IGNORECASE)
_REGION = re.compile(
    r"\b(?:box|(?:marked|highlighted|indicated|outlined) (?:region|area)|bounding box)\b", re.IGNORECASE
)
_DEVICES = re.compile(r"\b(?:device|tube|line)s?\b", re.IGNORECASE)
_OR, _ITEMS = re.compile(r"\bor\b", re.IGNORECASE), re.compile(r",|;|\band\b")
_NORMAL_OR = re.compile(r"\bnormal or (\w+)|\b(\w+) or normal\b", re.IGNORECASE)
_HOW_MANY = re.compile(r"\bhow many\b|\bnumber of\b", re.IGNORECASE)
_COUNT = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "single": 1, "solitary": 1}


@dataclass(frozen=True, slots=True)
class Claim:
    """What an answer claims: findings, of which all (or any one) must be as said."""

    hypotheses: tuple[Finding, ...] = ()
    denied: bool = False
    """The answer says that none of them is so."""
    any_is_enough: bool = False
    """The question joins them by `or`."""
    lists: Literal["device", "finding"] | None = None
    """What the question asks to list; without `hypotheses` the answer says that there is none."""
    change: str | None = None
    """The list has only what changed like this."""
    count: int | None = None
    """How many there are of the hypothesis."""
    in_region: bool = False
    """The question is about a marked region, which the reasoning has to name."""


def claim_of(question: str, answer: str, extractor: Extractor, ontology: Ontology) -> Claim | None:
    """What the answer to a question claims about the film; None where that cannot be read.

    Args:
        question: The question with its options.
        answer: The answer as text; several items have commas between them. A letter is looked up among the
            options.
        extractor: What reads both.
        ontology: Concepts and words.
    """
    reader = _Reader(extractor, ontology)
    answer_text = _option_text(question, answer.strip())
    in_region, asked_findings = bool(_REGION.search(question)), reader.asked(question)
    answer_words = answer_text.lower().strip(" .")
    lists: Literal["device", "finding"] | None = None
    change = _change_in(question)
    if _LISTING.search(question) and not _names_one(asked_findings):
        lists = "device" if _DEVICES.search(question) else "finding"
        if answer_words in NOTHING:
            return Claim(lists=lists, change=change, in_region=in_region)
    if answer_words in NOT_SEEN and asked_findings:
        return Claim((_absent(asked_findings[0]),), in_region=in_region)
    phrases = {meaning.phrase for meaning in clinical.meanings(answer_text)}
    if phrases in ({"yes"}, {"no"}):
        hypotheses = reader.read(_statement(question))
        either = bool(_OR.search(question))
        claim = Claim(hypotheses, denied="no" in phrases, any_is_enough=either, in_region=in_region)
        return claim if hypotheses else None
    if _HOW_MANY.search(question) and (count := _number(answer_text)) is not None:
        return Claim(tuple(asked_findings[:1]), count=count)
    items = (item.strip() for item in _ITEMS.split(answer_text))
    hypotheses = tuple(f for item in items if item for f in reader.hypotheses(question, asked_findings, item))
    return Claim(hypotheses, lists=lists, change=change, in_region=in_region) if hypotheses else None


@dataclass(frozen=True, slots=True)
class _Reader:
    extractor: Extractor
    ontology: Ontology

    def read(self, text: str) -> tuple[Finding, ...]:
        (parse,) = self.extractor.parse([text])
        return findings(parse, self.ontology)

    def asked(self, question: str) -> list[Finding]:
        """The findings that a question names."""
        return [replace(f, present=True, certain=True) for f in self.read(_without_mark(question))]

    def hypotheses(self, question: str, asked_findings: Sequence[Finding], item: str) -> list[Finding]:
        """What one item of an answer claims: findings by name, or qualities of what the question names."""
        if named_findings := self.read(f"There is {item}."):
            change = _change_in(question)
            return (
                [_with_change(finding, change) for finding in named_findings]
                if change
                else list(named_findings)
            )
        if _names_one(asked_findings) and (qualities := self._qualities(item)) != NO_QUALITIES:
            is_there = qualities.change != "resolved"
            return [
                replace(
                    asked_findings[0],
                    present=is_there,
                    qualities=_over(asked_findings[0].qualities, qualities),
                )
            ]
        subject = _subject(self.extractor, question)
        claims = list(self.read(f"The {subject} is {item}."))
        if alternative := _NORMAL_OR.search(question):
            opposites = self.read(f"The {subject} is {alternative[1] or alternative[2]}.")
            claims = [self._narrowed(finding, opposites) for finding in claims]
        return claims

    def _narrowed(self, denial: Finding, opposites: Sequence[Finding]) -> Finding:
        """`normal`, where the question is whether the heart is enlarged, denies that it is, and no more."""
        above = self.ontology.ancestors
        is_kind = (other for other in opposites if denial.concept in above.get(other.concept, ()))
        opposite = next(is_kind, denial)
        return denial if denial.present else replace(denial, concept=opposite.concept)

    def _qualities(self, item: str) -> Qualities:
        vocabulary = self.ontology.vocabulary
        return replace(
            vocabulary.qualities(vocabulary.words(item.lower())),
            time=None,
            position=None,
            size_mm=millimetres(item.lower()),
        )


def _names_one(asked_findings: Sequence[Finding]) -> bool:
    """Whether a question names a finding, and not only a kind of findings."""
    return bool(asked_findings) and asked_findings[0].concept != "device"


def _absent(finding: Finding) -> Finding:
    return replace(finding, present=False, qualities=replace(finding.qualities, change=None))


def _with_change(finding: Finding, change: str) -> Finding:
    """A finding that is new, or one that has resolved and is therefore absent."""
    return replace(finding, present=change != "resolved", qualities=replace(finding.qualities, change=change))


def _over(question_qualities: Qualities, answer_qualities: Qualities) -> Qualities:
    """The qualities of the question, where the answer does not say them; options of the question are gone."""
    return Qualities(
        sides=answer_qualities.sides
        or (question_qualities.sides if len(question_qualities.sides) == 1 else frozenset()),
        zones=answer_qualities.zones
        or (question_qualities.zones if len(question_qualities.zones) == 1 else frozenset()),
        degree=answer_qualities.degree,
        size_mm=answer_qualities.size_mm,
        change=answer_qualities.change,
    )


def _subject(extractor: Extractor, question: str) -> str:
    """The structure that a question is about: `the heart`."""
    (parse,) = extractor.parse([_without_mark(question)])
    return next((mention.text for mention in parse.mentions if mention.label == "anatomy"), "chest")


def _statement(question: str) -> str:
    """A yes-or-no question as a statement: `Is there an effusion?` is `an effusion.`"""
    stem = question.partition("?")[0]
    inversion = _INVERSION.search(stem)
    return f"{stem[inversion.end() :] if inversion else stem}."


def _without_mark(question: str) -> str:
    return f"{question.partition('?')[0]}."


def _change_in(question: str) -> str | None:
    if re.search(r"\bnew\b|\bnewly\b|\bappeared\b", question, re.IGNORECASE):
        return "new"
    return (
        "resolved"
        if re.search(r"\bresolved\b|\bdisappeared\b|\bcleared\b", question, re.IGNORECASE)
        else None
    )


def _option_text(question: str, answer: str) -> str:
    """The text of an option where the answer is its letter."""
    letter = _LETTER.fullmatch(answer)
    options = {name.lower(): text.strip() for name, text in _OPTION.findall(question.partition("?")[2])}
    return options.get(letter[1].lower(), answer) if letter else answer


def _number(text: str) -> int | None:
    if digits := re.search(r"\b\d{1,2}\b", text):
        return int(digits[0])
    return next((count for word, count in _COUNT.items() if re.search(rf"\b{word}\b", text.lower())), None)
