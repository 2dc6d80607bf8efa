"""Which mentions qualify, place or explain which, with relations that an extractor may leave out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import takewhile

from chexphi.graph.findings.vocabulary import Vocabulary
from chexphi.graph.types import Mention, Parse

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
_UNCHANGED, _DECREASED = frozenset({"unchanged"}), frozenset({"decreased"})
_NOT_RESOLVED = re.compile(
    r"(?:\b(?:not|never|hardly)|n't|\byet to)(?: (?:yet|been|be|have))*"
    r"( (?:completely|fully|entirely|totally))?\s*$"
)
"""Before a word of resolution: what it is about is still there."""
_OTHER_SIDE = re.compile(
    r"\s+than\s+(?:(?:that|those|seen|on|in|of|at|the)\s+)*(?:left|right|other|opposite)\b"
)
"""After a word of change: it compares two sides, as in `larger than on the left`."""
_EARLIER = frozenset({"previously", "formerly"})
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
        self.words = [self._words_of(mention) for mention in parse.mentions]
        """Of each mention, as far as they tell how it is; of a denied change `unchanged`."""
        self.denied: set[int] = set()
        """Qualities that are denied: `enlarged` of `not enlarged`."""
        targets_of: defaultdict[int, list[int]] = defaultdict(list)
        for head, kind, tail in sorted(parse.edges):
            targets_of[head].append(tail)
            if kind == "modify":
                self._qualify(head, tail)
            elif kind == "located_at":
                self.sites[head].append(tail)
                self.located.add(tail)
            else:
                self.inferences.append((head, tail))
        for index, mention in enumerate(parse.mentions):
            if mention.label == "concept":
                if mention.denied and not self._is_denied_change(index, targets_of.get(index, ())):
                    self.denied.add(index)
                if index not in targets_of:
                    self._link(index)
            elif mention.label == "anatomy" and index not in self.located:
                self._share_site(index)

    def _words_of(self, mention: Mention) -> frozenset[str]:
        """The words of a mention, without those that tell how another finding is or how it was before."""
        words = self._vocabulary.words(mention.text)
        if mention.label != "concept":
            return words
        change = self._vocabulary.qualities(words).change
        previous_text = self._parse.text[max(0, mention.start - 40) : mention.start].lower()
        if change == "resolved" and (denial := _NOT_RESOLVED.search(previous_text)):
            return _DECREASED if denial[1] else _UNCHANGED
        if change and _OTHER_SIDE.match(self._parse.text.lower(), mention.end):
            return frozenset(word for word in words if not self._vocabulary.tells(word, "change"))
        return frozenset() if mention.text.split()[0] in _EARLIER else words

    def _qualify(self, head: int, tail: int) -> None:
        self.qualifiers[tail].append(head)
        if self._parse.mentions[tail].label != "concept":
            self.qualifying.add(head)

    def _is_denied_change(self, index: int, targets: Sequence[int]) -> bool:
        """Whether a quality is a change that the text denies of a finding; it is then read as `unchanged`."""
        words = self.words[index]
        if not words <= _NO_CHANGE:
            is_of_structure = any(self._parse.mentions[at].label in ("anatomy", "concept") for at in targets)
            if is_of_structure or self._vocabulary.qualities(words).change in (None, "new"):
                return False
        self.words[index] = _UNCHANGED
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
                self._qualify(index, tail)
        elif qualities.change and between in _CHANGE_OF:
            positions = range(index + 1, len(mentions))
            finding = next((at for at in positions if mentions[at].label in _FINDINGS), None)
            if finding is not None and "." not in text[following.start : mentions[finding].start]:
                self._qualify(index, finding)

    def _share_site(self, index: int) -> None:
        """Relate a structure with a side to what lies in the next one, too: `RUL and LLL opacities`."""
        mentions = self._parse.mentions
        if index + 1 == len(mentions) or index + 1 not in self.located or self._between(index + 1) != "and":
            return
        if all(self._vocabulary.qualities(self.words[at]).sides for at in (index, index + 1)):
            for site_indices in [sites for sites in self.sites.values() if index + 1 in sites]:
                site_indices.append(index)
            self.located.add(index)

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
            self._qualify(index, at)
        return bool(labelled)

    def _between(self, index: int) -> str:
        """The text between the mention before and this one."""
        mentions = self._parse.mentions
        return self._parse.text[mentions[index - 1].end : mentions[index].start].strip(" ,").lower()
