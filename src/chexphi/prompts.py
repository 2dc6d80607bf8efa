"""Write prompts, and read `<think>` and `<answer>`. No other file does either."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

END_TOKENS = ("<|end|>", "<|endoftext|>", "<|im_end|>", "<end_of_turn>", "<eos>")
"""The end of a turn of Phi-4, Qwen or Gemma in a text that was decoded with its special tokens."""
_TAG = re.compile(r"<\s*+(/?+)\s*+(think|answer)\s*+>", re.IGNORECASE)
"""Possessive, as all patterns here: long white space takes no more time than other characters."""
_LEADING_THINK = re.compile(r"\s*+<\s*+think\s*+>", re.IGNORECASE)
_EMPTY_BLOCK = re.compile(r"\s*+<\s*+think\s*+>\s*+<\s*+/\s*+think\s*+>", re.IGNORECASE)
_OPEN_THINK = re.compile(r"<\s*+think\s*+>", re.IGNORECASE)
_OPEN_THINK_AT_END = re.compile(r"<\s*+think\s*+>\Z", re.IGNORECASE)
_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")


class ParseStatus(StrEnum):
    """The status of a parsed completion. Every value but `ok` means *malformed* and is counted as such."""

    ok = "ok"
    no_think = "no_think"
    no_answer = "no_answer"
    unclosed = "unclosed"
    several_answers = "several_answers"
    empty_think = "empty_think"
    truncated = "truncated"


@dataclass(frozen=True, slots=True)
class Parsed:
    """The sections of a completion. `think` and `answer` are None where they cannot be read."""

    think: str | None
    answer: str | None
    status: ParseStatus

    @property
    def words(self) -> int:
        """Length of the reasoning in words; 0 where none can be read."""
        return len((self.think or "").split())


def messages(question: str, num_images: int) -> list[dict[str, Any]]:
    """The user turn as chat messages: films first, prior before current, then the question."""
    content: list[dict[str, Any]] = [{"type": "image"} for _ in range(num_images)]
    return [{"role": "user", "content": [*content, {"type": "text", "text": question}]}]


def render(think: str, answer: str, *, opened_think: bool = False) -> str:
    """The target text of an example. After a prompt that ends in `<think>` it begins without this tag."""
    text = f"<think>{think}</think><answer>{answer}</answer>"
    return text.removeprefix("<think>") if opened_think else text


def opens_think(prompt: str) -> bool:
    """Whether a rendered prompt ends in an open `<think>`: its completion begins inside the reasoning.

    The chat templates of thinking models (Qwen3-VL-Thinking, DeepSeek-R1) write the tag themselves. A prompt
    that ends in an empty `<think></think>` does not count: its reasoning is closed.

    >>> opens_think("<|im_start|>assistant\\n<think>\\n"), opens_think("<think>\\n\\n</think>\\n\\n")
    (True, False)
    """
    return _OPEN_THINK_AT_END.search(prompt.rstrip()) is not None


def after_prompt(target: str, *, opened_think: bool) -> str | None:
    """The text that a policy has to write after its prompt to give the target; None if that is impossible.

    After a prompt that ends in `<think>` the target has to begin with this tag, which is then left out.
    """
    if not opened_think:
        return target
    tag = _LEADING_THINK.match(target)
    return target[tag.end() :] if tag else None


def with_prompt(completion: str, *, opened_think: bool) -> str:
    """A completion with the `<think>` that its prompt ended in, unless it begins with the tag itself.

    Some servers and trainers (ms-swift) put the tag back; others (TRL, veRL) pass only what was sampled.
    """
    return completion if not opened_think or _LEADING_THINK.match(completion) else f"<think>{completion}"


def closes_first(completion: str) -> bool:
    """Whether `</think>` comes before any `<think>`, as after a prompt that ends in `<think>`."""
    think_tag = next((tag for tag in _TAG.finditer(completion) if tag[2].lower() == "think"), None)
    return think_tag is not None and bool(think_tag[1])


def text_of(completion: str | Sequence[dict[str, Any]]) -> str:
    """The text of a completion that is a string or a list of chat messages, of which the last is read.

    A reasoning that a server has moved out of the text (`reasoning_content`) is put back in its tags.
    """
    if isinstance(completion, str):
        return completion
    message = completion[-1] if completion else {}
    content = message.get("content") or ""
    texts = [content] if isinstance(content, str) else [entry.get("text") or "" for entry in content]
    text = "".join(texts)
    reasoning = next((message[name] for name in _REASONING_KEYS if message.get(name)), None)
    return f"<think>{reasoning}</think>{text}" if isinstance(reasoning, str) else text


def strip_end(text: str) -> str:
    """Remove surrounding white space and the end-of-turn tokens at the end; other such tokens are text.

    >>> strip_end(" yes<|end|> <|endoftext|>"), strip_end("ye<|end|>s")
    ('yes', 'ye<|end|>s')
    """
    end, previous_end = len(text), -1
    while end != previous_end:
        previous_end = end
        while end and text[end - 1].isspace():
            end -= 1
        end -= next((len(token) for token in END_TOKENS if text.endswith(token, 0, end)), 0)
    return text[:end].strip()


def _without_empty_block(text: str) -> str:
    block = _EMPTY_BLOCK.match(text)
    return text[block.end() :] if block and _OPEN_THINK.search(text, block.end()) else text


def _sections(text: str, name: str) -> tuple[list[str], bool]:
    """Contents of each closed `<name>` section, and whether one is left open or closed twice."""
    contents: list[str] = []
    start: int | None = None
    is_broken = False
    for tag in _TAG.finditer(text):
        if tag[2].lower() != name:
            continue
        if not tag[1]:
            is_broken |= start is not None
            start = tag.end()
        elif start is None:
            is_broken = True
        else:
            contents.append(text[start : tag.start()].strip())
            start = None
    return contents, is_broken or start is not None


def parse(text: str, *, truncated: bool = False, opened_think: bool = False) -> Parsed:
    """Read reasoning and answer from a completion; tags in any case, in either order, over lines.

    Args:
        text: The completion, with or without end tokens.
        truncated: Whether generation hit its length limit without an end token.
        opened_think: Whether the prompt ended in an open `<think>` (see `opens_think`).

    An empty reasoning before another one is left out: chat templates write it for models that are not to
    think, and ms-swift puts it back into the completion.

    The first rule that applies gives the status: `truncated`, `unclosed` (a tag without its partner, or
    sections that overlap), `several_answers`, `no_answer`, `no_think`, `empty_think`, `ok`. A single closed
    section is returned even if the other one is missing.
    """
    return _parse(text, truncated, opened_think)


@functools.lru_cache(maxsize=1024)  # several rewards read one completion, and one reference
def _parse(text: str, truncated: bool, opened_think: bool) -> Parsed:
    text = strip_end(_without_empty_block(with_prompt(text, opened_think=opened_think)))
    thinks, think_broken = _sections(text, "think")
    answers, answer_broken = _sections(text, "answer")
    nested = any(_TAG.search(section) for section in thinks + answers)
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
    """The answer that `parse` reads as (first character, one past the last); None without an answer."""
    tags = [tag for tag in _TAG.finditer(text) if tag[2].lower() == "answer"]
    if len(tags) != 2 or not parse(text, opened_think=opened_think).answer:
        return None
    start, end = tags
    inside = text[start.end() : end.start()]
    answer_start = start.end() + len(inside) - len(inside.lstrip())
    return answer_start, answer_start + len(inside.strip())


def reference_reasoning(explanation: str, *, opened_think: bool = False) -> str:
    """The reasoning of a reference: its think section, or the whole text if it has no tags."""
    parsed = parse(explanation, opened_think=opened_think)
    if parsed.think is not None:
        return parsed.think
    return "" if _TAG.search(explanation) else strip_end(explanation)
