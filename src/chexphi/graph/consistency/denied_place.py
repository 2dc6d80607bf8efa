"""A place that a question asks for and a reasoning denies in the same words: `not in the SVC`."""

from __future__ import annotations

import re

from chexphi.graph.consistency.hypotheses import Claim

_ASKED_PLACE = re.compile(
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
    question_end = _ASKED_PLACE.search(claim.words)
    if question_end is None or not any(hypothesis.location_is_asked for hypothesis in claim.hypotheses):
        return False
    place = re.escape(question_end["place"])
    if len(re.findall(rf"\b{place}\b", text, re.IGNORECASE)) != 1:
        return False
    preposition = re.escape(question_end["preposition"])
    return bool(re.search(rf"(?:\bnot|n't)\s+{preposition}\s+(?:the\s+)?{place}\b", text, re.IGNORECASE))
