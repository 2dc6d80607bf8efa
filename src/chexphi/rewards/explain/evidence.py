"""What a score was made from. Nothing is computed or read again until an explanation is asked for."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chexphi.graph.clinical.compare import ClinicalMatch
from chexphi.graph.types import Extractor, Graph, Parse
from chexphi.prompts import Parsed, ParseStatus
from chexphi.rewards.combine import Scheme
from chexphi.rewards.rules import AnswerRule, GraphRule


@dataclass(frozen=True)
class Evidence:
    """The texts, graphs and rules behind one score, by reference. It is patient data, as the texts are."""

    completion: str
    """The text with its tags; empty where only its sections are known."""
    parsed: Parsed
    gold: Sequence[str] | None
    """The reference labels; None without any."""
    reference_reasoning: str
    predicted: Graph
    """The graph of the completion's reasoning."""
    reference: Graph
    answer_rule: AnswerRule
    graph_rule: GraphRule
    scheme: Scheme
    extractor: Extractor | None = None
    """Reads both texts again for the places of mentions; None: the places are not known."""
    clinical: ClinicalMatch | None = None
    """The comparison of findings, where the measure is `clinical`."""
    as_original: bool = False
    """The original's rewards: it reads the graphs from other texts, so they are not explained."""

    @property
    def reasoning(self) -> str:
        """The text that the completion's graph was read from; empty for a malformed completion."""
        return self.parsed.think or "" if self.parsed.status is ParseStatus.ok else ""

    @functools.cached_property
    def parses(self) -> tuple[Parse, Parse]:
        """The mentions of both reasonings with their places; none where there is no extractor."""
        texts = (self.reasoning, self.reference_reasoning)
        if self.extractor is None or self.as_original:
            return Parse(texts[0]), Parse(texts[1])
        completion, reference = self.extractor.parse(texts)
        return completion, reference

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copies: with the mentions and without the extractor, which may hold a lock."""
        return {**vars(self), "parses": self.parses, "extractor": None}
