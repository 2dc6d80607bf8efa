"""One item of an answer as hypotheses: a finding by name, or qualities of what the question names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chexphi.graph.consistency import changes
from chexphi.graph.consistency.hypotheses import Hypothesis
from chexphi.graph.consistency.places import location_of, structures_in, without_names_like_zones
from chexphi.graph.consistency.question import Query
from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.findings.records import NO_QUALITIES, Finding, Qualities
from chexphi.graph.findings.vocabulary import millimetres
from chexphi.graph.types import Extractor

KINDS = frozenset({"diagnosis", "disease", "pathology", "process", "condition", "finding", "findings"})
"""Names of kinds of findings, which no concept has."""
_CONSOLIDATED = re.compile(r"\bconsolidated\b", re.IGNORECASE)
"""A question may ask with an adjective that no extractor reads as a finding."""
_OR = re.compile(r"\bor\b", re.IGNORECASE)
_ABNORMAL = re.compile(r"\b(?:abnormal|affected|diseased)\b", re.IGNORECASE)
_OF_SIZE = re.compile(r"\b(?:size|big|large|enlarged)\b", re.IGNORECASE)
_NORMAL_OR = re.compile(r"\bnormal or (\w+)|\b(\w+) or normal\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_PLAIN_WORDS = frozenset(
    """
    the a an this that any of in on at to by with for from than since compared and or is are be been it its
    more seen visible present there noted evident identified shown film image radiograph position place side
    lung lobe zone chest patient mm cm still finding findings consistent evidence sign normal abnormal
    marked area region box study
    """.split()  # noqa: SIM905
)
_QUALIFIERS = re.compile(r"\b(?:first|second|prior|previous|current|last|earlier|recent)\b|\d+(?:\.\d+)?")
_SIZE_LIMIT = re.compile(
    r"\b(?:(?P<above>larger|bigger|greater|more|over|above|wider)|smaller|less|under|below) (?:than )?"
    r"(?P<size>\d+(?:\.\d+)?\s*(?:mm|cm))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ItemReader:
    """Reads items of an answer to one question."""

    extractor: Extractor
    ontology: Ontology
    query: Query

    def read(self, text: str) -> tuple[Finding, ...]:
        """The findings of a text."""
        (parse,) = self.extractor.parse([text])
        return findings(parse, self.ontology, with_former=True)

    def named_findings(self) -> list[Finding]:
        """The findings that the question names."""
        text = _CONSOLIDATED.sub("consolidation", f"{self.query.text}.")
        return [replace(finding, present=True, certain=True) for finding in self.read(text)]

    def is_about(self, named_findings: Sequence[Finding]) -> bool:
        """Whether the question is about a finding, and not about a kind of findings."""
        concepts = (
            (finding.concept, self.ontology.concepts.get(finding.concept)) for finding in named_findings
        )
        return any(not concept.family if concept else name not in KINDS for name, concept in concepts)

    def is_device(self, finding: Finding) -> bool:
        return "device" in self.ontology.ancestors.get(finding.concept, ())

    def hypotheses(self, item: str, named_findings: Sequence[Finding]) -> list[Hypothesis]:
        """What one item of an answer claims."""
        if item_findings := self.read(f"There is {item}."):
            accepted = self.query.changes or changes.asked_changes(item)
            return [
                self.with_location(self.hypothesis(finding, accepted), self.list_location())
                for finding in item_findings
            ]
        if self.is_about(named_findings) and (hypothesis := self._of_qualities(item, named_findings[0])):
            return [hypothesis]
        texts = [f"The {self._subject()} is {item}."]
        if _ABNORMAL.search(self.query.text):
            texts.append(f"The {item} is abnormal.")
        if subject_findings := next(filter(None, map(self.read, texts)), ()):
            return [self._of_subject(finding, item) for finding in subject_findings]
        location = self.qualities(item)
        if (self.query.location or self.query.region) and location != NO_QUALITIES:
            is_side = self.query.side
            return [
                Hypothesis(frozenset(), qualities=location, location_is_asked=True, side_is_asked=is_side)
            ]
        return []

    def hypothesis(self, finding: Finding, accepted: frozenset[str] | None = None) -> Hypothesis:
        """A finding as the question asks for it; `accepted` are changes, by default those of the question."""
        query, qualities, present = self.query, finding.qualities, finding.present
        accepted = query.changes if accepted is None else accepted
        if query.statement and accepted == {"decreased"}:
            accepted = accepted | {"resolved"}
        if limits := self._size_limits():
            qualities, accepted = replace(qualities, size_mm=None), frozenset()
        if query.on_prior:
            accepted, present = changes.ON_PRIOR_FILM, True
        if self.is_device(finding):
            qualities = replace(qualities, zones=frozenset())  # those of words such as `central`
        return Hypothesis(
            frozenset({finding.concept}) - KINDS,
            present or bool(accepted & changes.ABSENT_NOW),
            replace(qualities, change=None, time=None, count=None),
            accepted,
            location_is_asked=query.location or bool(query.statement and not query.exists),
            side_is_asked=query.side,
            degree_is_asked=query.degree,
            size_limits_mm=limits,
        )

    def of_structure(self, finding: Finding) -> Finding:
        """`Anything abnormal in the bones` is an abnormality of bones."""
        subject = self._subject()
        if finding.concept != "abnormality" or subject == "chest":
            return finding
        own_findings = self.read(f"The {subject} is abnormal.")
        return replace(own_findings[0], present=finding.present) if own_findings else finding

    def says_more(self, statement: str, finding: Finding) -> bool:
        """Whether a statement says of a finding what no finding holds: `the nodule malignant`."""
        if self.is_device(finding):
            return False  # where its tip lies takes many words
        concept, vocabulary = self.ontology.concepts.get(finding.concept), self.ontology.vocabulary
        terms = (*concept.terms, *concept.normal) if concept else ()
        known_words = frozenset[str]().union(*map(vocabulary.phrase, terms)) | _PLAIN_WORDS
        remainder = _QUALIFIERS.sub(" ", f"{statement[: finding.start]} {statement[finding.end :]}".lower())
        return any(
            not (forms := vocabulary.words(word)) & known_words
            and vocabulary.qualities(forms) == NO_QUALITIES
            for word in _WORD.findall(remainder)
        )

    def with_location(self, hypothesis: Hypothesis, location: Qualities) -> Hypothesis:
        """A hypothesis in the place that a question names, where it has none of its own."""
        qualities = hypothesis.qualities
        is_choice = _OR.search(self.query.text) and len(location.sides | location.zones) > 1
        if qualities.sides or qualities.zones or is_choice:
            return hypothesis
        return replace(hypothesis, qualities=replace(qualities, sides=location.sides, zones=location.zones))

    def list_location(self) -> Qualities:
        """Side and zone that a list is asked of: `on the left side`."""
        query = self.query
        if not query.lists or query.region or query.options or _OR.search(query.text):
            return NO_QUALITIES
        return location_of(self.qualities(query.text))

    def qualities(self, text: str) -> Qualities:
        """Side, zone, degree and size that a text names."""
        vocabulary, lowered = self.ontology.vocabulary, text.lower()
        words = vocabulary.words(" ".join(_WORD.findall(without_names_like_zones(lowered))))
        qualities = vocabulary.qualities(words)
        return Qualities(qualities.sides, qualities.zones, qualities.degree, millimetres(lowered))

    def _size_limits(self) -> tuple[float, float] | None:
        """`Is it larger than 1 cm?`"""
        limit = _SIZE_LIMIT.search(self.query.text) if self.query.statement else None
        size_mm = millimetres(limit["size"].lower()) if limit else None
        if not limit or not size_mm:
            return None
        return (size_mm, float("inf")) if limit["above"] else (0.0, size_mm)

    def _of_qualities(self, item: str, named_finding: Finding) -> Hypothesis | None:
        """A finding of the question with the qualities that an item gives it."""
        qualities, structures = self.qualities(item), structures_in(item)
        accepted = changes.asked_changes(item) if self.query.change or not structures else frozenset[str]()
        if qualities == NO_QUALITIES and not structures and not accepted:
            return None
        if structures and not qualities.zones:
            qualities = replace(qualities, sides=frozenset())  # of the structure, and not of the device
        sides = named_finding.qualities.sides
        if not qualities.sides and len(sides) == 1 and not self.query.side:
            qualities = replace(qualities, sides=sides)
        return Hypothesis(
            frozenset({named_finding.concept, *self._names_there(named_finding, item)}),
            qualities=qualities,
            changes=accepted,
            structures=structures,
            location_is_asked=True,
            side_is_asked=self.query.side and bool(qualities.sides),
            degree_is_asked=True,
        )

    def _names_there(self, named_finding: Finding, item: str) -> list[str]:
        """What a finding is called where an answer places it: a mass of the mediastinum."""
        if not self.query.location:
            return []
        name = self.query.text[named_finding.start : named_finding.end]
        return [finding.concept for finding in self.read(f"There is {name} in the {item}.")]

    def _of_subject(self, finding: Finding, item: str) -> Hypothesis:
        """What a structure is; `normal`, where it is asked whether it is enlarged, denies just that."""
        opposite_word = self._opposite_of_normal()
        if not finding.present and opposite_word:
            opposites = [other.concept for other in self.read(f"The {self._subject()} is {opposite_word}.")]
            kinds = (name for name in opposites if finding.concept in self.ontology.ancestors.get(name, ()))
            finding = replace(finding, concept=next(kinds, finding.concept))
        return self.hypothesis(finding, changes.asked_changes(item))

    def _opposite_of_normal(self) -> str | None:
        """`Normal or enlarged?`, or a question for a size."""
        if choice := _NORMAL_OR.search(self.query.text):
            return choice[1] or choice[2]
        return "enlarged" if _OF_SIZE.search(self.query.text) else None

    def _subject(self) -> str:
        """The structure that a question is about: `heart`."""
        (parse,) = self.extractor.parse([f"{self.query.text}."])
        return next((mention.text for mention in parse.mentions if mention.label == "anatomy"), "chest")
