"""How a finding changed between two films: the changes that words leave possible. Standard library only."""

from __future__ import annotations

import re

PRESENT_NOW = frozenset({"new", "increased", "decreased", "unchanged"})
"""Changes of what is there on the current film."""
ON_PRIOR_FILM = frozenset({"increased", "decreased", "unchanged", "resolved"})
"""Changes of what was there on the prior film."""
ON_BOTH_FILMS = PRESENT_NOW - {"new"}
NEVER_THERE = frozenset({"absent"})
"""On no film."""
ABSENT_NOW = frozenset({"absent", "resolved"})
_NOT = r"\b(?:no|not|never|without|neither)\b(?: (?!and |but )[\w-]+){0,3}? "
_UP = (
    r"(?:larger|bigger|grown|grew|growth|greater|worse\w*|increas\w+|progress\w*|enlarging"
    r"|(?<=has )enlarged|(?<=have )enlarged|more (?:extensive|prominent|severe|marked))"
)
_DOWN = (
    r"(?:smaller|shrunk\w*|shrinking|decreas\w+|improv\w+|better|regress\w+|subsid\w+|reced\w+|diminish\w+"
    r"|resolving|clearing|reduc\w+|less (?:extensive|prominent|severe|marked))"
)
_CLEARED = r"(?:resolved|resolution|cleared|disappeared|vanished|gone)"
_PARTLY = r"(?:nearly|almost|partly|partially|incompletely|largely|mostly|partial|near-complete)"
_OTHER_FILM = r"(?:prior|previous|earlier|former|first|older?|last)\b"
_PHRASES: tuple[tuple[str, frozenset[str]], ...] = (
    (rf"\b{_PARTLY} (?:[\w-]+ )?{_CLEARED}\b", frozenset({"decreased"})),
    (r"\b(?:no longer|not [\w ]{0,20}\bany ?more)\b", frozenset({"resolved"})),
    (rf"{_NOT}{_CLEARED}\b", ON_BOTH_FILMS),
    (rf"{_NOT}(?:changed?|changes|difference)\b|\bunaltered\b", frozenset({"unchanged"})),
    (rf"{_NOT}{_UP}\b", frozenset({"unchanged", "decreased"})),
    (rf"{_NOT}{_DOWN}\b", frozenset({"unchanged", "increased"})),
    (
        rf"(?:{_NOT}(?:there|seen|present|visible)|\babsent) (?:on|in|at) (?:the |a )?{_OTHER_FILM}",
        frozenset({"new"}),
    ),
    (r"\bnot new\b", ON_BOTH_FILMS),
    (
        r"\bunchanged\b|\bstable\b|\bas (?:it was|they were|seen|noted) |\bsame\b|\bas before\b|\bsimilar\b"
        r"|\bstatic\b|\bconstant\b",
        frozenset({"unchanged"}),
    ),
    (rf"\b{_CLEARED}\b", frozenset({"resolved"})),
    (rf"\b{_UP}\b", frozenset({"increased"})),
    (rf"\b{_DOWN}\b", frozenset({"decreased"})),
    (r"\bnew(?:ly)?\b|\bappeared\b|\bdeveloped\b", frozenset({"new"})),
    (r"\bpersist\w*|\bstill\b|\bremains?\b", ON_BOTH_FILMS),
    (r"\bchang(?:ed|es)\b|\bdifferent\b", frozenset({"new", "increased", "decreased", "resolved"})),
)
_FIRST_PLAIN = 9
"""From this phrase on a change is named as it is: neither denied nor made less."""
_SETS = tuple(changes for _, changes in _PHRASES)
_PHRASE = re.compile("|".join(f"({phrase})" for phrase, _ in _PHRASES), re.IGNORECASE)
_WITHIN_ONE_FILM = re.compile(
    r"\b(?:larger|bigger|greater|smaller|worse|better) (?:than (?=\d)"
    r"|(?:on|in|at) the (?:left|right|bases?|upper|lower)\b|(?:seen|visuali[sz]ed|appreciated)\b)",
    re.IGNORECASE,
)
"""Comparisons within one film: `larger than 1 cm`, `larger on the right`, `better seen`."""
_BETTER, _WORSE = (
    re.compile(r"\b(?:better|improv\w+)\b", re.IGNORECASE),
    re.compile(r"\bworse\w*", re.IGNORECASE),
)


def changes_in(text: str, own_change: str | None = None) -> frozenset[str]:
    """The changes that a text leaves possible; nothing where it does not speak of change.

    Args:
        text: A clause.
        own_change: The change that an extractor ties to a finding in it. Another one is of something else.

    >>> sorted(changes_in("has not resolved")), sorted(changes_in("is the same size"))
    (['decreased', 'increased', 'unchanged'], ['unchanged'])
    """
    film_text = _WITHIN_ONE_FILM.sub(" ", " ".join(text.split()))
    first_group = min((match.lastindex or 0 for match in _PHRASE.finditer(film_text)), default=0)
    text_changes = _SETS[first_group - 1] if first_group else frozenset[str]()
    is_of_another = own_change is not None and first_group >= _FIRST_PLAIN and own_change not in text_changes
    return frozenset({own_change}) if own_change and is_of_another else text_changes


def asked_changes(text: str) -> frozenset[str]:
    """The changes that an answer or a question accepts: what has gone is better, and what is new is worse."""
    changes = changes_in(text)
    if changes == {"decreased"} and _BETTER.search(text):
        return changes | {"resolved"}
    return changes | {"new"} if changes == {"increased"} and _WORSE.search(text) else changes


def agree(claimed_changes: frozenset[str], accepted_changes: frozenset[str]) -> bool | None:
    """Whether what is said of change is what is sought; None where both may be, or one of them is not said.

    What is absent now may have been there before, so that `not seen` and `resolved` leave each other open.
    """
    if not accepted_changes:
        return True
    if not claimed_changes:
        return None
    if claimed_changes <= accepted_changes:
        return True
    is_open = claimed_changes & accepted_changes or (
        claimed_changes <= ABSENT_NOW and accepted_changes & ABSENT_NOW
    )
    return None if is_open else False
