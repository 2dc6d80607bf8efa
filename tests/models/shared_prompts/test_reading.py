"""Rows that begin alike are read once: against every row read, in every family."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tiny_families
from peft import LoraConfig, get_peft_model

from chexphi.models import adapter
from chexphi.models.generate import generate
from chexphi.models.likelihood import sequence_logprobs
from chexphi.models.policy import load
from chexphi.models.rollout.drafting import DraftLimits
from chexphi.models.shared_prompts import common_prefix, read_prompts
from chexphi.models.shared_prompts.sharing import SharedPrompts

START = "This is a film of the chest of a patient who has had a cough for a week. "
NEW, BIG, WHERE = (
    START + end for end in ("Is it new?", "Is the heart big?", "Where in the left lung is the opacity?")
)
MIXES = {
    "questions about a film": ([(NEW, (1,)), (BIG, (1,)), (WHERE, (1,))], 1),
    "two films each": ([(NEW, (1, 2)), (BIG, (1, 2)), (WHERE, (1, 2))], 1),
    "none, one and two films": (
        [(NEW, ()), (BIG, (2, 1)), (WHERE, (1,)), (BIG, ()), (WHERE, (2, 1)), (NEW, (1,)), (BIG, (1,))],
        3,
    ),
    "a film of its own beside": ([(NEW, (1,)), (WHERE, (1,)), (BIG, (1,)), (WHERE, (3,))], 2),
    "no films": ([(NEW, ()), (BIG, ()), (WHERE, ())], 1),
    "one question begins another": ([(START, (1,)), (NEW, (1,)), (NEW + " Why?", (1,))], 1),
    "the same question": ([(WHERE, (1,))] * 3, 1),
    "films in another order": ([(NEW, (1, 2)), (BIG, (2, 1)), (BIG, (1, 2)), (NEW, (2, 1))], 2),
    "same text, other films": ([(NEW, (1,)), (NEW, (2,)), (NEW, (3,))], None),
    "one question": ([(NEW, (1,))], None),
}
"""Questions with the seeds of their films, and how many prefixes are read; None for the plain path."""
TEXTS = ["<answer>yes</answer>", " no", "", "<think>The left zone.</think><answer>no</answer>"]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small prompts save too little."""
    monkeypatch.setattr(common_prefix, "MIN_SAVED_TOKENS", 1)


@pytest.fixture(scope="module", params=["phi4_multimodal", *tiny_families.BUILDERS])
def folder(request: Any, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_families.without_short_windows(request.param, tmp_path_factory) or tiny_folder


@pytest.fixture(scope="module")
def pair(folder: Path) -> tuple[Any, Any]:
    return load(folder)


def rows_of(mix: list[Any], film: Callable[..., Any]) -> tuple[list[str], list[list[Any]]]:
    """Every row with films of its own, equal ones or not: the same film under several names."""
    return [q for q, _ in mix], [[film(seed, 30 + 15 * seed, 40) for seed in seeds] for _, seeds in mix]


@contextmanager
def sizes_read(model: Any) -> Iterator[list[tuple[int, int]]]:
    """Rows and tokens of every forward of more than one token a row, and of the first."""
    seen: list[tuple[int, int]] = []
    hook = model.model.register_forward_pre_hook(
        lambda _, __, kwargs: seen.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    try:
        yield seen
    finally:
        hook.remove()


def both(model: Any, work: Callable[[], Any]) -> tuple[Any, Any, list[tuple[int, int]]]:
    """What comes out with and without sharing, and the sizes read with it."""
    base = adapter.unwrapped(model)
    with sizes_read(base) as seen:
        shared = work()
    base.prompt_sharing = SharedPrompts("off")
    plain = work()
    del base.prompt_sharing
    return shared, plain, seen


def same(shared: list[Any], plain: list[Any]) -> None:
    for group, expected in zip(shared, plain, strict=True):
        assert [one.token_ids for one in group] == [one.token_ids for one in expected]
        for one, other in zip(group, expected, strict=True):
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
            assert (one.text, one.prompt, one.truncated) == (other.text, other.prompt, other.truncated)


def check_sizes(seen: list[tuple[int, int]], rows: int, read: int | None) -> None:
    """Two forwards read the prompts, of `read` prefixes and of all rows, or one does; then come drafts."""
    most_drafts = DraftLimits.of("cpu").most_drafts
    if read is None:
        assert seen[0][0] == rows
        assert len(seen) == 1 or seen[1][1] <= 1 + most_drafts
        return
    assert [size[0] for size in seen[:2]] == [read, rows]
    assert seen[1][1] < seen[0][1]


@pytest.mark.parametrize("name", MIXES)
@pytest.mark.parametrize("how", [{}, {"temperature": 1.3, "samples": 3, "seed": 1}], ids=["greedy", "drawn"])
def test_tokens_and_log_probabilities_are_those_of_every_row_read(
    pair: Any, film: Any, name: str, how: Any
) -> None:
    mix, read = MIXES[name]
    asked, films = rows_of(mix, film)
    shared, plain, seen = both(pair[0], lambda: generate(*pair, asked, films, max_new_tokens=8, **how))
    same(shared, plain)
    check_sizes(seen, len(mix), read)


@pytest.mark.parametrize("name", MIXES)
def test_continuations_are_scored_as_with_every_row_read(pair: Any, film: Any, name: str) -> None:
    """Each question with several continuations, in turn."""
    mix, read = MIXES[name]
    asked, films = rows_of(mix, film)
    rows = [(q, own, text) for text in TEXTS for q, own in zip(asked, films, strict=True)]
    shared, plain, seen = both(pair[0], lambda: sequence_logprobs(*pair, *zip(*rows, strict=True)))
    assert shared == pytest.approx(plain, rel=1e-6, abs=1e-5)  # sums over tokens
    check_sizes(seen[:-1], len(mix), read)
    ids = [pair[1].tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    assert seen[-1] == (len(rows), max(map(len, ids)) - 1)  # the continuations
    assert min(map(abs, shared)) == 0  # of nothing


@pytest.mark.parametrize("texts", [[" no"], ["", ""], [" no", " left"]])
def test_short_continuations(pair: Any, film: Any, texts: list[str]) -> None:
    films = [film(1)]
    asked, rows = [NEW] * len(texts), [films] * len(texts)
    shared, plain, _ = both(pair[0], lambda: sequence_logprobs(*pair, asked, rows, texts))
    assert shared == pytest.approx(plain, rel=1e-6, abs=1e-5)  # sums over tokens


def test_too_little_in_common_is_not_shared(pair: Any, film: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(common_prefix, "MIN_SAVED_TOKENS", 512)
    asked, films = rows_of(MIXES["questions about a film"][0], film)
    *_, seen = both(pair[0], lambda: generate(*pair, asked, films, max_new_tokens=2))
    check_sizes(seen, 3, None)
    *_, seen = both(pair[0], lambda: sequence_logprobs(*pair, asked, films, TEXTS[:3]))
    check_sizes(seen, 3, None)
    asked = [START * 12 + question for question in asked]
    *_, seen = both(pair[0], lambda: generate(*pair, asked, films, max_new_tokens=2))
    check_sizes(seen, 3, 1)


@pytest.mark.parametrize("read", [None, 1])
def test_a_window_shorter_than_the_batch(
    tmp_path_factory: pytest.TempPathFactory, film: Any, read: int | None
) -> None:
    """Gemma's, to the token: padding between prefix and rest would push tokens out of it."""
    made = tiny_families.folder("gemma3", tmp_path_factory)
    assert made is not None
    model, processor = load(made)
    asked, films = rows_of(MIXES["questions about a film"][0], film)
    _, inputs = read_prompts.encode(model, processor, asked, films)
    assert read_prompts.find_prefixes(model, inputs, room=4) is None  # 16 tokens
    model.config.text_config.sliding_window = None
    found = read_prompts.find_prefixes(model, inputs, room=4)
    assert found is not None
    ids = [
        row[mask.bool()].numpy()
        for row, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
    ]
    needed = sum(found.widths(ids)) + 4
    target = tmp_path_factory.mktemp("window") / "gemma3"
    pair = load(tiny_families.window_of(made, target, needed if read else needed - 1))
    shared, plain, seen = both(pair[0], lambda: generate(*pair, asked, films, max_new_tokens=4))
    same(shared, plain)
    check_sizes(seen, 3, read)


def test_continuations_beyond_a_window(tmp_path_factory: pytest.TempPathFactory, film: Any) -> None:
    """A prompt longer than the window of 16 is read once for its continuations all the same."""
    made = tiny_families.folder("gemma3", tmp_path_factory)
    assert made is not None
    pair = load(made)
    rows = [(q, films, text) for q, films in ((NEW, [film(1)]), (WHERE, [film(2)])) for text in TEXTS]
    shared, plain, seen = both(pair[0], lambda: sequence_logprobs(*pair, *zip(*rows, strict=True)))
    assert shared == pytest.approx(plain, rel=1e-6, abs=1e-5)  # sums over tokens
    assert [size[0] for size in seen] == [2, 8]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_an_adapter_and_another_attention(tiny_folder: Path, film: Any, attention: str) -> None:
    base, processor = load(tiny_folder, attn_implementation=attention)
    config = LoraConfig(r=2, target_modules=base.lora_targets, init_lora_weights=False, lora_dropout=0.5)
    pair = get_peft_model(base, config).train(), processor
    mix, read = MIXES["none, one and two films"]
    asked, films = rows_of(mix, film)
    shared, plain, seen = both(pair[0], lambda: generate(*pair, asked, films, max_new_tokens=8))
    same(shared, plain)
    check_sizes(seen, len(mix), read)
    assert pair[0].training


def test_other_draws_are_other_draws(pair: Any, film: Any) -> None:
    """Else the comparison of draws would show nothing: films and seeds matter."""
    asked, films = rows_of(MIXES["questions about a film"][0], film)
    how: dict[str, Any] = {"max_new_tokens": 8, "temperature": 1.3, "samples": 3}
    first = generate(*pair, asked, films, seed=1, **how)
    assert first != generate(*pair, asked, films, seed=2, **how)
    other = generate(*pair, asked, [[film(7, 45, 40)]] * 3, seed=1, **how)
    assert [g[0].logprobs for g in first] != [g[0].logprobs for g in other]
