"""Relates the parts of a statement that speak of one side: a label and its value, a clause of the other side.

`Right lung: consolidation`; `Pneumothorax: left, small`; `the right effusion is larger while the left is
stable`.
Every list is our choice: the ways of saying it that we know. Standard library only.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from operator import attrgetter

from chexphi.graph.findings.links import Links
from chexphi.graph.types import Parse

_FINDINGS = frozenset({"disorder_present", "disorder_notpresent", "devices_present", "devices_notpresent"})
_PRESENT = frozenset({"disorder_present", "devices_present"})
_CLAUSE = re.compile(r"\b(?:while|whereas|but|although|though)\b|;")
"""Starts a clause that may speak of the other side of the finding before it."""
_CLAUSE_END = re.compile(r"[.;](?!\d)|\n|\b(?:while|whereas|but|although|though)\b")
_STATEMENT_START = re.compile(r"[.;](?!\d)|\n")
_REGION_WORDS = frozenset({"lobe", "lobes", "zone", "zones", "lung", "lungs", "side"})
"""Structures that a clause may name beside a side and a change."""
_LONGEST_LABEL, _LONGEST_VALUE = 80, 400
"""Characters."""
_LONGEST_LIST = 8
"""Mentions of a value, so that thousands of them take no longer each than a few."""
_start = attrgetter("start")


def relate_statements(links: Links, parse: Parse) -> None:
    """Add the relations to `links`.

    Args:
        links: Of the parse.
        parse: The text.
    """
    statements = _Statements(links, parse)
    if ":" in parse.text:
        statements.relate_labels()
    text = parse.text
    if ";" in text or " but " in text or "while " in text or "though " in text or "whereas " in text:
        statements.relate_clauses()


class _Statements:
    def __init__(self, links: Links, parse: Parse) -> None:
        self.links, self.text, self.mentions = links, parse.text, parse.mentions

    def relate_clauses(self) -> None:
        for clause in _CLAUSE.finditer(self.text):
            self._relate_clause(clause.end())

    def relate_labels(self) -> None:
        """A place or a finding as label: `Right lung: consolidation`, `Effusion: left`."""
        at = 0
        while (colon := self.text.find(":", at)) >= 0:
            at = colon + 1
            earliest = max(0, colon - _LONGEST_LABEL)
            stops = _STATEMENT_START.finditer(self.text, earliest, colon)
            start = max((stop.end() for stop in stops), default=earliest)
            end_of_value = _STATEMENT_START.search(self.text, colon, colon + _LONGEST_VALUE)
            end = end_of_value.start() if end_of_value else colon + _LONGEST_VALUE
            label, value = self._within(start, colon), self._within(colon, end)
            if label and value:
                self._relate_label(label, value)

    def _relate_label(self, label: Sequence[int], value: Sequence[int]) -> None:
        label_findings = [at for at in label if self.mentions[at].label in _FINDINGS]
        value_findings = [at for at in value if self.mentions[at].label in _FINDINGS]
        if label_findings and not value_findings:
            for at in value[:_LONGEST_LIST]:
                if at not in self.links.located and (self._tells(at) or self.mentions[at].label == "size"):
                    self.links.attach(at, label_findings[-1])
        elif value_findings and all(self.mentions[at].label in ("anatomy", "concept") for at in label):
            if len(frozenset().union(*map(self._sides, label))) != 1:
                return
            for finding in value_findings:
                for at in label if not self.links.sides_near(finding) else ():
                    self.links.attach(at, finding)

    def _relate_clause(self, start: int) -> None:
        """A clause without a finding that speaks of the other side of the finding before it."""
        stop = _CLAUSE_END.search(self.text, start)
        end = stop.start() if stop else len(self.text)
        clause = self._within(start, end)
        if not clause or any(not self._tells(at) and self.mentions[at].label != "size" for at in clause):
            return
        sides = frozenset().union(*map(self._sides, clause))
        finding = self._finding_of_other_side(clause[0], sides) if len(sides) == 1 else None
        if finding is None or not any(self._tells_more(at) for at in clause):
            return
        for at in clause:
            if finding not in self.links.tails.get(at, ()):
                self.links.attach(at, finding)

    def _finding_of_other_side(self, clause_start: int, sides: frozenset[str]) -> int | None:
        for at in range(clause_start - 1, max(-1, clause_start - 1 - _LONGEST_LIST), -1):
            if "." in self.text[self.mentions[at].end : self.mentions[clause_start].start]:
                return None
            if self.mentions[at].label in _PRESENT:
                of_finding = self.links.sides_near(at)
                return at if of_finding and not of_finding <= sides else None
        return None

    def _within(self, start: int, end: int) -> range:
        """The mentions between two characters."""
        first_index, end_index = (bisect_left(self.mentions, at, key=_start) for at in (start, end))
        return range(first_index, end_index)

    def _tells(self, index: int) -> bool:
        qualities = self.links.qualities(index)
        return self.mentions[index].label in ("concept", "anatomy") and (
            any((qualities.sides, qualities.zones, qualities.degree, qualities.change))
            or self.mentions[index].text in _REGION_WORDS
        )

    def _tells_more(self, index: int) -> bool:
        qualities = self.links.qualities(index)
        return self.mentions[index].label == "size" or any((qualities.degree, qualities.change))

    def _sides(self, index: int) -> frozenset[str]:
        return self.links.qualities(index).sides
