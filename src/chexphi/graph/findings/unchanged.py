"""Clauses that say that a finding is as it was: `has not significantly changed`, `failed to improve`.

No word of them is a mention. The lists are our choice. Standard library only.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from operator import attrgetter

from chexphi.graph.findings.in_context import UNCHANGED
from chexphi.graph.findings.links import Links
from chexphi.graph.types import Parse

_AS_IT_WAS = re.compile(
    r"\b(?:not|hasn't|haven't|hardly|barely|little)\s+(?:been\s+)?(?:(?:\w+ly|much|otherwise)\s+)?changed\b"
    r"|\bfail(?:ed|s|ing|ure)\s+to\s+(?:improve|resolve|clear|decrease|respond)\b",
    re.IGNORECASE,
)
_STATEMENT_END = re.compile(r"[.;](?!\d)|\n")
_PRESENT = frozenset({"disorder_present", "devices_present"})
_NEXT_WORDS = 40
"""Characters after the clause, up to a finding that it qualifies: `not significantly changed effusion`."""
_start = attrgetter("start")


def mark_unchanged(links: Links, parse: Parse) -> None:
    """Add `unchanged` to the words of the findings that such clauses are about.

    Args:
        links: Of the parse; its words are changed.
        parse: The text.
    """
    if "changed" not in parse.text and "fail" not in parse.text:
        return
    for clause in _AS_IT_WAS.finditer(parse.text):
        index = _finding_of(parse, clause.start(), clause.end())
        if index is not None and not links.qualities(index).change:
            links.words[index] |= UNCHANGED


def _finding_of(parse: Parse, start: int, end: int) -> int | None:
    """The finding that a clause is about: the last before it in its statement, or the next."""
    following = bisect_left(parse.mentions, start, key=_start)
    for index in range(following - 1, -1, -1):
        if _STATEMENT_END.search(parse.text, parse.mentions[index].end, start):
            break
        if parse.mentions[index].label in _PRESENT:
            return index
    for index in range(following, len(parse.mentions)):
        mention = parse.mentions[index]
        if mention.start > end + _NEXT_WORDS or _STATEMENT_END.search(parse.text, end, mention.start):
            break
        if mention.label in _PRESENT:
            return index
    return None
