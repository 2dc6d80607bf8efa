"""Across the length at which LongRoPE changes its factors: divided, refused or warned about."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from longrope_pair import longrope_pair

from chexphi.models import longrope
from chexphi.models.generate import generate
from chexphi.models.likelihood import sequence_logprobs
from chexphi.models.shared_prompts import common_prefix, read_prompts
from chexphi.models.shared_prompts.sharing import SharedPrompts
from chexphi.prompts import messages
from chexphi.schema import InputError

LIMIT = 60
QUESTIONS = [
    "Is it new?",
    "Is there an opacity in the left upper zone of the film? " * 6,
    "Is it big?",
    "Is the heart big? " * 9,
]


@pytest.fixture(scope="module")
def pair(tiny_folder: Path) -> tuple[Any, Any]:
    return longrope_pair(tiny_folder, LIMIT)


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Any:
    """Messages since the process began, as it were."""
    longrope._warn.cache_clear()
    caplog.set_level(logging.WARNING, logger="chexphi")
    yield lambda: [
        record.getMessage() for record in caplog.records if "position factors" in record.getMessage()
    ]
    longrope._warn.cache_clear()


def encode(pair: Any, questions: list[str], films: list[list[Any]]) -> dict[str, Any]:
    texts = [
        pair[1].apply_chat_template(messages(question, len(row)), add_generation_prompt=True)
        for question, row in zip(questions, films, strict=True)
    ]
    return dict(pair[1](text=texts, images=films, padding=True, return_tensors="pt"))


@pytest.fixture(scope="module")
def films(film: Any) -> list[list[Any]]:
    return [[], [film(1)], [film(2, 60, 30)], []]


def test_the_rows_lie_on_both_sides(pair: Any, films: Any) -> None:
    lengths = encode(pair, QUESTIONS, films)["attention_mask"].sum(1)
    assert ((lengths > LIMIT).tolist()) == [False, True, False, True]
    assert lengths[[0, 2]].max() + 8 <= LIMIT


def test_a_batch_that_crosses_is_warned_about_once(pair: Any, films: Any, warned: Any) -> None:
    inputs = encode(pair, QUESTIONS, films)
    with torch.no_grad():
        together = pair[0](**inputs).logits[0, -1]
        pair[0](**inputs)
        alone = pair[0](**encode(pair, QUESTIONS[:1], films[:1])).logits[0, -1]
    assert (together - alone).abs().max() > 1e-2  # this is what the warning is for
    assert len(warned()) == 1
    assert f"crosses the {LIMIT} positions" in warned()[0]


def test_padding_alone_can_cross(pair: Any, warned: Any) -> None:
    """As in TRL: prompts padded on the left, completions on the right, no positions given."""
    ids = torch.full((2, LIMIT + 5), 9)
    mask = torch.ones_like(ids)
    mask[0, :10] = 0
    mask[1, LIMIT - 3 :] = 0
    with torch.no_grad():
        pair[0](input_ids=ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0))
        assert warned() == []
        pair[0](input_ids=ids, attention_mask=mask)
    assert len(warned()) == 1


@pytest.mark.parametrize("rows", [[0, 2], [1, 3], [1]])
def test_a_batch_on_one_side_is_not_warned_about(pair: Any, films: Any, warned: Any, rows: list[int]) -> None:
    with torch.no_grad():
        pair[0](**encode(pair, [QUESTIONS[i] for i in rows], [films[i] for i in rows]))
    assert warned() == []


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_generation_divides_a_batch_that_crosses(
    pair: Any, films: Any, warned: Any, temperature: float
) -> None:
    """Each row as alone, also where a longer row ends first and would have taken its factors with it."""
    found = generate(*pair, QUESTIONS, films, max_new_tokens=8, temperature=temperature, samples=2, seed=3)
    assert warned() == []
    for question, row, group in zip(QUESTIONS, films, found, strict=True):
        for one in group:
            inputs = encode(pair, [question], [row])
            ids = torch.tensor([one.token_ids])
            inputs["input_ids"] = torch.cat([inputs["input_ids"], ids], dim=1)
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
            with torch.no_grad():
                logprobs = pair[0](**inputs).logits[0, -ids.shape[1] - 1 : -1].log_softmax(-1)
            expected = logprobs.gather(1, ids.T)[:, 0]
            assert one.logprobs == pytest.approx(expected.tolist(), abs=1e-4)
            assert one.prompt == pair[1].apply_chat_template(
                messages(question, len(row)), add_generation_prompt=True
            )


def test_scoring_divides_a_batch_that_crosses(pair: Any, films: Any, warned: Any) -> None:
    texts = [" no", " yes, it is", "<answer>yes</answer>", " no"]
    together = sequence_logprobs(*pair, QUESTIONS, films, texts)
    assert warned() == []
    rows = zip(QUESTIONS, films, texts, strict=True)
    single = [sequence_logprobs(*pair, [question], [row], [text])[0] for question, row, text in rows]
    assert together == pytest.approx(single, abs=1e-4)


def test_generating_across_the_limit_is_refused_whatever_stands_beside_it(pair: Any, films: Any) -> None:
    for rows in ([0], [0, 1]):
        with pytest.raises(InputError, match="lower max_new_tokens"):
            generate(*pair, [QUESTIONS[i] for i in rows], [films[i] for i in rows], max_new_tokens=LIMIT)


def test_without_longrope_there_is_no_limit(tiny_pair: Any) -> None:
    assert longrope.limit_of(tiny_pair[0].config) is None


@pytest.mark.parametrize(
    ("start", "room", "shares"), [("", 8, True), ("", 45, False), ("The lung? " * 9, 4, False)]
)
def test_a_prefix_is_shared_within_the_limit_alone(
    pair: Any, film: Any, monkeypatch: Any, start: str, room: int, shares: bool
) -> None:
    """Read apart, a prefix within the limit would have other factors than its row beyond it."""
    monkeypatch.setattr(common_prefix, "MIN_SAVED_TOKENS", 1)
    asked = [start + question for question in ("Is it new?", "Is it big?", "Is it in the left zone?")]
    films = [[film(1, 60, 30)]] * 3
    inputs = {name: value.to(pair[0].device) for name, value in encode(pair, asked, films).items()}
    assert (read_prompts.find_prefixes(pair[0], inputs, room=room) is not None) == shares
    texts = [" left zone" * (room // 2)] * 3  # 45: every row crosses, its prompt does not

    def found() -> Any:
        one = sequence_logprobs(*pair, asked * 2, films * 2, texts + [" no"] * 3)
        return one, generate(*pair, asked, films, max_new_tokens=4)

    shared = found()
    monkeypatch.setattr(pair[0], "prompt_sharing", SharedPrompts("off"))
    plain = found()
    assert shared[0] == pytest.approx(plain[0], rel=1e-6)
    for [one], [other] in zip(shared[1], plain[1], strict=True):
        assert one.token_ids == other.token_ids
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
