"""Which mentions qualify, place or explain which, with relations that an extractor may leave out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import takewhile

from chexphi.graph.findings.in_context import UNCHANGED, words_in_context
from chexphi.graph.findings.records import EMPTY, Qualities
from chexphi.graph.findings.vocabulary import Vocabulary
from chexphi.graph.types import Parse

_RANGE = frozenset({"to", "-", "or", "/", "and"})
"""Between two degrees that are one: `mild to moderate`."""
_CHANGE_OF = frozenset({"in", "of", "in the", "of the", "in this", "of this", "developed"})
"""Between a change and what changed: `increase in the effusion`."""
_FINDINGS = frozenset({"disorder_present", "devices_present"})
_NO_CHANGE = frozenset(
    {
        "change",
        "changes",
        "interval",
        "significant",
        "substantial",
        "appreciable",
        "further",
        "major",
        "marked",
    }
)
"""Words of a change that is denied: `no significant interval change`."""
_LABEL = re.compile(r"(?:^|[.;:\n])([^.;:\n]*):[^.;:\n]*$")
"""The label of a statement, up to its value: `Heart size: `."""
_VALUE_JOINTS = frozenset({"", "and", "in", "is", "are", "on the", "at the", "in the"})
"""Between a label and its value, and between the parts of a value."""
_VALUE_LENGTH = 8
"""Of a value, so that a list of thousands of words takes no longer a word than a short one."""


class Links:
    """The relations of a parse by the mention that they are about.

    Args:
        parse: From any extractor.
        vocabulary: Reads the words.
    """

    def __init__(self, parse: Parse, vocabulary: Vocabulary) -> None:
        self._parse, self._vocabulary = parse, vocabulary
        self.qualifiers: defaultdict[int, list[int]] = defaultdict(list)
        """Mention -> those that qualify it."""
        self.sites: defaultdict[int, list[int]] = defaultdict(list)
        """Mention -> where it lies."""
        self.located: set[int] = set()
        """Mentions where another lies."""
        self.inferences: list[tuple[int, int]] = []
        """(sign, what it stands for)"""
        self.qualifying: set[int] = set()
        """Mentions that are read with a finding or a structure."""
        self.words = [words_in_context(mention, parse.text, vocabulary) for mention in parse.mentions]
        """Of each mention, as far as they tell how it is; of a denied change `unchanged`."""
        self.denied: set[int] = set()
        """Qualities that are denied: `enlarged` of `not enlarged`."""
        self.tails: defaultdict[int, list[int]] = defaultdict(list)
        """Mention -> what the extractor relates it to."""
        for head, kind, tail in sorted(parse.edges):
            self.tails[head].append(tail)
            if kind == "modify":
                self.qualify(head, tail)
            elif kind == "located_at":
                self.locate(head, tail)
            else:
                self.inferences.append((head, tail))
        for index, mention in enumerate(parse.mentions):
            if mention.label == "concept":
                if mention.denied and not self._is_denied_change(index, self.tails.get(index, ())):
                    self.denied.add(index)
                if index not in self.tails:
                    self._link(index)

    def qualify(self, head: int, tail: int) -> None:
        """Relate a mention to what it qualifies."""
        self.qualifiers[tail].append(head)
        if self._parse.mentions[tail].label != "concept":
            self.qualifying.add(head)

    def locate(self, head: int, site: int) -> None:
        """Relate a mention to where it lies."""
        self.sites[head].append(site)
        self.located.add(site)

    def attach(self, index: int, finding: int) -> None:
        """Relate a quality or a structure to a finding."""
        if self._parse.mentions[index].label == "anatomy":
            self.locate(finding, index)
        else:
            self.qualify(index, finding)

    def sides_near(self, index: int) -> frozenset[str]:
        """The sides of a mention, of what qualifies it, of where it lies, and of what qualifies that."""
        sites = self.sites.get(index, ())
        mention_indices = [index, *self.qualifiers.get(index, ()), *sites]
        mention_indices += [at for site in sites for at in self.qualifiers.get(site, ())]
        return EMPTY.union(*(self.qualities(at).sides for at in mention_indices))

    def qualities(self, index: int) -> Qualities:
        """What the words of a mention tell."""
        return self._vocabulary.qualities(self.words[index])

    def _is_denied_change(self, index: int, targets: Sequence[int]) -> bool:
        """Whether a quality is a change that the text denies of a finding; it is then read as `unchanged`."""
        words = self.words[index]
        if not words <= _NO_CHANGE:
            is_of_structure = any(self._parse.mentions[at].label in ("anatomy", "concept") for at in targets)
            if is_of_structure or self._vocabulary.qualities(words).change in (None, "new"):
                return False
        self.words[index] = UNCHANGED
        return True

    def _link(self, index: int) -> None:
        """Relate a concept that stands alone: the lower end of a range, or a change before what changed."""
        if self._qualify_label(index) or index + 1 == len(self._parse.mentions):
            return
        mentions, text = self._parse.mentions, self._parse.text
        following = mentions[index + 1]
        between = text[mentions[index].end : following.start].strip().lower()
        qualities = self._vocabulary.qualities(self.words[index])
        if qualities.degree is not None and following.label == "concept" and between in _RANGE:
            for tail in [tail for tail, heads in self.qualifiers.items() if index + 1 in heads]:
                self.qualify(index, tail)
        elif qualities.change and between in _CHANGE_OF:
            positions = range(index + 1, len(mentions))
            finding = next((at for at in positions if mentions[at].label in _FINDINGS), None)
            if finding is not None and "." not in text[following.start : mentions[finding].start]:
                self.qualify(index, finding)

    def _qualify_label(self, index: int) -> bool:
        """Relate a concept that is the value of a label, or a part of it: `Lungs: expanded and clear`."""
        mentions, text = self._parse.mentions, self._parse.text
        value, least = index, max(0, index - _VALUE_LENGTH)
        while (
            value > least and mentions[value - 1].label == "concept" and self._between(value) in _VALUE_JOINTS
        ):
            value -= 1
        start = mentions[value].start
        label = _LABEL.search(text, max(0, start - 100), start)
        if label is None or text[label.end(1) + 1 : start].strip(" ,").lower() not in _VALUE_JOINTS:
            return False
        label_start = label.start(1)
        labelled = list(takewhile(lambda at: mentions[at].start >= label_start, range(value - 1, -1, -1)))
        for at in [at for at in labelled if mentions[at].label != "concept"] or labelled:
            self.qualify(index, at)
        return bool(labelled)

    def _between(self, index: int) -> str:
        """The text between the mention before and this one."""
        mentions = self._parse.mentions
        return self._parse.text[mentions[index - 1].end : mentions[index].start].strip(" ,").lower()
