"""What the answer to a question claims about the film. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chexphi.answers import clinical
from chexphi.graph.consistency import changes
from chexphi.graph.consistency.counting import UNBOUNDED, asked_count
from chexphi.graph.consistency.hypotheses import Claim, Hypothesis
from chexphi.graph.consistency.items import KINDS, ItemReader
from chexphi.graph.consistency.options import answer_text, yes_or_no
from chexphi.graph.consistency.question import Query, read_question
from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.records import Finding, Qualities
from chexphi.graph.findings.vocabulary import millimetres
from chexphi.graph.types import Extractor

NOTHING = re.compile(
    r"(?:none|nothing|no|neither|clear|not applicable|no change|unremarkable"
    r"|(?:there is )?nothing (?:abnormal|new)"
    r"|no (?:findings?|abnormalit(?:y|ies)|devices?|abnormal findings?)"
    r"|(?:a )?normal(?: (?:chest|film|study|radiograph|x-?ray|examination))*)",
    re.IGNORECASE,
)
"""Answers that there is nothing of what a question asks for."""
NOT_SEEN = re.compile(
    r"(?:it |there )?(?:is |are |was |were )?(?:not|can ?not be|can't be) "
    r"(?:seen|present|visible|there|identified)|absent|neither|none|nowhere|no",
    re.IGNORECASE,
)
"""Answers that what a question names is not there."""
_KIND = re.compile(r"\b(?:" + "|".join(sorted(KINDS)) + r")\b", re.IGNORECASE)
_BOTH_AND = re.compile(r"\bboth (?=(?:an?|the)\b.*\band\b)", re.IGNORECASE)
_FREE = re.compile(r"\b(?:normal|clear|unremarkable)\b", re.IGNORECASE)
_OR = re.compile(r"\bor\b", re.IGNORECASE)
_AT_LEAST = re.compile(r"\bat least\b", re.IGNORECASE)
_ITEMS, _COMMA = re.compile(r",|;|\band\b|\bwith\b", re.IGNORECASE), re.compile(r"[,;]")


def claim_of(question: str, answer: str, extractor: Extractor, ontology: Ontology) -> Claim:
    """What the answer to a question claims.

    Args:
        question: The question with its options.
        answer: The answer as text; several items have commas between them. A letter is looked up among the
            options.
        extractor: What reads both.
        ontology: Concepts and words.
    """
    query = read_question(question)
    items = ItemReader(extractor, ontology, query)
    return _AnswerReader(query, items, items.named_findings()).claim(answer_text(question, answer))


@dataclass(frozen=True, slots=True)
class _AnswerReader:
    query: Query
    items: ItemReader
    named_findings: Sequence[Finding]
    """The findings that the question names."""

    def claim(self, text: str) -> Claim:
        """What an answer without its letter claims."""
        query, findings = self.query, self.named_findings
        alternatives = frozenset(finding.concept for finding in findings)
        claim = Claim(query, words=text, location=self.items.list_location(), alternatives=alternatives)
        if query.statement is not None and (reply := self._reply(text)):
            return self._of_count(claim, reply[0]) if query.counted_noun else self._of_reply(claim, *reply)
        if query.counted_noun and (count := asked_count(text)) is not None:
            hypotheses = tuple(Hypothesis(frozenset({finding.concept})) for finding in findings[:1])
            return replace(claim, hypotheses=hypotheses, count=(count, count))
        if query.distance:
            return replace(claim, size_mm=millimetres(text.lower()))
        if query.options and NOTHING.fullmatch(text):
            findings = [f for option in query.options for f in self.items.read(f"There is {option}.")]
        elif query.lists and NOTHING.fullmatch(text) and not self.items.is_about(findings):
            return replace(claim, nothing=True)
        if findings and NOT_SEEN.fullmatch(text):
            return replace(claim, hypotheses=tuple(map(self._absent, findings)))
        hypotheses, rivals = tuple(self._of_items(text)), self._of_other_options(text)
        return replace(claim, hypotheses=hypotheses, rivals=rivals if hypotheses else ())

    def _of_other_options(self, text: str) -> tuple[tuple[Hypothesis, ...], ...]:
        """What each option but the answer claims."""
        other_options = [option for option in self.query.options if option.lower() != text.lower()]
        claims = [tuple(self._of_items(option)) for option in other_options]
        return tuple(hypotheses for hypotheses in claims if hypotheses)

    def _reply(self, text: str) -> tuple[str, str] | None:
        """`yes` or `no`, and what the answer says beside it."""
        if reply := yes_or_no(text):
            return reply
        if NOT_SEEN.fullmatch(text):
            return None
        phrases = {meaning.phrase for meaning in clinical.meanings(text)}
        return (phrases.pop(), "") if phrases in ({"yes"}, {"no"}) else None

    def _of_count(self, claim: Claim, word: str) -> Claim:
        """`Is there more than one?`, `Are at least eight visible?`"""
        count = asked_count(self.query.text) or 1
        lower = count if _AT_LEAST.search(self.query.text) else count + 1
        return replace(claim, count=(lower, UNBOUNDED), denied=word == "no")

    def _of_reply(self, claim: Claim, word: str, remainder: str) -> Claim:
        """What yes or no says of each finding in the question: no denies it."""
        denied, is_disjunction = word == "no", bool(_OR.search(self.query.text))
        hypotheses = self._of_statement(self.query.statement or "")
        if denied:  # neither of two, or not both
            hypotheses = [replace(hypothesis, present=not hypothesis.present) for hypothesis in hypotheses]
        elif remainder:
            hypotheses = [self._with_remainder(hypothesis, remainder) for hypothesis in hypotheses]
        return replace(
            claim,
            hypotheses=tuple(hypotheses),
            denied=denied,
            any_is_enough=is_disjunction != denied,
            words=self.query.statement or "",
        )

    def _of_statement(self, statement: str) -> list[Hypothesis]:
        """A question for yes or no as what yes claims."""
        findings = self.items.read(_BOTH_AND.sub("", statement))
        if not findings and self.query.changes and (kind := _KIND.search(statement)):
            findings = (Finding(kind[0].lower()),)
        if not findings and self.query.region and _FREE.search(statement):
            findings = (Finding("abnormality", present=False),)
        if len(findings) == 1 and not self.query.exists and self.items.says_more(statement, findings[0]):
            return []
        findings = tuple(map(self.items.of_structure, findings))
        hypotheses = [self.items.hypothesis(finding) for finding in findings]
        if len(hypotheses) == 1 and not self.query.exists:
            return [self.items.with_location(hypotheses[0], self.items.qualities(statement))]
        return hypotheses

    def _with_remainder(self, hypothesis: Hypothesis, remainder: str) -> Hypothesis:
        """`Yes, a small one on the right`: what is said beside the yes holds too."""
        own, added = hypothesis.qualities, self.items.qualities(remainder)
        qualities = replace(
            own,
            sides=added.sides or own.sides,
            zones=added.zones or own.zones,
            degree=added.degree if added.degree is not None else own.degree,
            size_mm=added.size_mm or own.size_mm,
        )
        return replace(hypothesis, qualities=qualities, location_is_asked=True)

    def _absent(self, finding: Finding) -> Hypothesis:
        """What a question names is not there, on the side that it names."""
        sides, zones = finding.qualities.sides, finding.qualities.zones
        is_device = self.items.is_device(finding)
        location = Qualities(
            sides=sides if len(sides) == 1 else frozenset(),
            zones=zones if len(zones) == 1 and not is_device else frozenset(),
        )
        if self.query.change:
            return Hypothesis(frozenset({finding.concept}), qualities=location, changes=changes.NEVER_THERE)
        return Hypothesis(frozenset({finding.concept}), present=False, qualities=location)

    def _of_items(self, text: str) -> list[Hypothesis]:
        """The items of a list, the places of a finding, or one item."""
        is_about_finding = self.items.is_about(self.named_findings)
        is_list = self.query.lists and not self.query.change and not is_about_finding
        if not is_list and not self.query.location:
            return self.items.hypotheses(text, self.named_findings)
        texts = [item.strip() for item in (_ITEMS if is_list else _COMMA).split(text)]
        return [
            hypothesis
            for item in texts
            if item
            for hypothesis in self.items.hypotheses(item, self.named_findings)
        ]
