"""The only place that writes a prompt or reads `<think>`/`<answer>`."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

END_TOKENS = ("<|end|>", "<|endoftext|>", "<|im_end|>", "<end_of_turn>", "<eos>")
"""What ends a turn of Phi-4, Qwen or Gemma, where a text was decoded with its special tokens."""
_TAG = re.compile(r"<\s*+(/?+)\s*+(think|answer)\s*+>", re.IGNORECASE)
"""Possessive, as the others: white space without end takes no longer than other characters."""
_THINK = re.compile(r"\s*+<\s*+think\s*+>", re.IGNORECASE)
_EMPTY_BLOCK = re.compile(r"\s*+<\s*+think\s*+>\s*+<\s*+/\s*+think\s*+>", re.IGNORECASE)
_OPEN = re.compile(r"<\s*+think\s*+>", re.IGNORECASE)
_OPEN_END = re.compile(r"<\s*+think\s*+>\Z", re.IGNORECASE)
_REASONING = ("reasoning_content", "reasoning", "thinking")


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


def render(think: str, answer: str, *, opened_think: bool = False) -> str:
    """The target text of an example; behind a prompt that ends in `<think>`, what follows it."""
    text = f"<think>{think}</think><answer>{answer}</answer>"
    return text.removeprefix("<think>") if opened_think else text


def opens_think(prompt: str) -> bool:
    """Whether a rendered prompt ends in an open `<think>`: its completion begins inside the reasoning.

    The chat templates of thinking models (Qwen3-VL-Thinking, DeepSeek-R1) write the tag themselves. One that
    adds an empty `<think></think>` has closed it again.

    >>> opens_think("<|im_start|>assistant\\n<think>\\n"), opens_think("<think>\\n\\n</think>\\n\\n")
    (True, False)
    """
    return _OPEN_END.search(prompt.rstrip()) is not None


def after_prompt(target: str, *, opened_think: bool) -> str | None:
    """What a policy has to write behind its prompt to give the target; None if the prompt does not allow it.

    A prompt that ends in `<think>` takes a target that begins with this tag, which is then left out.
    """
    if not opened_think:
        return target
    tag = _THINK.match(target)
    return target[tag.end() :] if tag else None


def with_prompt(completion: str, *, opened_think: bool) -> str:
    """A completion with the `<think>` that its prompt ended in, unless it says the tag itself.

    Some servers and trainers (ms-swift) put the tag back, others (TRL, veRL) hand on what was sampled.
    """
    return completion if not opened_think or _THINK.match(completion) else f"<think>{completion}"


def closes_first(completion: str) -> bool:
    """Whether `</think>` comes before any `<think>`, as where `opened_think` holds."""
    first = next((tag for tag in _TAG.finditer(completion) if tag[2].lower() == "think"), None)
    return first is not None and bool(first[1])


def text_of(completion: str | Sequence[dict[str, Any]]) -> str:
    """The text of a completion given as a string or as chat messages, of which the last is read.

    A reasoning that a server has taken out of the text (`reasoning_content`) is put back in its tags.
    """
    if isinstance(completion, str):
        return completion
    message = completion[-1] if completion else {}
    content = message.get("content") or ""
    text = content if isinstance(content, str) else "".join(part.get("text") or "" for part in content)
    reasoning = next((message[name] for name in _REASONING if message.get(name)), None)
    return f"<think>{reasoning}</think>{text}" if isinstance(reasoning, str) else text


def strip_end(text: str) -> str:
    """Remove surrounding white space, and the end-of-turn tokens that stand last; any other is text.

    >>> strip_end(" yes<|end|> <|endoftext|>"), strip_end("ye<|end|>s")
    ('yes', 'ye<|end|>s')
    """
    end, before = len(text), -1
    while end != before:
        before = end
        while end and text[end - 1].isspace():
            end -= 1
        end -= next((len(token) for token in END_TOKENS if text.endswith(token, 0, end)), 0)
    return text[:end].strip()


def _without_empty_block(text: str) -> str:
    block = _EMPTY_BLOCK.match(text)
    return text[block.end() :] if block and _OPEN.search(text, block.end()) else text


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


def parse(text: str, *, truncated: bool = False, opened_think: bool = False) -> Parsed:
    """Read reasoning and answer from a completion; tags in any case, in either order, over lines.

    Args:
        text: The completion, with or without end tokens.
        truncated: Whether generation hit its length limit without an end token.
        opened_think: Whether the prompt ended in an open `<think>` (see `opens_think`).

    An empty reasoning before another one is left out: it is what chat templates write for models that shall
    not think, and ms-swift puts back into the completion.

    The first rule that applies gives the status: `truncated`, `unclosed` (a tag without its
    partner, or sections that overlap), `several_answers`, `no_answer`, `no_think`, `empty_think`,
    `ok`. A single closed part is returned even when the other part is missing.
    """
    return _parse(text, truncated, opened_think)


@functools.lru_cache(maxsize=1024)  # several rewards read one completion, and one reference
def _parse(text: str, truncated: bool, opened_think: bool) -> Parsed:
    text = strip_end(_without_empty_block(with_prompt(text, opened_think=opened_think)))
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


def answer_span(text: str, *, opened_think: bool = False) -> tuple[int, int] | None:
    """Where the answer that `parse` reads stands: first character, one past the last; None without one."""
    tags = [tag for tag in _TAG.finditer(text) if tag[2].lower() == "answer"]
    if len(tags) != 2 or not parse(text, opened_think=opened_think).answer:
        return None
    start, end = tags
    inside = text[start.end() : end.start()]
    first = start.end() + len(inside) - len(inside.lstrip())
    return first, first + len(inside.strip())


def reference_reasoning(explanation: str, *, opened_think: bool = False) -> str:
    """The reasoning of a reference: its think part, or a plain text without tags as a whole."""
    parsed = parse(explanation, opened_think=opened_think)
    if parsed.think is not None:
        return parsed.think
    return "" if _TAG.search(explanation) else strip_end(explanation)
