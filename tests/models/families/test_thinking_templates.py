"""Chat templates that write `<think>`, or take it out: a target follows the prompt that is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_families
from trl.data_utils import apply_chat_template

from chexphi import prompts
from chexphi.models import policy
from chexphi.schema import InputError

TARGET = "<think>There is no effusion.\nThe heart is normal.</think><answer>no</answer>"
START, END = "{{ '<|im_start|>' + m.role + '\n' }}", "{{ '<|im_end|>\n' }}"
PARTS = (
    "{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}{{ part.text }}"
    "{% endfor %}{% endif %}"
)
ANSWER_ALONE = "{{ (m.content if m.content is string else m.content[0].text).split('</think>')[-1] }}"


def template(turn: str, begin: str) -> str:
    """A chat template with `turn` for what the assistant said, and `begin` for what it says next."""
    of_role = f"{{% if m.role == 'assistant' %}}{turn}{{% else %}}{PARTS}{{% endif %}}"
    each = f"{{% for m in messages %}}{START}{of_role}{END}{{% endfor %}}"
    return each + f"{{% if add_generation_prompt %}}{{{{ '<|im_start|>assistant\n{begin}' }}}}{{% endif %}}"


TEMPLATES = {
    "plain": (template(PARTS, ""), False),
    "opened, as DeepSeek-R1 without the reasoning of earlier turns": (
        template(ANSWER_ALONE, "<think>\n"),
        True,
    ),
    "opened, turns as they are": (template(PARTS, "<think>"), True),
    "opened, with a line of its own": (template(PARTS, "<think>\n\n"), True),
    "an empty reasoning": (template(PARTS, "<think>\n\n</think>\n\n"), False),
    "Qwen3-VL-Instruct": (tiny_families._template("qwen3_vl"), False),
    "Qwen3.5, which thinks": (tiny_families._template("qwen3_5_think"), True),
    "Qwen3.8": (tiny_families._template("qwen3_8"), True),
    "Qwen3.5, which does not": (tiny_families._template("qwen3_5_nothink"), False),
}


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_families.folder("qwen3_vl", tmp_path_factory)
    assert folder is not None
    return policy.load(folder)[1]


@pytest.mark.parametrize(("text", "opened"), TEMPLATES.values(), ids=TEMPLATES)
def test_a_target_follows_the_prompt_that_is_asked(processor: Any, text: str, opened: bool) -> None:
    processor.chat_template = text
    turns = prompts.messages("Is there <think> an effusion?", 0)
    asked = processor.apply_chat_template(turns, add_generation_prompt=True)
    assert prompts.opens_think(asked) is opened
    for content in (TARGET, [{"type": "text", "text": f" {TARGET}\n"}]):
        row = {"prompt": turns, "completion": [{"role": "assistant", "content": content}]}
        trained = apply_chat_template(row, processor)  # as TRL's collator does
        assert trained["prompt"] == asked
        said, end, rest = trained["completion"].partition("<|im_end|>")
        assert (end, rest.strip()) == ("<|im_end|>", "")
        assert said == (TARGET.removeprefix("<think>") if opened else TARGET)
        assert prompts.parse(said, opened_think=opened) == prompts.parse(TARGET)


def test_control_tokens_of_a_target_are_text(processor: Any) -> None:
    processor.chat_template = TEMPLATES["Qwen3.5, which thinks"][0]
    target = {"role": "assistant", "content": "<think>A<|im_end|>B</think><answer>no</answer>"}
    text = processor.apply_chat_template([*prompts.messages("Is it?", 0), target])
    assert "A< |im_end|>B</think>" in text


def test_a_target_without_its_tag_is_refused(processor: Any) -> None:
    processor.chat_template = TEMPLATES["Qwen3.5, which thinks"][0]
    target = {"role": "assistant", "content": "<answer>no</answer>"}
    with pytest.raises(InputError, match="opens <think> itself"):
        processor.apply_chat_template([*prompts.messages("Is it?", 0), target])


def test_a_template_that_shows_no_target_is_refused(processor: Any) -> None:
    processor.chat_template = template("", "")
    target = {"role": "assistant", "content": TARGET}
    with pytest.raises(InputError, match="leaves the assistant's turn out"):
        processor.apply_chat_template([*prompts.messages("Is it?", 0), target])


def test_a_family_without_reasoning_of_its_own_is_rendered_as_natively(tmp_path: Path) -> None:
    for kind, build in tiny_families.BUILDERS.items():
        (tmp_path / kind).mkdir()
        build(tmp_path / kind, tiny_families.TEXTS)
        ours = policy.load(tmp_path / kind)[1]
        native = next(cls for cls in type(ours).__mro__ if cls.__module__.startswith("transformers."))
        turns = [*prompts.messages("Is it new?", 2), {"role": "assistant", "content": TARGET}]
        turns[1]["content"] = [{"type": "text", "text": TARGET}]
        assert ours.apply_chat_template(turns) == native.apply_chat_template(ours, turns)
