"""Findings of a text, from the mentions and relations that any extractor gives. Standard library only."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from chexphi.graph.findings.device_position import position_of
from chexphi.graph.findings.ontology import Ontology
from chexphi.graph.findings.records import EMPTY, Finding, Qualities
from chexphi.graph.findings.vocabulary import millimetres
from chexphi.graph.types import Mention, Parse

_ABSENT = frozenset({"disorder_notpresent", "devices_notpresent"})
_NAMED_BY_THEMSELVES = _ABSENT | {"disorder_present", "devices_present"}
"""Labels of what is a finding even if the ontology does not have it. An examination is not one."""
_DEVICES = frozenset({"devices_present", "devices_notpresent"})
_STOP = re.compile(r"[.;](?!\d)|\n")
"""The end of a statement."""


def findings(parse: Parse, ontology: Ontology) -> tuple[Finding, ...]:
    """What a text claims and denies, in the order of the text.

    A finding, device or procedure is read with what qualifies it and where it lies. A structure is read with
    its qualities: `the heart is enlarged` is cardiomegaly, `the lungs are clear` denies what lungs can have.
    """
    return tuple(_Reader(parse, ontology).findings())


class _Reader:
    """The mentions of one text with what qualifies each."""

    def __init__(self, parse: Parse, ontology: Ontology) -> None:
        self.text, self.mentions, self.ontology = parse.text, parse.mentions, ontology
        self.qualifiers: defaultdict[int, list[int]] = defaultdict(list)
        self.places: defaultdict[int, list[int]] = defaultdict(list)
        self.inferences: list[tuple[int, int]] = []
        self.qualifying: set[int] = set()
        for head, kind, tail in parse.edges:
            if kind == "modify":
                self.qualifiers[tail].append(head)
                if parse.mentions[tail].label != "concept":
                    self.qualifying.add(head)
            elif kind == "located_at":
                self.places[head].append(tail)
            else:
                self.inferences.append((head, tail))
        self.words = [ontology.vocabulary.words(mention.text) for mention in parse.mentions]

    def findings(self) -> Iterator[Finding]:
        found: dict[int, Finding] = {}
        for index, mention in enumerate(self.mentions):
            if self._is_part_of_another(index, mention):
                continue
            if (finding := self._finding(index, mention)) is not None:
                found[index] = finding
        for sign, disorder in self.inferences:
            if sign in found and disorder in found:
                found[disorder] = _at_place_of(found[disorder], found[sign])
        return iter(found.values())

    def _is_part_of_another(self, index: int, mention: Mention) -> bool:
        """Whether a mention is read with what it qualifies, or has nothing that makes it a finding."""
        if mention.label == "anatomy":
            return index not in self.qualifiers
        return mention.label == "size" or (mention.label == "concept" and index in self.qualifying)

    def _finding(self, index: int, mention: Mention) -> Finding | None:
        qualifiers = self._with_own_qualifiers(self.qualifiers.get(index, ()))
        places = self._with_places(self.places.get(index, ()))
        place_qualifiers = [own for place in places for own in self.qualifiers.get(place, ())]
        own_words = self._words_of((index, *qualifiers))
        all_words = own_words | self._words_of(places) | self._words_of(place_qualifiers)
        is_structure = mention.label in ("anatomy", "concept")
        named = self.ontology.find(self.words[index], own_words, own_words if is_structure else all_words)
        if named is None and mention.label not in _NAMED_BY_THEMSELVES:
            return None
        concept, denied = named or (_own_name(self.words[index], mention), False)
        absent = mention.label in _ABSENT or any(self.mentions[at].denied for at in (index, *qualifiers))
        qualities = self._qualities(index, concept, own_words, all_words, qualifiers)
        doubtful = mention.uncertain or not own_words.isdisjoint(self.ontology.vocabulary.doubt)
        return Finding(concept, absent == denied, not doubtful, qualities, mention.start, mention.end)

    def _with_own_qualifiers(self, indices: Sequence[int]) -> list[int]:
        """Qualifiers, and what qualifies them: `normal` of `size` of `heart`."""
        return [
            *indices,
            *(own for index in indices for own in self.qualifiers.get(index, ()) if own not in indices),
        ]

    def _with_places(self, indices: Sequence[int]) -> list[int]:
        """Places, and where those lie: the tube at its tip, the tip in the vein."""
        return [
            *indices,
            *(place for index in indices for place in self.places.get(index, ()) if place not in indices),
        ]

    def _words_of(self, indices: Sequence[int]) -> frozenset[str]:
        return EMPTY.union(*[self.words[index] for index in indices])

    def _qualities(
        self,
        index: int,
        name: str,
        own_words: frozenset[str],
        all_words: frozenset[str],
        qualifiers: Sequence[int],
    ) -> Qualities:
        vocabulary = self.ontology.vocabulary
        own, everywhere = vocabulary.qualities(own_words), vocabulary.qualities(all_words)
        concept = self.ontology.concepts.get(name)
        if concept and concept.malpositioned:
            size, position = None, position_of(concept, self._clause(index), vocabulary)
        else:
            sizes = (self.mentions[at].text for at in qualifiers if self.mentions[at].label == "size")
            size, position = max((millimetres(text) or 0 for text in sizes), default=0) or None, None
        return replace(own, sides=everywhere.sides, zones=everywhere.zones, size_mm=size, position=position)

    def _clause(self, index: int) -> str:
        """The sentence around a device, up to the devices beside it."""
        here = self.mentions[index]
        others = [mention for mention in self.mentions if mention.label in _DEVICES and mention is not here]
        after = min((other.start for other in others if other.start > here.start), default=len(self.text))
        before = max((other.end for other in others if other.end <= here.start), default=0)
        begin = max((end.end() for end in _STOP.finditer(self.text, before, here.start)), default=before)
        stop = _STOP.search(self.text, here.end, after)
        return self.text[begin : stop.start() if stop else after]


def _at_place_of(finding: Finding, sign: Finding) -> Finding:
    """What a sign stands for lies where the sign lies, unless the text says otherwise."""
    own, of_sign = finding.qualities, sign.qualities
    if own.sides or own.zones or not (of_sign.sides or of_sign.zones):
        return finding
    return replace(finding, qualities=replace(own, sides=of_sign.sides, zones=of_sign.zones))


def _own_name(words: frozenset[str], mention: Mention) -> str:
    return mention.text
