"""The only place that writes a prompt or reads `<think>`/`<answer>`."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

END_TOKENS = ("<|end|>", "<|endoftext|>")
_TAG = re.compile(r"<\s*(/?)\s*(think|answer)\s*>", re.IGNORECASE)


class ParseStatus(StrEnum):
    """How a completion parses; every value but `ok` is *malformed*, never a silent zero."""

    ok = "ok"
    no_think = "no_think"
    no_answer = "no_answer"
    unclosed = "unclosed"
    several_answers = "several_answers"
    empty_think = "empty_think"
    truncated = "truncated"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The parts of a completion. `think` and `answer` are None where they cannot be read."""

    think: str | None
    answer: str | None
    status: ParseStatus

    @property
    def words(self) -> int:
        """Length of the reasoning; 0 where none can be read."""
        return len((self.think or "").split())


def messages(question: str, num_images: int) -> list[dict[str, Any]]:
    """The user turn as chat messages: films first, prior before current, then the question."""
    content: list[dict[str, Any]] = [{"type": "image"} for _ in range(num_images)]
    return [{"role": "user", "content": [*content, {"type": "text", "text": question}]}]


def render(think: str, answer: str) -> str:
    """The target text of an example."""
    return f"<think>{think}</think><answer>{answer}</answer>"


def text_of(completion: str | Sequence[dict[str, Any]]) -> str:
    """The text of a completion given as a string or as chat messages, of which the last is read."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"] if completion else ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content or ())


def strip_end(text: str) -> str:
    """Remove end-of-turn tokens and surrounding white space."""
    for token in END_TOKENS:
        text = text.replace(token, "")
    return text.strip()


def _sections(text: str, name: str) -> tuple[list[str], bool]:
    """Contents of each closed `<name>` section, and whether one is left open or closed twice."""
    found: list[str] = []
    start: int | None = None
    broken = False
    for tag in _TAG.finditer(text):
        if tag[2].lower() != name:
            continue
        if not tag[1]:
            broken |= start is not None
            start = tag.end()
        elif start is None:
            broken = True
        else:
            found.append(text[start : tag.start()].strip())
            start = None
    return found, broken or start is not None


@functools.lru_cache(maxsize=1024)  # several rewards read one completion
def parse(text: str, *, truncated: bool = False) -> Parsed:
    """Read reasoning and answer from a completion; tags in any case, in either order, over lines.

    Args:
        text: The completion, with or without end tokens.
        truncated: Whether generation hit its length limit without an end token.

    The first rule that applies gives the status: `truncated`, `unclosed` (a tag without its
    partner, or sections that overlap), `several_answers`, `no_answer`, `no_think`, `empty_think`,
    `ok`. A single closed part is returned even when the other part is missing.
    """
    text = strip_end(text)
    thinks, think_broken = _sections(text, "think")
    answers, answer_broken = _sections(text, "answer")
    nested = any(_TAG.search(part) for part in thinks + answers)
    think = thinks[0] if len(thinks) == 1 and not think_broken and not nested else None
    answer = answers[0] if len(answers) == 1 and not answer_broken and not nested else None
    if truncated:
        status = ParseStatus.truncated
    elif think_broken or answer_broken or nested or len(thinks) > 1:
        status = ParseStatus.unclosed
    elif len(answers) > 1:
        status = ParseStatus.several_answers
    elif not answers:
        status = ParseStatus.no_answer
    elif not thinks:
        status = ParseStatus.no_think
    elif not think:
        status = ParseStatus.empty_think
    else:
        status = ParseStatus.ok
    return Parsed(think, answer, status)


def answer_span(text: str) -> tuple[int, int] | None:
    """Where the answer that `parse` reads stands: first character, one past the last; None without one."""
    tags = [tag for tag in _TAG.finditer(text) if tag[2].lower() == "answer"]
    if len(tags) != 2 or not parse(text).answer:
        return None
    start, end = tags
    inside = text[start.end() : end.start()]
    first = start.end() + len(inside) - len(inside.lstrip())
    return first, first + len(inside.strip())


def reference_reasoning(explanation: str) -> str:
    """The reasoning of a reference: its think part, or a plain text without tags as a whole."""
    parsed = parse(explanation)
    if parsed.think is not None:
        return parsed.think
    return "" if _TAG.search(explanation) else strip_end(explanation)
