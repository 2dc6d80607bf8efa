"""A place that a question asks for and a reasoning denies in the same words: `not in the SVC`."""

from __future__ import annotations

import re

from chexphi.graph.consistency.hypotheses import Claim

_QUESTION_END = re.compile(
    r"\b(?P<preposition>in|within|inside|above|below|at|over|on)\s+(?:the\s+)?(?P<place>[\w -]+?)\.?\s*$",
    re.IGNORECASE,
)
"""The end of a question as a statement."""


def denies_asked_place(claim: Claim, text: str) -> bool:
    """Whether a reasoning says `not`, the preposition and the place of a question, and names it once only.

    Args:
        claim: Of the answer.
        text: The reasoning.
    """
    question_end = _QUESTION_END.search(claim.words)
    if question_end is None or not any(hypothesis.location_is_asked for hypothesis in claim.hypotheses):
        return False
    site_pattern = re.escape(question_end["place"])
    if len(re.findall(rf"\b{site_pattern}\b", text, re.IGNORECASE)) != 1:
        return False
    preposition_pattern = re.escape(question_end["preposition"])
    return bool(
        re.search(
            rf"(?:\bnot|n't)\s+{preposition_pattern}\s+(?:the\s+)?{site_pattern}\b", text, re.IGNORECASE
        )
    )
