"""A finding on both sides that is not the same on both: `moderate right and small left effusions`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from chexphi.graph.findings.records import EMPTY, Qualities
from chexphi.graph.findings.vocabulary import Vocabulary
from chexphi.graph.types import Parse

_ANOTHER_SIDE = re.compile(
    r"[,;&/(]|\b(?:and|or|but|while|whereas|although|though|with|than|versus)\b", re.IGNORECASE
)
"""Between what is said of one side and what is said of the other."""
_COMPARES = re.compile(r"\bthan\b", re.IGNORECASE)
"""Between two sides that are compared: what follows is of both, as in `left greater than right, stable`."""
_FORMER_OR_LATTER = re.compile(
    r"\b(?:the (?:(?P<first>former|first)|latter|second))\b[^,;.]*$", re.IGNORECASE
)
"""Before what is said of one of two sides that were named before."""


class OneSide(NamedTuple):
    """What a text says of one side of a finding."""

    sides: frozenset[str]
    """The side."""
    of_other_side: frozenset[int]
    """The mentions that are about the other side alone."""


@dataclass(slots=True)
class _Run:
    """Mentions between two commas or the like."""

    mentions: list[int]
    text_before: str
    """Between the mention before and the first."""
    sides: frozenset[str] = EMPTY
    details: set[int] = field(default_factory=set)
    """Those that are about its side alone."""


def told_apart(
    parse: Parse, words: Sequence[frozenset[str]], phrase: Iterable[int], head: int, vocabulary: Vocabulary
) -> tuple[OneSide, ...]:
    """Each side with what is about the other side alone; empty if the sides are not told apart.

    What is said once and before both sides is of both: `small right and left effusions`.

    Args:
        parse: The text.
        words: Of each mention.
        phrase: The mentions that qualify or place the finding.
        head: The finding.
        vocabulary: Reads the words.
    """
    qualities = {at: vocabulary.qualities(words[at]) for at in {*phrase, head}}
    runs = _runs(parse, sorted(qualities))
    for run in runs:
        run.details = _side_details(run, head, parse, words, qualities, vocabulary)
        sides = EMPTY.union(*(qualities[at].sides for at in run.details))
        run.sides = sides if len(sides) == 1 else EMPTY
    sided_runs = [run for run in runs if run.sides]
    order = list(dict.fromkeys(run.sides for run in sided_runs))
    if len(order) != 2 or any(_COMPARES.search(run.text_before) for run in sided_runs):
        return ()
    _add_zones(sided_runs, head, parse, qualities)
    referring_runs = [run for run in runs if _name_side(run, order)]
    details_of = {
        sides: frozenset().union(*(run.details for run in runs if run.sides == sides)) for sides in order
    }
    further_runs = [run for run in (*sided_runs, *referring_runs) if run is not sided_runs[0]]
    if not any(_tells_more(at, parse, qualities[at]) for run in further_runs for at in run.details):
        return ()
    first_side, second_side = order
    return OneSide(first_side, details_of[second_side]), OneSide(second_side, details_of[first_side])


def _runs(parse: Parse, phrase: Sequence[int]) -> list[_Run]:
    """The mentions of a phrase in runs, between commas and `and`."""
    runs = [_Run([phrase[0]], "")]
    for previous, index in pairwise(phrase):
        text_between = parse.text[parse.mentions[previous].end : parse.mentions[index].start]
        if _ANOTHER_SIDE.search(text_between):
            runs.append(_Run([], text_between))
        runs[-1].mentions.append(index)
    return runs


def _side_details(
    run: _Run,
    head: int,
    parse: Parse,
    words: Sequence[frozenset[str]],
    qualities: dict[int, Qualities],
    vocabulary: Vocabulary,
) -> set[int]:
    """The mentions of a run that are about its side alone.

    They are no structure that both sides share, and no quality before `bilateral` or before a finding whose
    side follows: `increased opacities at the left base and the right apex`.
    """
    mentions = [at for at in run.mentions if at != head]
    for at in mentions:
        if not words[at].isdisjoint(vocabulary.both_sides):
            mentions = [other for other in mentions if other > max(at, head if head in run.mentions else at)]
    details = {
        at for at in mentions if parse.mentions[at].label in ("concept", "size") or qualities[at].sides
    }
    if head in run.mentions and all(at > head for at in details if qualities[at].sides):
        details = {at for at in details if at > head}
    return details


def _add_zones(runs: Sequence[_Run], head: int, parse: Parse, qualities: dict[int, Qualities]) -> None:
    """Structures that are a zone of one side: `left basal` beside `right mid zone`.

    One beside the finding is of both sides if the other side has no zone: `right and large left basal`.
    """
    zoned_counts = [sum(bool(qualities[at].zones) for at in run.mentions) for run in runs]
    for run, count in zip(runs, zoned_counts, strict=True):
        if head not in run.mentions or sum(zoned_counts) > count:
            run.details |= {
                at
                for at in run.mentions
                if at != head and parse.mentions[at].label == "anatomy" and qualities[at].zones
            }


def _name_side(run: _Run, order: Sequence[frozenset[str]]) -> bool:
    """Give a run the side that `the former` or `the latter` names."""
    if run.sides or not (name := _FORMER_OR_LATTER.search(run.text_before)):
        return False
    run.sides = order[0] if name["first"] else order[1]
    run.details = set(run.mentions)
    return True


def _tells_more(index: int, parse: Parse, qualities: Qualities) -> bool:
    """Whether a mention tells more than a side."""
    return parse.mentions[index].label == "size" or any(
        (qualities.zones, qualities.degree, qualities.change, qualities.position, qualities.time)
    )
