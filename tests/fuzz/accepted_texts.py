"""Texts: read as a second reader of tags reads them, and scored in [0, 1] or None, twice the same."""

from __future__ import annotations

import functools
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz.trial import WrongError

from chexphi import prompts
from chexphi.graph.open import open_extractor
from chexphi.graph.types import Graph
from chexphi.prompts import Parsed, ParseStatus
from chexphi.rewards import AnswerRule, GraphRule
from chexphi.rewards.score import Score, score

REFERENCE = (
    "<think>The heart is enlarged. There is no pneumothorax. A small left pleural effusion is seen."
    "</think><answer>yes</answer>"
)
WAYS: tuple[dict[str, Any], ...] = (
    {"answer_rule": AnswerRule("clinical"), "graph_rule": GraphRule("f1", empty="one")},
    {
        "answer_rule": AnswerRule("f1"),
        "graph_rule": GraphRule(contradictions="ignore", repetitions="ignore", empty="zero"),
    },
    {"answer_rule": AnswerRule("any", format_gate=False), "opened_think": True},
    {"truncated": True},
    {"compat": "original"},
    {"graph_rule": GraphRule("clinical"), "question": "Is there a left effusion, or has it resolved?"},
)
"""Settings of the score: by one of them each text is scored beside the default."""
AGAIN = 4
"""Every fourth text is read a second time."""
_extractor = functools.cache(lambda: open_extractor("lexicon"))


@dataclass(frozen=True)
class Judged:
    """What the project makes of a text, and of some once more."""

    parsed: Parsed
    graph: Graph
    score: Score
    other: Score
    """By another way."""
    as_reference: Score
    """The text against itself."""
    again: tuple[Graph, Score]


def prepare(folder: Path) -> None:
    """Load the lexicon."""
    judge(REFERENCE, use(REFERENCE))


def use(text: str) -> Judged:
    """Parse, extract and score a text, as a completion and as a reference."""
    graph, first = _scored(text)
    other = score(text, REFERENCE, answer="yes", **way_of(text))
    as_reference = score(text, text, answer="yes")
    again = _scored(text) if zlib.crc32(_bytes(text)) % AGAIN == 0 else (graph, first)
    return Judged(prompts.parse(text), graph, first, other, as_reference, again)


def way_of(text: str) -> dict[str, Any]:
    """The settings by which a text is scored the second time."""
    return WAYS[zlib.crc32(_bytes(text)) % len(WAYS)]


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _scored(text: str) -> tuple[Graph, Score]:
    prompts._parse.cache_clear()
    (graph,) = _extractor().extract([text])
    return graph, score(text, REFERENCE, answer="yes")


def judge(text: str, judged: Judged) -> None:
    """Compare with the tags found by another reader.

    Raises:
        WrongError: If the status, a part or a score cannot be right.
    """
    if (judged.graph, judged.score) != judged.again:
        raise WrongError("read a second time it gives another graph or score")
    _judge_scores(text, judged)
    ok = judged.parsed.status is ParseStatus.ok
    parts = parts_of(text)
    if ok != (parts is not None):
        found = "one of each part" if parts else "another form"
        raise WrongError(f"the status is {judged.parsed.status.value}, and another reader finds {found}")
    if parts is not None and (judged.parsed.think, judged.parsed.answer) != parts:
        raise WrongError("the reasoning or the answer is not what stands between the tags")
    if not ok and (judged.score.graph or judged.score.accuracy):
        raise WrongError("a malformed text earns something")


def _judge_scores(text: str, judged: Judged) -> None:
    values = [
        value for one in (judged.score, judged.other, judged.as_reference) for value in one.parts.values()
    ]
    for value in values:
        if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
            raise WrongError(f"a score of {value}")
    for one in (judged.score, judged.other):
        if one.match is not None and one.match.entities.tp + one.match.entities.fn != len(_known().entities):
            raise WrongError("found and missing entities are not those of the reference")
        if one.graph is None or one.accuracy is None:
            raise WrongError("a score of None, which depends on the reference alone")
    if way_of(text).get("truncated") and (judged.other.graph or judged.other.accuracy):
        raise WrongError("a text that was cut off earns something")


@functools.cache
def _known() -> Graph:
    return _extractor().extract([prompts.reference_reasoning(REFERENCE)])[0]


def parts_of(text: str) -> tuple[str, str] | None:
    """Reasoning and answer of a text with one of each and no tag besides; None for any other.

    Written without regular expressions: characters are walked through from each `<`.
    """
    tags = _tags(text)
    if _begins_with_empty(text, tags):
        text = text[tags[1][2] :]
        tags = _tags(text)
    names = [name for name, _, _ in tags]
    if names not in (["think", "/think", "answer", "/answer"], ["answer", "/answer", "think", "/think"]):
        return None
    first, second = (text[tags[i][2] : tags[i + 1][1]].strip() for i in (0, 2))
    think, answer = (first, second) if names[0] == "think" else (second, first)
    return (think, answer) if think else None


def _begins_with_empty(text: str, tags: list[tuple[str, int, int]]) -> bool:
    """Whether an empty reasoning comes before all else, and another one after it."""
    names = [name for name, _, _ in tags]
    return (
        names[:2] == ["think", "/think"]
        and "think" in names[2:]
        and not text[: tags[0][1]].strip()
        and not text[tags[0][2] : tags[1][1]].strip()
    )


def _tags(text: str) -> list[tuple[str, int, int]]:
    """Each tag with its first character and one past its last."""
    found = []
    start = text.find("<")
    while start >= 0:
        if tag := _tag_at(text, start):
            found.append((tag[0], start, tag[1]))
        start = text.find("<", tag[1] if tag else start + 1)
    return found


def _tag_at(text: str, start: int) -> tuple[str, int] | None:
    place = _past_blanks(text, start + 1)
    slash = text[place : place + 1] == "/"
    place = _past_blanks(text, place + slash)
    name = next(
        (name for name in ("think", "answer") if text[place : place + len(name)].lower() == name), None
    )
    if name is None:
        return None
    place = _past_blanks(text, place + len(name))
    return (f"{'/' * slash}{name}", place + 1) if text[place : place + 1] == ">" else None


def _past_blanks(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place
