"""Writing prompts and reading completions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi import prompts
from chexphi.prompts import ParseStatus

CASES = [
    # completion, think, answer, status
    ("<think>a</think><answer>yes</answer>", "a", "yes", "ok"),
    ("<think>a\nb</think>\n<answer>\nyes\n</answer>", "a\nb", "yes", "ok"),  # R6: answers over lines
    ("<THINK>a</Think><Answer>Yes</ANSWER>", "a", "Yes", "ok"),
    ("<answer>yes</answer><think>a</think>", "a", "yes", "ok"),  # answer first
    ("<think>a</think><answer>yes</answer><|end|>\n<|endoftext|>", "a", "yes", "ok"),
    ("yes", None, None, "no_answer"),  # R9: no tags
    ("", None, None, "no_answer"),
    ("<think>a</think>", "a", None, "no_answer"),
    ("<answer>yes</answer>", None, "yes", "no_think"),
    ("<think></think><answer>yes</answer>", "", "yes", "empty_think"),  # R3
    ("<think> \n </think><answer>yes</answer>", "", "yes", "empty_think"),
    ("<think>a</think><answer>yes</answer> wait <answer>no</answer>", "a", None, "several_answers"),  # R10
    ("<think>a<answer>yes</answer>", None, "yes", "unclosed"),
    ("<think>a</think><answer>yes", "a", None, "unclosed"),
    ("a</think><answer>yes</answer>", None, "yes", "unclosed"),
    ("<think>a</think><think>b</think><answer>yes</answer>", None, "yes", "unclosed"),
    ("<think>a <answer>no</answer></think><answer>yes</answer>", None, None, "unclosed"),
    ("<think>a<think>b</think><answer>yes</answer>", None, "yes", "unclosed"),
]


@pytest.mark.parametrize(("text", "think", "answer", "status"), CASES)
def test_parse_table(text: str, think: str | None, answer: str | None, status: str) -> None:
    parsed = prompts.parse(text)
    assert (parsed.think, parsed.answer, parsed.status) == (think, answer, ParseStatus(status))


def test_a_truncated_completion_is_truncated_whatever_it_holds() -> None:
    parsed = prompts.parse("<think>a</think><answer>yes</answer> and", truncated=True)
    assert parsed.status is ParseStatus.truncated


PLAIN = st.text(alphabet=st.characters(exclude_characters="<>|", exclude_categories=["Cs"])).map(str.strip)


@given(think=PLAIN.filter(bool), answer=PLAIN)
def test_what_is_rendered_is_read_back(think: str, answer: str) -> None:
    parsed = prompts.parse(prompts.render(think, answer))
    assert (parsed.think, parsed.answer, parsed.status) == (think, answer, ParseStatus.ok)


@given(st.text(alphabet="<>/thinkanswer \n", max_size=80))
def test_any_text_parses_to_one_status(text: str) -> None:
    parsed = prompts.parse(text)
    assert (parsed.status is ParseStatus.ok) <= (bool(parsed.think) and parsed.answer is not None)


@given(
    st.lists(st.sampled_from(["<answer>", "</answer>", "<think>", "<|end|>", "<ANSWER >", "ye", " ", "\n"]))
)
def test_the_answer_stands_where_its_span_says(parts: list[str]) -> None:
    text = "".join(parts)
    answer, span = prompts.parse(text).answer, prompts.answer_span(text)
    assert (span is None) == (not answer)
    if span is not None:
        assert prompts.strip_end(text[slice(*span)]) == answer


def test_messages_put_films_before_the_question() -> None:
    (turn,) = prompts.messages("What is new?", 2)
    assert [part["type"] for part in turn["content"]] == ["image", "image", "text"]
    assert turn["content"][-1]["text"] == "What is new?"


@pytest.mark.parametrize(
    ("explanation", "reasoning"),
    [
        ("<think>Clear lungs.</think><answer>no</answer>", "Clear lungs."),
        ("Clear lungs.", "Clear lungs."),  # plain references are taken whole
        ("<answer>no</answer>", ""),  # the answer is no reasoning
    ],
)
def test_reference_reasoning(explanation: str, reasoning: str) -> None:
    assert prompts.reference_reasoning(explanation) == reasoning
