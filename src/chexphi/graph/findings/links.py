"""Which mentions qualify, place or explain which, with relations that an extractor may leave out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

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
_UNCHANGED = frozenset({"unchanged"})


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
        self.words = [vocabulary.words(mention.text) for mention in parse.mentions]
        """Of each mention; of a denied change `unchanged`."""
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
        mentions, text = self._parse.mentions, self._parse.text
        if index + 1 == len(mentions):
            return
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
