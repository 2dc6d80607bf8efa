"""Relates sides, places and sizes that an extractor left alone to the finding that they are about.

`Stable right but increased left effusion`; `1.2 cm right and 8 mm left nodules`; `Haemothorax L, moderate`.
Every list is our choice: the ways of saying it that we know. Standard library only.
"""

from __future__ import annotations

import re

from chexphi.graph.findings.links import Links
from chexphi.graph.types import Parse

_FINDINGS = frozenset({"disorder_present", "disorder_notpresent", "devices_present", "devices_notpresent"})
_PRESENT = frozenset({"disorder_present", "devices_present"})
_SHARES_NOUN = frozenset({"and", "or", "but", "while", "but an", "but a", "and a", "and an"})
_ALTERNATIVES = frozenset(
    {"rather than", "instead of", "and not", "not", "more than", "over", "in preference to"}
)
_BROKEN = frozenset({"fracture", "fractured", "fractures", "discontinuity", "broken"})
_IS = frozenset({"", "is", "are", "appears", "appear", "has", "with", "with a", "which is", "is now"})
_JOINTS = frozenset({"", "and", "&"})
_PHRASE_END = re.compile(r"\s*(?:[.,;)\n]|$|\s(?:and|with|but|or)\b)", re.IGNORECASE)
_BRACKETS = re.compile(r"\([^()]*\)")
_LONGEST_LIST = 8
"""Mentions of a list of places, so that thousands of them take no longer each than a few."""


def relate_loose_places(links: Links, parse: Parse) -> None:
    """Add the relations to `links`.

    Args:
        links: Of the parse.
        parse: The text.
    """
    _Loose(links, parse).relate()


class _Loose:
    def __init__(self, links: Links, parse: Parse) -> None:
        self.links, self.text, self.mentions = links, parse.text, parse.mentions

    def relate(self) -> None:
        tails, located = self.links.tails, self.links.located
        previous_is_finding = False
        for index in range(len(self.mentions) - 1, -1, -1):
            label = self.mentions[index].label
            if label in _FINDINGS:
                if previous_is_finding:
                    self._share_with_next(index)
                if self.mentions[index].text in _BROKEN:
                    self._relate_to_device_before(index)
            elif label == "anatomy":
                if index not in located:
                    self._share_place(index)
            elif index not in tails and label in ("concept", "size"):
                self._relate_quality(index)
            previous_is_finding = label in _FINDINGS

    def _relate_quality(self, index: int) -> None:
        following = index + 1
        if self.mentions[index].label == "size":
            self._relate_size(index)
        elif not self._sides(index):
            return
        elif following < len(self.mentions) and self._is_quality_of_other_side(index, following):
            for tail in self.links.tails.get(following, ()):
                self.links.qualify(index, tail)
        else:
            self._relate_to_finding_before(index)

    def _is_quality_of_other_side(self, index: int, following: int) -> bool:
        """Whether two qualities share a noun: `stable right but increased left effusion`."""
        return (
            self.mentions[following].label == "concept"
            and self._between(following) in _SHARES_NOUN
            and bool(self._sides(following))
            and self._sides(following).isdisjoint(self._sides(index))
        )

    def _relate_size(self, index: int) -> None:
        """A size before the side of its finding or before a bracket: `2 cm right and 8 mm left nodules`."""
        following = index + 1
        if (
            following < len(self.mentions)
            and self.mentions[following].label == "concept"
            and not self._between(following)
        ):
            for tail in self.links.tails.get(following, ()):
                self.links.qualify(index, tail)
            return
        finding = self._next(following, _PRESENT)
        if finding is None:
            return
        text_between = self.text[self.mentions[index].end : self.mentions[finding].start]
        if "(" in text_between or ")" in text_between:
            unbracketed_text = _BRACKETS.sub("", text_between)
            if not unbracketed_text.strip(" )") or self._only_qualities(index, finding, unbracketed_text):
                self.links.qualify(index, finding)

    def _only_qualities(self, start: int, end: int, text_between: str) -> bool:
        words = " ".join(mention.text for mention in self.mentions[start + 1 : end])
        return set(text_between.lower().split()) <= set(words.split())

    def _relate_to_finding_before(self, index: int) -> None:
        """A side right after its finding, alone or with places: `shadowing R upper and mid zones`."""
        if not index or self.mentions[index - 1].label not in _FINDINGS or self._between(index):
            return
        end = index + 1
        while (
            end < min(len(self.mentions), index + _LONGEST_LIST)
            and self.mentions[end].label in ("concept", "anatomy")
            and self._between(end) in _JOINTS
            and end not in self.links.located
        ):
            end += 1
        if not _PHRASE_END.match(self.text, self.mentions[end - 1].end):
            return
        for at in range(index, end):
            self.links.attach(at, index - 1)

    def _share_place(self, index: int) -> None:
        """Relate a structure with a side to what lies in the next one, too: `RUL and LLL opacities`."""
        mentions, site = self.mentions, index + 1
        if site < len(mentions) and mentions[site].label == "concept" and self._between(site) == "and":
            site += 1
        if site >= len(mentions) or site not in self.links.located:
            return
        if site == index + 1 and self._between(site) != "and":
            return
        if self.links.sides_near(index) and self.links.sides_near(site):
            for sites in [sites for sites in self.links.sites.values() if site in sites]:
                sites.append(index)
            self.links.located.add(index)

    def _share_with_next(self, index: int) -> None:
        """A finding lies where its alternative lies: `atelectasis rather than pneumonia on the left`.

        Two with a stroke between them share all that is said of one: `left basal collapse/consolidation`.
        """
        alternative, joint = index + 1, self._between(index + 1)
        sites, sites_of_next = self.links.sites.get(index, ()), self.links.sites.get(alternative, ())
        if joint == "/" and sites and not sites_of_next:
            for at in (*sites, *self.links.qualifiers.get(index, ())):
                self.links.attach(at, alternative)
        elif not sites and (joint == "/" or joint in _ALTERNATIVES):
            for site in sites_of_next:
                if self.mentions[site].start > self.mentions[alternative].start:
                    self.links.locate(index, site)

    def _relate_to_device_before(self, index: int) -> None:
        """What is broken is the device before it, and no bone: `one lead is fractured`."""
        if index and self.mentions[index - 1].label == "devices_present" and self._between(index) in _IS:
            self.links.locate(index, index - 1)

    def _sides(self, index: int) -> frozenset[str]:
        return self.links.qualities(index).sides

    def _next(self, start: int, labels: frozenset[str]) -> int | None:
        positions = range(start, min(len(self.mentions), start + _LONGEST_LIST))
        return next((at for at in positions if self.mentions[at].label in labels), None)

    def _between(self, index: int) -> str:
        return self.text[self.mentions[index - 1].end : self.mentions[index].start].strip(" ,").lower()
