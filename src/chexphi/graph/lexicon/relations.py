"""Rules that join the spans of one sentence: located_at, modify, suggestive_of. Standard library only.

They follow ReXKG's scheme (arXiv 2408.14397): from what qualifies, lies somewhere or gives the hint, to
what it is about. A first set of rules: exact on the drawn films' language, sensible on real text.
"""

from __future__ import annotations

from collections.abc import Sequence

from chexphi.graph import cues
from chexphi.graph.lexicon.phrases import Edge, State, groups, of, within
from chexphi.graph.lexicon.spans import FINDINGS, Span


def relate(tokens: Sequence[str], spans: Sequence[Span], denied: frozenset[int]) -> set[Edge]:
    """The relations of one sentence; `denied` are the positions of absent findings."""
    return _Linker(tokens, spans, denied).run() if len(spans) > 1 else set()


_AND = (["and"], ["or"])
_DETERMINERS = frozenset({"the", "a", "an", "its", "this", "that", "either", "each", "both"})


class _Linker:
    """Goes once through the noun phrases of a sentence, from left to right."""

    def __init__(self, tokens: Sequence[str], spans: Sequence[Span], denied: frozenset[int]) -> None:
        self.tokens, self.spans, self.denied = tokens, spans, denied
        self.edges: set[Edge] = set()
        self.state = State()
        self.gap: Sequence[str] = ()
        self.verb_next = self.shares_noun = False

    def run(self) -> set[Edge]:
        end = 0
        phrases = groups(self.spans)
        for group, later in zip(phrases, [*phrases[1:], []], strict=True):
            self.gap = self.tokens[end : self.spans[group[0]].start]
            end = self.spans[group[-1]].end
            self.shares_noun = len(later) > 1 and list(self.tokens[end : self.spans[later[0]].start]) in _AND
            self.verb_next = end < len(self.tokens) and self.tokens[end] in cues.BE
            self.edges |= within(self.spans, group)
            self._follow(group)
        return self.edges

    def _link(self, heads: Sequence[int], kind: str, tails: Sequence[int]) -> None:
        self.edges |= {(head, kind, tail) for head in heads for tail in tails if head != tail}

    def _has(self, words: frozenset[str]) -> bool:
        return not words.isdisjoint(self.gap)

    @property
    def _joined(self) -> bool:
        return bool(self.gap) and cues.JOIN.issuperset(self.gap)

    @property
    def _led(self) -> bool:
        """A preposition stands right before the phrase, but for an article."""
        words = [word for word in self.gap if word not in _DETERMINERS]
        return bool(words) and words[-1] in cues.PREPOSITIONS

    def _follow(self, group: Sequence[int]) -> None:
        """Relations between this noun phrase and what came before."""
        if self._has(cues.BREAK):
            self.state = State(evidence=self.state.evidence)
        if ";" in self.gap:  # what stands before it belongs to the statement before
            self.gap = self.gap[len(self.gap) - list(reversed(self.gap)).index(";") :]
        heads, places = of(self.spans, group, *FINDINGS), of(self.spans, group, "anatomy")
        if heads and self.spans[heads[-1]].text in cues.EXAMS:
            return
        self.state.reason |= self._has(cues.REASONS)
        if heads:
            self._finding(heads[-1], {w for i in group for w in self.spans[i].words})
            self.state.last = "finding"
        elif places:
            self._place(group, places[-1])
            self.state.last = "place"
        elif group:
            self._link(of(self.spans, group, "size"), "modify", self._spatial(group))
            self._quality(group[-1])

    def _finding(self, head: int, words: set[str]) -> None:
        state = self.state
        inferred = state.inferring or self._has(cues.CUES) or (state.reason and self.gap[:1] == [","])
        if self.spans[head].text in cues.MOVED and state.findings and self._has(cues.BE):
            self._link([head], "located_at", state.findings)
        elif (inferred or (list(self.gap) == [","] and words & cues.HEDGES)) and state.evidence:
            self._conclude(head)
        elif self._joined and state.last == "finding" and not (self.verb_next and "," in self.gap):
            if state.again:
                state.again(head)
            state.findings, state.subject = [*state.findings, head], [*state.subject, head]
            state.evidence = [*state.evidence, head]
        else:
            self._new_finding(head)
        if self.spans[head].label == "devices_present":
            self._carry_tip(head)

    def _conclude(self, head: int) -> None:
        state, evidence = self.state, list(self.state.evidence)
        if head in self.denied and not self.denied.issuperset(evidence):
            self.state = State(findings=[head], subject=[head])
            return

        def suggest(tail: int) -> None:
            self._link(evidence, "suggestive_of", [tail])

        suggest(head)
        self.state = State(findings=[head], subject=[head], evidence=[head], again=suggest, last=state.last)

    def _new_finding(self, head: int) -> None:
        """A finding that opens a statement, or that lies at the places named before it."""
        state = self.state
        there = state.lead or self._has(cues.SHOWS) or (self._has(cues.BE) and "there" not in self.gap)
        places = list(state.places) if there and not state.findings else []
        sides = [] if state.pending is None else [state.pending]
        if state.attribute is not None and self.gap[:1] == ["of"]:
            sides.append(state.attribute)

        def locate(finding: int) -> None:
            self._link([finding], "located_at", places)
            self._link(sides, "modify", [finding])

        locate(head)
        keep = state.evidence if self._joined or "with" in self.gap or "and" in self.gap else []
        self.state = State(
            findings=[head], subject=[head], evidence=[*keep, head], reason=state.reason, again=locate
        )

    def _carry_tip(self, head: int) -> None:
        """With a tip in the phrase, what follows is said of the tip."""
        own = [tail for edge, kind, tail in self.edges if edge == head and kind == "located_at"]
        tips = [tail for tail in own if self.spans[tail].text in cues.TIPS]
        if tips:
            self.state.findings = tips

    def _place(self, group: Sequence[int], place: int) -> None:
        state = self.state
        self.gap = state.held or self.gap
        if state.spatial is not None:
            self._link([state.spatial], "modify", [place])
        attributes = [i for i in group if i > place and set(self.spans[i].words) & cues.ATTRIBUTE]
        if state.attribute is not None and self.gap[:1] in (["of"], ["in"]):
            self._link([state.attribute], "modify", [place])
            state.places, state.subject = [place], [state.attribute]
        elif (
            self._joined and state.last == "place" and state.again and not (self.verb_next and state.findings)
        ):
            state.again(place)
        elif state.findings and (self._led or state.spatial is not None):
            self._locate(place)
        elif state.last == "place" and self.gap[:1] == ["of"]:
            self._link(state.places, "modify", [place])
        else:
            self._new_place(group, place, attributes)
        if state.pending is not None:
            self._link([state.pending], "modify", [place])
        self.state.spatial = self.state.attribute = self.state.pending = None
        self.state.held = ()

    def _locate(self, place: int) -> None:
        state = self.state
        carriers = state.findings[-1:] if self.gap[:1] == ["of"] else list(state.findings)
        if self._has(cues.SPARED):
            return

        def locate(where: int) -> None:
            self._link(carriers, "located_at", [where])

        locate(place)
        state.again = locate
        if self.spans[place].text in cues.TIPS:
            state.findings = [place]

    def _new_place(self, group: Sequence[int], place: int, attributes: list[int]) -> None:
        state, places = self.state, [place]
        led = self._led and not state.findings
        signs = [i for i in group if i < place and self._is_sign(i)]
        self.state = State(
            places=places,
            lead=led,
            subject=attributes[:1] or places,
            evidence=[*state.evidence, *signs],
            reason=state.reason,
            again=places.append,
        )

    def _quality(self, index: int) -> None:
        """A qualifier without a noun: a predicate, a side, an attribute, or `above`."""
        state, words = self.state, set(self.spans[index].words)
        if words <= cues.SPATIAL:
            state.spatial = index
        elif "suggestive" in words:
            state.inferring = True
        elif words & cues.ATTRIBUTE:
            self._attribute(index)
        elif words <= cues.SIDE and (self.shares_noun or not state.subject):
            state.pending = index
            state.held = self.gap if self.shares_noun else ()
        else:
            self._link([index], "modify", state.subject)
            state.quality = index
            if not state.subject:
                state.attribute = index
            elif self._is_sign(index) and state.subject == state.places:
                state.evidence = [*state.evidence, index]
        state.last = state.last if words <= cues.SPATIAL else "quality"

    def _is_sign(self, index: int) -> bool:
        """A qualifier that carries the abnormality, as in `indistinct vessels suggest edema`."""
        span = self.spans[index]
        return span.label == "concept" and not cues.NOT_EVIDENCE.issuperset(span.words)

    def _spatial(self, group: Sequence[int]) -> list[int]:
        return [index for index in group if self.spans[index].text in cues.SPATIAL]

    def _attribute(self, index: int) -> None:
        """`normal in size` qualifies the attribute; otherwise the attribute waits for its noun."""
        state = self.state
        if "in" in self.gap and state.quality is not None:
            self.edges -= {(state.quality, "modify", target) for target in state.subject}
            self._link([state.quality], "modify", [index])
            self._link([index], "modify", state.subject)
        elif self._has(cues.BE):
            self._link([index], "modify", state.subject)
        else:
            state.attribute = index
            state.subject = [index]
