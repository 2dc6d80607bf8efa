"""What a forward of the loop reads: no position behind a completion's last, and few rows that have ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from longrope_pair import longrope_pair
from test_same_samples import Oracle

from chexphi.models.generate import generate
from chexphi.models.rollout.drafting import Drafter, DraftLimits
from chexphi.models.rollout.loop import LEAVE_AT
from chexphi.models.rollout.numbers import RowNumbers
from chexphi.models.rollout.sampling import TokenSampler

QUESTIONS = [f"Is there an opacity in zone {number}?" for number in range(6)]
NEW_TOKENS, SAMPLES = 12, 8
ROWS = SAMPLES * len(QUESTIONS)
NO_DRAFTS = DraftLimits(1.0, 0)


@pytest.fixture(scope="module")
def pair(tiny_folder: Path) -> Any:
    """A model whose position factors change right behind the longest completion."""
    _, processor = plain = longrope_pair(tiny_folder, 1000)
    longest = max(
        len(processor.tokenizer(sample.prompt)["input_ids"]) for sample in sampled(plain, NO_DRAFTS)
    )
    return longrope_pair(tiny_folder, longest + NEW_TOKENS)


def sampled(pair: Any, limits: DraftLimits, known: list[tuple[int, ...]] | None = None) -> list[Any]:
    """Six questions with eight samples each."""
    drafter = Drafter(limits) if known is None else Oracle(known, 1.0, limits.most_drafts)
    settings = {"max_new_tokens": NEW_TOKENS, "temperature": 1.0, "samples": SAMPLES, "seed": 3}
    groups = generate(*pair, QUESTIONS, [[]] * 6, drafter=drafter, **settings)
    return [sample for group in groups for sample in group]


@pytest.mark.parametrize("most", [1, 4, 20])
@pytest.mark.parametrize("known_rows", [0, 1, ROWS // 2, ROWS])
def test_no_draft_is_read_behind_the_last_place(pair: Any, most: int, known_rows: int) -> None:
    """Drafts are always right for some rows and never for the others, which end long after them."""
    model, _ = pair
    plain = [sample.token_ids for sample in sampled(pair, NO_DRAFTS)]
    reached = []
    hook = model.model.register_forward_pre_hook(
        lambda _module, _args, kwargs: reached.append(int(kwargs["position_ids"].max())), with_kwargs=True
    )
    drafted = sampled(pair, DraftLimits(0.0, most), plain[:known_rows])
    hook.remove()
    assert [sample.token_ids for sample in drafted] == plain
    assert max(reached) == model.config.rope_parameters["original_max_position_embeddings"] - 2
    assert len(reached) < NEW_TOKENS or known_rows < ROWS


@pytest.mark.parametrize("known_rows", [0, ROWS // 2, ROWS])
def test_the_head_and_the_sampler_read_live_rows(
    pair: Any, known_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One token in 24 ends a completion; of the rows that a forward reads few have ended."""
    model, processor = pair
    monkeypatch.setattr(model, "end_tokens", tuple(processor.tokenizer.get_vocab())[::24])
    plain = [sample.token_ids for sample in sampled(pair, NO_DRAFTS)]
    keys = RowNumbers.of(3, [(row // SAMPLES, row % SAMPLES) for row in range(ROWS)]).keys.tolist()
    length_of_key = dict(zip(keys, map(len, plain), strict=True))
    assert len(set(length_of_key.values())) > 5
    ended_shares, head_rows, sampled_rows = [], [], []
    tokens = TokenSampler.tokens

    def count(sampler: TokenSampler, logits: Any, positions: Any) -> Any:
        starts = zip(sampler.numbers.keys.tolist(), positions[:, 0].tolist(), strict=True)
        ended_shares.append(sum(length_of_key[key] <= start for key, start in starts) / len(positions))
        sampled_rows.append(positions.numel())
        return tokens(sampler, logits, positions)

    monkeypatch.setattr(TokenSampler, "tokens", count)
    hook = model.lm_head.register_forward_pre_hook(
        lambda _module, args: head_rows.append(args[0].shape[:-1].numel())
    )
    drafted = sampled(pair, DraftLimits(0.0, 3), plain[:known_rows])
    hook.remove()
    assert [sample.token_ids for sample in drafted] == plain
    assert head_rows[0] == len(QUESTIONS)  # the last place of each prompt
    assert head_rows[1:] == sampled_rows[1:]
    assert max(ended_shares) <= LEAVE_AT
    assert any(ended_shares) or known_rows  # some wait for others
