"""Answers that no concept has, looked for by their words. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from chexphi.graph.consistency.fit import OTHER_SIZE, SAME_SIZE, joined
from chexphi.graph.consistency.hypotheses import Claim
from chexphi.graph.consistency.places import location_of, overlap
from chexphi.graph.consistency.presence import Verdict
from chexphi.graph.consistency.statements import Statement
from chexphi.graph.findings.clauses import clauses
from chexphi.graph.findings.records import Qualities
from chexphi.graph.findings.vocabulary import Vocabulary, base_form, millimetres

_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_EMPTY_WORDS = frozenset(
    """
    a an the of in on at to is are was were be it this that there and or with for by from patient film image
    radiograph chest x-ray xray picture view evidence sign signs any see seen show shows shown have has do
    does most likely probably present visible right left
    """.split()  # noqa: SIM905
)
"""Words without which two texts may still say the same; sides are compared for themselves."""
_SEEN = frozenset({"seen", "visible", "present", "shown"})
_LOCATION_WORDS = frozenset("where which what side lung lobe zone hemithorax located lie".split())  # noqa: SIM905
_SIDES = frozenset({"left", "right"})
_LARGER = re.compile(
    r"\b(?:larger|bigger|greater|more|worse|mainly|mostly|predominantly)\b(?: \w+)? (?:on|in|at) "
    r"the (?P<after>left|right)\b"
    r"|\b(?P<before>left|right)(?: (?!and\b|or\b|than\b|not?\b)[\w-]+){0,3}? (?:larger|bigger|greater)\b"
    r"(?! (?:on|in|at) | than (?:before|earlier|on the (?:prior|previous)))",
    re.IGNORECASE,
)
_DENIALS = frozenset({"no", "not", "without", "nor", "neither", "never", "none"})
_REACH = 3
"""Words that a denial reaches across."""
_DOUBTS = frozenset("may might could possible possibly cannot questionable unlikely less whether if".split())  # noqa: SIM905


def of_words(claim: Claim, text: str) -> Verdict:
    """Whether a text claims the words of an answer, or denies them, or claims what else could be chosen."""
    is_statement = claim.words == claim.query.statement
    answer_words = _content(claim.words)
    if is_statement and not claim.query.exists:  # `the left hemidiaphragm visible`
        answer_words |= _SEEN & set(_WORD.findall(claim.words.lower()))
    if not answer_words or not _DENIALS.isdisjoint(answer_words):
        return "silent"
    verdict = _status(answer_words, text)
    if verdict != "silent" or is_statement:
        return verdict
    choices = claim.query.options or re.split(r",|\bor\b|:", claim.query.text)
    alternatives = {words for words in map(_content, choices) if words} - {answer_words}
    return "contradicts" if any(_status(words, text) == "entails" for words in alternatives) else "silent"


def of_location(claim: Claim, text: str, vocabulary: Vocabulary) -> Verdict:
    """Whether a clause with the words of a question names the place of the answer, or another one."""
    question_words = _content(claim.query.text) - _LOCATION_WORDS
    target = location_of(claim.hypotheses[0].qualities)
    if not question_words or not (target.sides or target.zones):
        return "silent"
    for clause_words in _clause_words(text):
        if (
            not _has(clause_words, question_words)
            or _clause_status(clause_words, question_words) != "entails"
        ):
            continue
        location: Qualities = vocabulary.qualities(vocabulary.words(" ".join(clause_words)))
        pairs = ((location.sides, target.sides), (location.zones, target.zones))
        is_fit = joined(overlap(clause_places, targets) for clause_places, targets in pairs if targets)
        if is_fit is not None:
            return "entails" if is_fit else "contradicts"
    return "silent"


def of_larger_side(claim: Claim, text: str, statements: Sequence[Statement]) -> Verdict:
    """Whether a text says that there is more on the side of the answer: `larger on the right`.

    Without such words the degrees tell: `a large left and a small right effusion`.
    """
    answer_sides = set(claim.words.lower().split()) & _SIDES
    larger_sides = {(match["after"] or match["before"]).lower() for match in _LARGER.finditer(text)}
    larger_sides = larger_sides or _sides_of_greater_degree(statements, claim.alternatives)
    if len(larger_sides) != 1 or len(answer_sides) != 1:
        return "silent"
    return "entails" if larger_sides == answer_sides else "contradicts"


def _sides_of_greater_degree(statements: Sequence[Statement], concepts: frozenset[str]) -> set[str]:
    degree_of_side = {
        side: s.finding.qualities.degree
        for s in statements
        if s.finding.present and s.finding.concept in concepts and s.finding.qualities.degree
        for side in s.finding.qualities.sides
    }
    greatest = max((degree for degree in degree_of_side.values() if degree), default=0)
    sides = {side for side, degree in degree_of_side.items() if degree == greatest}
    return sides if len(degree_of_side) == len(_SIDES) else set()


def of_distance(distance_mm: float, text: str) -> Verdict:
    """Whether a text names a distance to the carina, or another one."""
    clause_texts = (text[start:end].lower() for _, start, end in clauses(text))
    sizes_mm = (millimetres(clause_text) for clause_text in clause_texts if "carina" in clause_text)
    size_mm = next(filter(None, sizes_mm), None)
    if size_mm is None:
        return "silent"
    ratio = min(size_mm, distance_mm) / max(size_mm, distance_mm)
    return "entails" if ratio >= SAME_SIZE else "contradicts" if ratio < OTHER_SIZE else "silent"


def _content(text: str) -> frozenset[str]:
    return frozenset(map(base_form, _WORD.findall(text.lower()))) - _EMPTY_WORDS


def _clause_words(text: str) -> Iterator[list[str]]:
    for _, start, end in clauses(text):
        yield _WORD.findall(text[start:end].lower())


def _has(clause_words: Sequence[str], words: frozenset[str]) -> bool:
    return words <= set(map(base_form, clause_words))


def _status(words: frozenset[str], text: str) -> Verdict:
    """What the clauses that have all of some words say of them, where they agree."""
    verdicts = {_clause_status(clause, words) for clause in _clause_words(text) if _has(clause, words)}
    return verdicts.pop() if len(verdicts) == 1 else "silent"


def _clause_status(clause_words: Sequence[str], words: frozenset[str]) -> Verdict:
    """What a clause says of words that it has. A denial that stands far before them decides nothing."""
    positions = [at for at, word in enumerate(clause_words) if base_form(word) in words]
    start, end = positions[0], positions[-1]
    if not _DOUBTS.isdisjoint(clause_words):
        return "silent"
    is_denied = not _DENIALS.isdisjoint(clause_words[max(0, start - _REACH) : end])
    is_denied |= clause_words[end + 2 : end + 3] == ["not"]  # `free air is not seen`
    if is_denied:
        return "contradicts"
    return "entails" if _DENIALS.isdisjoint(clause_words[:start]) else "silent"
