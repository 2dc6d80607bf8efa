"""Sentences with their graphs: a frame drawn at random, filled with the phrases of `facts`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from chexphi.data.phantom import facts, frames, kind_frames
from chexphi.data.phantom.facts import Phrase
from chexphi.data.phantom.frames import Frames, Wording
from chexphi.data.phantom.scene import ZONED, Finding
from chexphi.graph.types import Graph


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence, and its content as a graph."""

    text: str
    graph: Graph


@dataclass(frozen=True, slots=True)
class Speaker:
    """Makes statements in one of the three wordings; `rng` draws the words, never the content."""

    rng: random.Random
    wording: Wording

    def frame(self, table: Frames) -> str:
        return self.rng.choice(table[self.wording])

    def say(self, table: Frames, graph: Graph, **slots: str) -> Statement:
        return Statement(_sentence(self.frame(table).format(**slots)), graph)

    def present(self, finding: Finding, *, also: bool = False) -> Statement:
        """The finding, stated directly."""
        phrase = facts.present(finding)
        if finding.name in ZONED and self.rng.random() < 0.3:
            zone_words = f"the {facts.zone_name(finding.side, finding.zone)}"
            return self.say(frames.ZONE_FIRST, phrase.graph, np=phrase.short, place=zone_words)
        table = frames.ALSO if also else frames.PRESENT
        return self.say(table, phrase.graph, **_slots(phrase))

    def pair(self, finding: Finding, second_finding: Finding, *, also: bool = False) -> Statement:
        """Two findings in one sentence; one with a location comes first.

        A location after `A and B` would belong to both.
        """
        phrases = sorted(
            (facts.present(finding), facts.present(second_finding)), key=lambda phrase: not phrase.location
        )
        graph = facts.union(phrase.graph for phrase in phrases)
        table = frames.ALSO_PAIR if also else frames.PAIR
        return self.say(table, graph, a=phrases[0].full, b=phrases[1].full)

    def inferred(self, finding: Finding) -> Statement:
        """The finding as concluded from its sign, where it has one."""
        inference = facts.inferred(finding)
        if inference is None:
            return self.present(finding)
        sign = self.frame(frames.SIGN[inference.sign]).format(subject=inference.subject)
        return self.say(frames.INFER, inference.graph, sign=sign, np=inference.conclusion)

    def absent(self, name: str, side: str = "") -> Statement:
        """The finding denied; for cardiomegaly together with the heart's size."""
        phrase = facts.absent(name, side)
        if name == "cardiomegaly":
            heart = self.frame(frames.NORMAL_HEART)
            return self.say(frames.NO_CARDIOMEGALY, phrase.graph | facts.NORMAL_HEART, heart=heart)
        return self.say(frames.ABSENT, phrase.graph, **_slots(phrase))

    def absent_list(self, names: Sequence[str]) -> Statement:
        """Two or more findings denied in one sentence."""
        phrases = [facts.absent(name) for name in names]
        nouns = [phrase.noun for phrase in phrases]
        graph = facts.union(phrase.graph for phrase in phrases)
        listed = f"{', '.join(nouns[:-1])} or {nouns[-1]}"
        if len(nouns) == 2:
            return self.say(frames.ABSENT_PAIR, graph, list=listed, a=nouns[0], b=nouns[1])
        return self.say(frames.ABSENT_LIST, graph, list=listed)

    def normal_heart(self) -> Statement:
        return self.say(frames.NORMAL_HEART, facts.NORMAL_HEART)

    def clear_lungs(self) -> Statement:
        return self.say(frames.CLEAR_LUNGS, facts.CLEAR_LUNGS)

    def in_box(self, names: Sequence[str], side: str, zone: str) -> Statement:
        """What the zone under the box shows: findings of the lung or pleura, or that it is clear."""
        zone_words = f"the {facts.zone_name(side, zone)}"
        if not names:
            clear = facts.qualify("clear", (facts.ZONE, "anatomy"))
            inside = facts.qualify(f"{side} {zone}", (facts.ZONE, "anatomy"))
            return self.say(kind_frames.CLEAR_BOX, clear | inside, place=zone_words)
        phrases = [facts.present_in_zone(name, side, zone) for name in names]
        graph = facts.union(phrase.graph for phrase in phrases)
        listed = " and ".join(phrase.short for phrase in phrases)
        return self.say(
            kind_frames.IN_BOX, graph, place=zone_words, list=listed, be="are" if len(names) > 1 else "is"
        )

    def not_in_box(self, name: str, side: str, zone: str) -> Statement:
        phrase = facts.absent(name, side, zone)
        return self.say(
            kind_frames.NOT_IN_BOX, phrase.graph, place=f"the {facts.zone_name(side, zone)}", n=phrase.noun
        )

    def changed(self, finding: Finding, status: str) -> Statement:
        """The finding compared with the prior film: new, unchanged or resolved."""
        phrase = facts.changed(finding, status)
        the = f"the {phrase.noun} {phrase.location}".rstrip()
        return self.say(
            kind_frames.CHANGED_FINDING[status], phrase.graph, full=phrase.full, the=the, **_slots(phrase)
        )

    def nothing_changed(self, status: str) -> Statement:
        return self.say(kind_frames.NOTHING_CHANGED[status], facts.NOTHING_CHANGED[status])


def _slots(phrase: Phrase) -> dict[str, str]:
    return {"np": phrase.short, "n": phrase.noun, "pp": f" {phrase.location}" if phrase.location else ""}


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
