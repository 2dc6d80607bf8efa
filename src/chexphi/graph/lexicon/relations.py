"""Rules that join the spans of one sentence: located_at, modify, suggestive_of. Standard library only.

They follow the scheme of ReXKG (arXiv 2408.14397). A relation goes from the qualifier, the finding or the
evidence to what it qualifies, lies in or suggests. On the language of the drawn films the rules are exact.
"""

from __future__ import annotations

from collections.abc import Sequence

from chexphi.graph.lexicon import relation_words
from chexphi.graph.lexicon.phrases import (
    DiscourseState,
    Edge,
    Gap,
    is_hedged,
    noun_phrases,
    relations_within,
    with_labels,
)
from chexphi.graph.lexicon.spans import ANATOMY, FINDINGS, MEASUREMENTS, Span


def relate(tokens: Sequence[str], spans: Sequence[Span], denied: frozenset[int]) -> set[Edge]:
    """The relations of one sentence; `denied` has the positions of absent findings."""
    return _Linker(tokens, spans, denied).run() if len(spans) > 1 else set()


class _Linker:
    """Goes once through the noun phrases of a sentence, from left to right."""

    def __init__(self, tokens: Sequence[str], spans: Sequence[Span], denied: frozenset[int]) -> None:
        self.tokens, self.spans, self.denied = tokens, spans, denied
        self.edges: set[Edge] = set()
        self.state, self.gap = DiscourseState(), Gap()
        self.verb_next = self.leads_on = self.shares_noun = False

    def run(self) -> set[Edge]:
        phrase_end, phrases = 0, noun_phrases(self.spans)
        for phrase, next_phrase in zip(phrases, [*phrases[1:], []], strict=True):
            self.gap = Gap(tuple(self.tokens[phrase_end : self.spans[phrase[0]].start]))
            phrase_end = self.spans[phrase[-1]].end
            self.shares_noun = (
                len(next_phrase) > 1
                and tuple(self.tokens[phrase_end : self.spans[next_phrase[0]].start])
                in relation_words.SHARING
            )
            next_word = self.tokens[phrase_end] if phrase_end < len(self.tokens) else ""
            self.verb_next, self.leads_on = next_word in relation_words.BE, next_word in ("for", "of")
            regions = with_labels(self.spans, phrase, ANATOMY)
            heads = with_labels(self.spans, phrase, FINDINGS)
            if len(phrase) > 1:
                self.edges |= relations_within(self.spans, phrase, regions, heads)
            self._add_phrase(phrase, regions, heads)
        return self.edges

    def _link(self, heads: Sequence[int], kind: str, tails: Sequence[int]) -> None:
        self.edges |= {(head, kind, tail) for head in heads for tail in tails if head != tail}

    def _add_phrase(self, phrase: Sequence[int], regions: Sequence[int], heads: Sequence[int]) -> None:
        """Add the relations between this noun phrase and the words before it."""
        if self.gap.has(relation_words.BREAK):
            self.state = DiscourseState(evidence=self.state.evidence)
        self.gap = self.gap.after_semicolon()
        if heads and self.spans[heads[-1]].text in relation_words.EXAMS:
            return
        self.state.after_because |= self.gap.has(relation_words.REASONS)
        if heads:
            self._add_finding(heads[-1], phrase)
            self.state.previous_kind = "finding"
        elif regions:
            self._add_region(phrase, regions[-1])
            self.state.previous_kind = "region"
        elif phrase:
            spatial_words = [index for index in phrase if self.spans[index].text in relation_words.SPATIAL]
            self._link(with_labels(self.spans, phrase, MEASUREMENTS), "modify", spatial_words)
            self._add_quality(phrase[-1])

    def _add_finding(self, head: int, phrase: Sequence[int]) -> None:
        state = self.state
        inferred = (
            state.inferring
            or self.gap.has(relation_words.INFERENCE)
            or (state.after_because and self.gap.starts_with(","))
            or (self.gap.words == (",",) and is_hedged(self.spans, phrase))
        )
        is_moved = self.spans[head].text in relation_words.MOVES_OF_DEVICES
        if is_moved and state.findings and self.gap.has(relation_words.BE):
            self._link([head], "located_at", state.findings)
        elif inferred and state.evidence:
            self._infer_finding(head)
        elif (
            self.gap.joins
            and state.previous_kind == "finding"
            and not (self.verb_next and "," in self.gap.words)
        ):
            if state.repeat_relation:
                state.repeat_relation(head)
            state.findings, state.subject = [*state.findings, head], [*state.subject, head]
            state.evidence = [*state.evidence, head]
        else:
            self._start_finding(head)
        if self.spans[head].label == "devices_present":
            self._continue_at_tip(head)

    def _infer_finding(self, head: int) -> None:
        state, evidence = self.state, list(self.state.evidence)
        if head in self.denied and not self.denied.issuperset(evidence):
            self.state = DiscourseState(findings=[head], subject=[head])
            return

        def suggest(tail: int) -> None:
            self._link(evidence, "suggestive_of", [tail])

        suggest(head)
        self.state = DiscourseState(
            findings=[head],
            subject=[head],
            evidence=[head],
            repeat_relation=suggest,
            previous_kind=state.previous_kind,
        )

    def _start_finding(self, head: int) -> None:
        """A finding that starts a statement, or that lies in the regions named before it."""
        state = self.state
        lies_in_regions = (
            state.regions_lead
            or self.gap.has(relation_words.SHOWS)
            or (self.gap.has(relation_words.BE) and "there" not in self.gap.words)
        )
        regions = list(state.regions) if lies_in_regions and not state.findings else []
        qualifiers = [] if state.pending_side is None else [state.pending_side]
        if state.attribute is not None and self.gap.starts_with("of"):
            qualifiers.append(state.attribute)

        def locate(finding: int) -> None:
            self._link([finding], "located_at", regions)
            self._link(qualifiers, "modify", [finding])

        locate(head)
        adds_evidence = self.gap.joins or "with" in self.gap.words or "and" in self.gap.words
        earlier_evidence = state.evidence if adds_evidence else []
        self.state = DiscourseState(
            findings=[head],
            subject=[head],
            evidence=[*earlier_evidence, head],
            after_because=state.after_because,
            repeat_relation=locate,
        )

    def _continue_at_tip(self, head: int) -> None:
        """If the phrase names the tip of a device, the words after it are about the tip."""
        regions = [tail for source, kind, tail in self.edges if source == head and kind == "located_at"]
        if tips := [region for region in regions if self.spans[region].text in relation_words.TIPS]:
            self.state.findings = tips

    def _add_region(self, phrase: Sequence[int], region: int) -> None:
        state = self.state
        self.gap = state.gap_before_side or self.gap
        if state.spatial is not None:
            self._link([state.spatial], "modify", [region])
        following = [index for index in phrase if index > region]
        attributes = [index for index in following if relation_words.ATTRIBUTE & set(self.spans[index].words)]
        if state.attribute is not None and self.gap.starts_with("of", "in"):
            self._link([state.attribute], "modify", [region])
            state.regions, state.subject = [region], [state.attribute]
        elif (
            self.gap.joins
            and state.previous_kind == "region"
            and state.repeat_relation
            and not (self.verb_next and state.findings)
        ):
            state.repeat_relation(region)
        elif state.findings and (self.gap.ends_in_preposition or state.spatial is not None):
            self._locate_findings(region)
        elif state.previous_kind == "region" and self.gap.starts_with("of"):
            self._link(state.regions, "modify", [region])
        else:
            self._start_region(phrase, region, attributes)
        if state.pending_side is not None:
            self._link([state.pending_side], "modify", [region])
        self.state.spatial = self.state.attribute = self.state.pending_side = None
        self.state.gap_before_side = None

    def _locate_findings(self, region: int) -> None:
        state = self.state
        findings = state.findings[-1:] if self.gap.starts_with("of") else list(state.findings)
        if self.gap.has(relation_words.SPARED):
            return

        def locate(target: int) -> None:
            self._link(findings, "located_at", [target])

        locate(region)
        state.repeat_relation = locate
        if self.spans[region].text in relation_words.TIPS:
            state.findings = [region]

    def _start_region(self, phrase: Sequence[int], region: int, attributes: list[int]) -> None:
        state, regions = self.state, [region]
        signs = [index for index in phrase if index < region and self._is_sign(index)]
        self.state = DiscourseState(
            regions=regions,
            regions_lead=self.gap.ends_in_preposition and not state.findings,
            subject=attributes[:1] or regions,
            evidence=[*state.evidence, *signs],
            after_because=state.after_because,
            repeat_relation=regions.append,
        )

    def _add_quality(self, index: int) -> None:
        """Handle a qualifier without a noun: a predicate, a side, an attribute, or `above`."""
        state, words = self.state, set(self.spans[index].words)
        sides = words & relation_words.SIDE
        if words <= relation_words.SPATIAL:
            state.spatial = index
        elif "suggestive" in words or (words <= relation_words.SUSPICIOUS and self.leads_on):
            state.inferring = True
        elif words & relation_words.ATTRIBUTE:
            self._add_attribute(index)
        elif sides and (self.shares_noun or (sides == words and not state.subject)):
            state.pending_side = index
            state.gap_before_side = self.gap if self.shares_noun else None
        else:
            self._link([index], "modify", state.subject)
            state.quality = index
            if not state.subject:
                state.attribute = index
            elif self._is_sign(index) and state.subject == state.regions:
                state.evidence = [*state.evidence, index]
        state.previous_kind = state.previous_kind if words <= relation_words.SPATIAL else "quality"

    def _is_sign(self, index: int) -> bool:
        """Whether a qualifier tells of an abnormality, as in `indistinct vessels suggest edema`."""
        span = self.spans[index]
        return span.label == "concept" and not relation_words.NOT_EVIDENCE.issuperset(span.words)

    def _add_attribute(self, index: int) -> None:
        """In `normal in size` the quality qualifies the attribute; else the attribute waits for its noun."""
        state = self.state
        if "in" in self.gap.words and state.quality is not None:
            self.edges -= {(state.quality, "modify", target) for target in state.subject}
            self._link([state.quality], "modify", [index])
            self._link([index], "modify", state.subject)
        elif self.gap.has(relation_words.BE):
            self._link([index], "modify", state.subject)
        else:
            state.attribute = index
            state.subject = [index]
