"""Findings of a text, from the mentions and relations that any extractor gives. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from chexphi.graph.findings.concepts import Concept
from chexphi.graph.findings.device_parts import parts_of_devices
from chexphi.graph.findings.device_position import DeviceClauses, position_of
from chexphi.graph.findings.links import Links
from chexphi.graph.findings.loose_places import relate_loose_places
from chexphi.graph.findings.ontology import Naming, Ontology
from chexphi.graph.findings.records import EMPTY, Finding, Qualities, of_absent
from chexphi.graph.findings.settled import settled
from chexphi.graph.findings.side_statements import relate_statements
from chexphi.graph.findings.sides import told_apart
from chexphi.graph.findings.signs import as_their_sign, says_no_more, where_signs_lie
from chexphi.graph.findings.sizes import present_size
from chexphi.graph.findings.statements import DENIAL_BEFORE, Statements
from chexphi.graph.findings.unchanged import mark_unchanged
from chexphi.graph.types import Mention, Parse

_ABSENT = frozenset({"disorder_notpresent", "devices_notpresent"})
_CLAIMS = _ABSENT | {"disorder_present", "devices_present"}
"""Labels of what is a finding even if the ontology does not have it. An examination is not one."""
_STRUCTURES = frozenset({"anatomy", "concept"})
_DISORDERS = frozenset({"disorder_present", "disorder_notpresent"})
_PARTLY = frozenset(
    {"partially", "partial", "partly", "nearly", "near", "almost", "mostly", "largely", "incompletely"}
    | {"incomplete", "near-complete", "near-total"}
)
"""Beside `resolved`: what is left is smaller, and not gone."""


def findings(parse: Parse, ontology: Ontology, *, with_former: bool = False) -> tuple[Finding, ...]:
    """What a text claims and denies, in the order of the text.

    A finding, device or procedure is read with what qualifies it and where it lies. A structure is read with
    its qualities: `the heart is enlarged` is cardiomegaly, `the lungs are clear` denies what lungs can have.
    What is said of a former film alone is left out, unless `with_former`.
    """
    read_findings = _Reader(parse, ontology).findings()
    return settled(read_findings, parse.text, ontology.vocabulary, with_former=with_former)


class _Details(NamedTuple):
    """A finding while it is read: indices of mentions, and words."""

    mention_index: int
    own_words: frozenset[str]
    """Of the mention and of what qualifies it."""
    all_words: frozenset[str]
    """Those, and the words of where it lies."""
    qualifiers: Sequence[int]
    sites: Sequence[int]
    sides: frozenset[str] = EMPTY
    """The one that the text tells apart from the other."""


class _Reader:
    """The mentions of one text with what qualifies each."""

    def __init__(self, parse: Parse, ontology: Ontology) -> None:
        self._parse, self.ontology = parse, ontology
        self.text, self.mentions = parse.text, parse.mentions
        self.links = Links(parse, ontology.vocabulary)
        relate_loose_places(self.links, parse)
        relate_statements(self.links, parse)
        mark_unchanged(self.links, parse)
        self.words = self.links.words
        self.statements = Statements(parse.text)
        self.device_clauses = DeviceClauses(parse.text, parse.mentions)

    def findings(self) -> Iterable[Finding]:
        by_mention: dict[int, list[Finding]] = {}
        for index, mention in enumerate(self.mentions):
            if self._is_part_of_another(index, mention):
                continue
            if mention_findings := list(self._findings_at(index)):
                by_mention[index] = mention_findings
        replaced_signs = set()
        for sign, disorder in self.links.inferences:
            if sign in by_mention and disorder in by_mention:
                of_sign = by_mention[sign]
                by_mention[disorder] = as_their_sign(by_mention[disorder], of_sign)
                if says_no_more(of_sign[0], by_mention[disorder][0], self.ontology):
                    replaced_signs.add(sign)
        where_signs_lie(by_mention, self._parse, self.ontology)
        device_parts = parts_of_devices(by_mention, self._parse, self.links, self.statements, self.ontology)
        return (
            finding
            for index, mention_findings in by_mention.items()
            if index not in replaced_signs and index not in device_parts
            for finding in mention_findings
        )

    def _is_part_of_another(self, index: int, mention: Mention) -> bool:
        """Whether a mention is read with what it qualifies, or has nothing that makes it a finding."""
        if mention.label == "anatomy" and index not in self.links.qualifiers:
            return not self._is_finding_by_itself(index)
        return mention.label == "size" or (mention.label == "concept" and index in self.links.qualifying)

    def _is_finding_by_itself(self, index: int) -> bool:
        """Whether a structure is one that not all have, as in `an azygos lobe is seen`, and is not denied.

        No label says that a structure is absent. So only `no` before it is read, and else it must not stand
        in a sentence that denies something.
        """
        naming = self.ontology.find(self.words[index], self.words[index], self.words[index])
        if naming is None or naming.denies or len(naming.term) == 1 or index in self.links.located:
            return False
        start = self.mentions[index].start
        return not self.statements.is_negative(start) or bool(
            DENIAL_BEFORE.search(self.text, max(0, start - 30), start)
        )

    def _findings_at(self, index: int) -> Iterator[Finding]:
        """The findings of a mention: one of each side where the text tells both apart."""
        qualifiers = self._with_theirs(self.links.qualifiers, self.links.qualifiers.get(index, ()))
        mention = self.mentions[index]
        if mention.label not in _STRUCTURES:
            qualifiers = [at for at in qualifiers if at not in self.links.denied]
        sites = self._with_theirs(self.links.sites, self.links.sites.get(index, ()))
        places = self._with_qualifiers(sites) if sites else []
        details = self._details(index, qualifiers, places, sites)
        phrase = (*qualifiers, *places)
        if len(phrase) > 1 and len(self.ontology.vocabulary.qualities(details.all_words).sides) > 1:
            sides = told_apart(self._parse, self.words, phrase, index, self.ontology.vocabulary)
            for side in sides:
                own, own_places = (
                    [at for at in group if at not in side.of_other_side] for group in (qualifiers, places)
                )
                own_details = self._details(index, own, own_places, sites)
                yield from self._named(own_details._replace(sides=side.sides))
            if sides:
                return
        if len(sites) > 1 and self._names_regions(details):
            for site in self.links.sites[index]:
                region_details = self._details(index, qualifiers, self._with_qualifiers([site]), [site])
                yield from self._named(region_details)
            return
        yield from self._named(details)

    def _names_regions(self, details: _Details) -> bool:
        """Whether each place makes another finding: `no abnormality of the heart, lungs or mediastinum`."""
        mention = self.mentions[details.mention_index]
        if mention.label not in _DISORDERS or any(at < details.mention_index for at in details.sites):
            return False
        words = details.own_words
        naming = self.ontology.find(self.words[details.mention_index], words, words)
        return naming is not None and self.ontology.is_family(naming.concept)

    def _details(
        self, index: int, qualifiers: Sequence[int], places: Sequence[int], sites: Sequence[int]
    ) -> _Details:
        own_words = self._words_of((index, *qualifiers))
        all_words = own_words | self._words_of(places) if places else own_words
        return _Details(index, own_words, all_words, qualifiers, sites)

    def _named(self, details: _Details) -> Iterator[Finding]:
        """The finding of a mention; of a structure, each that its qualities name."""
        mention, head_words = self.mentions[details.mention_index], self.words[details.mention_index]
        is_structure = mention.label in _STRUCTURES
        own_words = details.own_words
        naming = self.ontology.find(head_words, own_words, own_words if is_structure else details.all_words)
        if naming is None and mention.label in _CLAIMS and details.mention_index not in self.links.qualifying:
            naming = Naming(mention.text, denies=False)
        spare_words = own_words
        while naming is not None:
            yield self._finding(details, naming)
            spare_words -= naming.term - head_words
            naming = self.ontology.find(head_words, spare_words, spare_words) if is_structure else None
            if naming is not None and naming.term <= head_words:
                return

    def _finding(self, details: _Details, naming: Naming) -> Finding:
        mention, denied = self.mentions[details.mention_index], self.links.denied
        qualities = self._qualities(details, naming)
        if details.sides:
            qualities = replace(qualities, sides=details.sides)
        is_resolved = qualities.change == "resolved"
        if is_resolved and not details.own_words.isdisjoint(_PARTLY):
            is_resolved, qualities = False, replace(qualities, change="decreased")
        is_absent = (
            mention.label in _ABSENT
            or (mention.denied and mention.uncertain)
            or is_resolved
            or details.mention_index in denied
            or self._follows_denial(details, naming)
            or any(at in denied and not self.words[at].isdisjoint(naming.term) for at in details.qualifiers)
        )
        is_doubtful = mention.uncertain or not details.own_words.isdisjoint(self.ontology.vocabulary.doubt)
        is_present = is_absent == naming.denies
        if not is_present and (qualities.change or len(qualities.sides) > 1):
            words_before = self._words_of([at for at in details.qualifiers if at < details.mention_index])
            qualities = of_absent(qualities, self.ontology.vocabulary.qualities(words_before).change)
        return Finding(naming.concept, is_present, not is_doubtful, qualities, mention.start, mention.end)

    def _follows_denial(self, details: _Details, naming: Naming) -> bool:
        """Whether `no` stands before a structure or an operation: no label says that one is absent.

        The same for a word as in `no flattened diaphragm`.
        """
        mention = self.mentions[details.mention_index]
        if naming.denies or (mention.label in _CLAIMS and not mention.text.endswith(("ed", "ic"))):
            return False
        phrase = (details.mention_index, *details.qualifiers, *self._with_qualifiers(details.sites))
        start = min(self.mentions[at].start for at in phrase)
        return bool(DENIAL_BEFORE.search(self.text, max(0, start - 30), start))

    def _with_theirs(self, links: dict[int, list[int]], indices: Sequence[int]) -> Sequence[int]:
        """Mentions and what is linked to them: `normal` of `size` of `heart`, the vein of the tube's tip."""
        further = [at for index in indices for at in links.get(index, ()) if at not in indices]
        return [*indices, *further] if further else indices

    def _with_qualifiers(self, sites: Sequence[int]) -> list[int]:
        return [*sites, *(at for site in sites for at in self.links.qualifiers.get(site, ()))]

    def _words_of(self, indices: Sequence[int]) -> frozenset[str]:
        if len(indices) == 1:
            return self.words[indices[0]]
        return EMPTY.union(*[self.words[index] for index in indices])

    def _qualities(self, details: _Details, naming: Naming) -> Qualities:
        vocabulary = self.ontology.vocabulary
        own_words, all_words = details.own_words, details.all_words
        own_qualities = vocabulary.qualities(own_words - naming.amounts if naming.amounts else own_words)
        with_sites = own_qualities if all_words is own_words else vocabulary.qualities(all_words)
        zones = EMPTY if naming.concept in self.ontology.unzoned else with_sites.zones
        concept = self.ontology.concepts.get(naming.concept)
        if concept and concept.malpositioned:
            clause = self.device_clauses.around(self.mentions[details.mention_index])
            position = position_of(concept, clause, vocabulary)
            sides = own_qualities.sides or self._sides_beside_targets(details.sites, concept)
            return replace(own_qualities, sides=sides, zones=zones, position=position)
        sizes = [self.mentions[at] for at in details.qualifiers if self.mentions[at].label == "size"]
        size, of_sizes = present_size(self.text, sizes) if sizes else (None, None)
        if own_qualities is with_sites and zones is own_qualities.zones and not (size or zones):
            return own_qualities if not own_qualities.position else replace(own_qualities, position=None)
        change = own_qualities.change or of_sizes
        return replace(
            own_qualities, sides=with_sites.sides, zones=zones, size_mm=size, change=change, position=None
        )

    def _sides_beside_targets(self, sites: Sequence[int], concept: Concept) -> frozenset[str]:
        """Sides of a device by where it lies; not of the right atrium, where any line may end."""
        entries = [site for site in sites if self.words[site].isdisjoint(concept.good_sites)]
        return self.ontology.vocabulary.qualities(self._words_of(self._with_qualifiers(entries))).sides
