"""Whether a device lies where it should. Standard library only."""

from __future__ import annotations

import re
from itertools import pairwise

from chexphi.graph.findings.concepts import Concept
from chexphi.graph.findings.vocabulary import Vocabulary

_WORD = re.compile(r"[^\W\d_][^\W_]*(?:[-/][^\W_]+)*")
_NOT = frozenset({"no", "not", "without"})
_ABOVE_CARINA = re.compile(
    r"(\d+(?:\.\d+)?)\s*(mm|cm|millimeters?|centimeters?)\s+"
    r"(?:above|proximal to|superior to|cranial to|from)\s+(?:the\s+)?carina",
    re.IGNORECASE,
)


def position_of(concept: Concept, clause: str, vocabulary: Vocabulary) -> str | None:
    """`good` or `bad` by what a clause says: in so many words, by the place of the tip, or by its distance.

    >>> from chexphi.graph.findings.ontology import default_ontology
    >>> ontology = default_ontology()
    >>> tube = ontology.concepts["endotracheal_tube"]
    >>> position_of(tube, "ETT tip 5 cm above the carina", ontology.vocabulary)
    'good'
    """
    tokens = [word.lower() for word in _WORD.findall(clause)]
    said = [vocabulary.words(word) for previous, word in pairwise(["", *tokens]) if previous not in _NOT]
    forms = frozenset[str]().union(*said)
    if (position := vocabulary.qualities(forms).position) == "bad":
        return "bad"
    if concept.good_distance_mm and (distance := _ABOVE_CARINA.search(clause)):
        millimetres = float(distance[1]) * (10 if distance[2][0] in "cC" else 1)
        shortest, longest = concept.good_distance_mm
        return "good" if shortest <= millimetres <= longest else "bad"
    sites = concept.good_sites | concept.bad_sites
    first_site = next((words & sites for words in said if words & sites), frozenset())
    if first_site & concept.bad_sites:
        return "bad"
    return position or ("good" if forms & concept.good_sites else None)
