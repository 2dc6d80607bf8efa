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
    ("<think>a</think><answer>yes</answer><|im_end|>\n", "a", "yes", "ok"),
    ("<think>a</think><answer>yes</answer><end_of_turn>\n<eos><eos>", "a", "yes", "ok"),
    ("<think>a</think><answer>ye<|end|>s</answer>", "a", "ye<|end|>s", "ok"),  # a token inside is text
    ("<think>a<|end|></think><|end|><answer>yes</answer>", "a<|end|>", "yes", "ok"),
    ("< \n think\t>a< /\nthink ><answer >yes</ answer>", "a", "yes", "ok"),
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


PLAIN = st.text(alphabet=st.characters(exclude_characters="<>|", exclude_categories=["Cs"])).map(str.strip)

INSIDE = [
    # completion behind a prompt that ends in <think>, think, answer, status
    ("Clear.</think><answer>no</answer>", "Clear.", "no", "ok"),
    ("\nClear.\n</think>\n\n<answer>no</answer><|end|>", "Clear.", "no", "ok"),
    ("<think>Clear.</think><answer>no</answer>", "Clear.", "no", "ok"),  # put back by the trainer
    ("\n< Think >Clear.</think><answer>no</answer>", "Clear.", "no", "ok"),
    ("Clear. </THINK> <answer>no</answer>", "Clear.", "no", "ok"),
    ("</think><answer>no</answer>", "", "no", "empty_think"),
    ("Clear.</think>", "Clear.", None, "no_answer"),
    ("Clear.", None, None, "unclosed"),
    ("", None, None, "unclosed"),
    ("Clear.<answer>no</answer>", None, "no", "unclosed"),
    ("Clear <answer>no</answer></think>", None, None, "unclosed"),  # the answer inside the reasoning
    ("Clear.</think>No.</think><answer>no</answer>", None, "no", "unclosed"),
    ("A.</think><think>B.</think><answer>no</answer>", None, "no", "unclosed"),
    ("Clear.</think><answer>no</answer><answer>yes</answer>", "Clear.", None, "several_answers"),
]


@pytest.mark.parametrize(("text", "think", "answer", "status"), INSIDE)
def test_a_completion_that_begins_inside_the_reasoning(
    text: str, think: str | None, answer: str | None, status: str
) -> None:
    parsed = prompts.parse(text, opened_think=True)
    assert (parsed.think, parsed.answer, parsed.status) == (think, answer, ParseStatus(status))
    span = prompts.answer_span(text, opened_think=True)
    assert (span is None) == (not answer)
    if span is not None:
        assert text[slice(*span)] == answer


@pytest.mark.parametrize(
    ("prompt", "opened"),
    [
        ("<|im_start|>assistant\n<think>\n", True),
        ("<|Assistant|><think>", True),
        ("model\n< THINK >\n\n", True),
        ("<|im_start|>assistant\n", False),
        ("assistant\n<think>\n\n</think>\n\n", False),  # thinking switched off
        ("Write your reasoning in <think>.<|end|>\n<|assistant|>\n", False),  # the question names the tag
        ("<think> in a question<|im_end|>\n", False),
        ("assistant\n<answer>", False),
        ("", False),
    ],
)
def test_which_prompts_open_the_reasoning(prompt: str, opened: bool) -> None:
    assert prompts.opens_think(prompt) is opened


@given(think=PLAIN.filter(bool), answer=PLAIN)
def test_a_target_behind_its_prompt_is_read_back(think: str, answer: str) -> None:
    whole = prompts.render(think, answer)
    rest = prompts.after_prompt(whole, opened_think=True)
    assert rest == prompts.render(think, answer, opened_think=True) == whole.removeprefix("<think>")
    assert prompts.with_prompt(rest, opened_think=True) == whole
    assert prompts.parse(rest, opened_think=True) == prompts.parse(whole)
    assert (prompts.closes_first(rest), prompts.closes_first(whole)) == (True, False)
    assert prompts.after_prompt(whole, opened_think=False) == whole


@pytest.mark.parametrize("target", ["Clear.", "<answer>no</answer><think>Clear.</think>", ""])
def test_a_target_without_its_tag_cannot_follow_an_open_one(target: str) -> None:
    assert prompts.after_prompt(target, opened_think=True) is None
    assert prompts.after_prompt(target, opened_think=False) == target


def test_the_empty_reasoning_of_a_template_is_not_the_policys() -> None:
    empty = "<think>\n\n</think>\n\n"
    text = "<think>Clear.</think><answer>no</answer>"
    assert prompts.parse(empty + text) == prompts.parse(text)
    assert prompts.parse(empty + "<answer>no</answer>").status is ParseStatus.empty_think
    assert prompts.parse(text + empty).status is ParseStatus.unclosed


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_a_reasoning_that_a_server_took_out_is_put_back(name: str) -> None:
    message = {"role": "assistant", "content": "<answer>no</answer>", name: "Clear."}
    text = prompts.text_of([message])
    assert prompts.parse(text) == prompts.parse("<think>Clear.</think><answer>no</answer>")
    assert prompts.parse(text, opened_think=True) == prompts.parse(text)
    assert prompts.text_of([{**message, name: None}]) == "<answer>no</answer>"
    assert prompts.text_of([{"role": "assistant", "content": None}]) == ""


def test_a_truncated_completion_is_truncated_whatever_it_holds() -> None:
    parsed = prompts.parse("<think>a</think><answer>yes</answer> and", truncated=True)
    assert parsed.status is ParseStatus.truncated


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
        assert text[slice(*span)] == answer


def test_messages_put_films_before_the_question() -> None:
    (turn,) = prompts.messages("What is new?", 2)
    assert [part["type"] for part in turn["content"]] == ["image", "image", "text"]
    assert turn["content"][-1]["text"] == "What is new?"


@pytest.mark.parametrize(
    ("explanation", "reasoning"),
    [
        ("<think>Clear lungs.</think><answer>no</answer>", "Clear lungs."),
        ("Clear lungs.", "Clear lungs."),  # plain references are taken whole
        ("Clear lungs.<|im_end|>\n", "Clear lungs."),
        ("<answer>no</answer>", ""),  # the answer is no reasoning
    ],
)
def test_reference_reasoning(explanation: str, reasoning: str) -> None:
    assert prompts.reference_reasoning(explanation) == reasoning
