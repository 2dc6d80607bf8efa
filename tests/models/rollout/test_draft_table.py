"""The table of drafts: what it proposes, and that it stays a table whatever it is fed with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.models.rollout import saved_drafts
from chexphi.models.rollout.draft_table import BEFORE, CONTEXT, NO_DRAFT, DraftTable
from chexphi.models.rollout.drafting import Drafter, DraftLimits, fed_drafter, right_counts

TEXT = [5, 9, 2, 7, 5, 9, 3]


def proposed(table: DraftTable, ids: list[int], count: int) -> list[int]:
    history = ([BEFORE] * CONTEXT + ids)[-CONTEXT:]
    return table.drafts(np.array([history]), count)[0].tolist()


def test_what_followed_is_proposed_by_the_longest_context() -> None:
    table = DraftTable()
    table.add([TEXT, TEXT])
    assert proposed(table, [], 7) == TEXT
    assert proposed(table, [5, 9], 2) == [2, 7]  # the beginning, not the second `5 9`
    assert proposed(table, [2, 7, 5, 9], 1) == [3]
    assert proposed(table, [8, 8, 2], 1) == [7]  # by the last token alone
    assert proposed(table, [4], 2) == [NO_DRAFT, NO_DRAFT]


def test_the_majority_wins_and_changes_its_mind() -> None:
    table = DraftTable()
    table.add([[1, 2]] * 3 + [[1, 3]])
    assert proposed(table, [1], 1) == [2]
    table.add([[1, 3]] * 9)
    assert proposed(table, [1], 1) == [3]


def test_a_fuller_table_forgets_and_does_not_grow() -> None:
    table, chance = DraftTable(256), np.random.default_rng(0)
    for _ in range(20):
        table.add(chance.integers(0, 1000, (8, 40)).tolist())
    table.add([TEXT] * 200)
    assert table.contexts.shape == table.tokens.shape == table.votes.shape == (256,)
    assert proposed(table, [], 4)[:1] == TEXT[:1]


@given(st.lists(st.lists(st.integers(0, 300), max_size=30), max_size=6), st.integers(1, 6))
def test_drafts_are_tokens_that_were_seen(texts: list[list[int]], count: int) -> None:
    table = DraftTable(1024)
    table.add(texts)
    drafts = proposed(table, [1, 2], count)
    assert set(drafts) <= {token for text in texts for token in text} | {NO_DRAFT}
    known = [draft != NO_DRAFT for draft in drafts]
    assert known == sorted(known, reverse=True)  # behind an unknown token nothing is known


def test_right_drafts_are_counted_up_to_the_right_counts_one() -> None:
    drafts = np.array([[1, 2, 3], [1, 9, 3], [NO_DRAFT, 2, 3], [9, 2, 3]])
    assert right_counts(drafts, np.array([[1, 2, 3]] * 4)).tolist() == [3, 1, 0, 0]


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.2, 0), (0.95, 4), (1.0, 4)])
def test_drafts_are_tried_where_they_pay(share: float, count: int) -> None:
    assert Drafter(DraftLimits.of("cpu"), share_right=share).count() == count
    assert Drafter(DraftLimits.of("cpu", 0), share_right=share).count() == 0


def test_a_share_is_learnt_also_where_nothing_is_drafted() -> None:
    drafter = Drafter(DraftLimits.of("cpu"), share_right=0.0)
    assert drafter.count() == 0
    for _ in range(20):
        drafter.learn(np.ones(64, np.int64), 1, drafts_read=0)
    assert drafter.count() > 0
    assert (drafter.forwards, drafter.proposed, drafter.accepted) == (20, 0, 0)


class Tokenizer:
    """One id a letter."""

    def __init__(self, letters: str) -> None:
        self._ids = {letter: number for number, letter in enumerate(letters)}

    def get_vocab(self) -> dict[str, int]:
        return self._ids

    def __call__(self, texts: list[str], **_: object) -> dict[str, list[list[int]]]:
        return {"input_ids": [[self._ids[letter] for letter in text] for text in texts]}


def test_a_table_comes_back_from_a_checkpoint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokenizer, other_tokenizer = Tokenizer("abc"), Tokenizer("bac")
    drafter = fed_drafter(tokenizer, ["abc", "", "abc"], "cpu")
    drafter.share_right = 0.7
    digest, other_digest = map(saved_drafts.vocabulary_digest, (tokenizer, other_tokenizer))
    path = saved_drafts.file_of(tmp_path, 0)
    saved_drafts.keep_table(drafter, path, digest)
    loaded = Drafter(DraftLimits.of("cpu"))
    saved_drafts.load_table(loaded, path, digest)
    assert proposed(loaded.table, [], 3) == proposed(drafter.table, [], 3) == [0, 1, 2]
    assert loaded.share_right == 0.7
    unfit = {
        "is of another tokenizer": (Drafter(DraftLimits.of("cpu")), other_digest),
        "is of another size than draft_slots says": (
            Drafter(DraftLimits.of("cpu"), DraftTable(512)),
            digest,
        ),
    }
    for reason, (fresh, vocabulary) in unfit.items():
        saved_drafts.load_table(fresh, path, vocabulary)
        assert reason in caplog.text
        assert proposed(fresh.table, [], 1) == [NO_DRAFT]
    whole = path.read_bytes()
    first, directory = whole.index(b"PK\3\4"), whole.index(b"PK\1\2")
    for name, damaged in {
        "cut": whole[:100],
        "of another version of zip": _with_byte(whole, directory + 6, 99),
        "encrypted": _with_byte(whole, directory + 8, 1),
        "of another compression": _with_byte(_with_byte(whole, directory + 10, 99), first + 8, 99),
        "of other values": _with_byte(whole, first + 300, whole[first + 300] ^ 1),
    }.items():
        path.write_bytes(damaged)
        caplog.clear()
        fresh = Drafter(DraftLimits.of("cpu"))
        saved_drafts.load_table(fresh, path, digest)
        assert "is damaged: drafts begin anew" in caplog.text, name
        assert proposed(fresh.table, [], 1) == [NO_DRAFT]
    saved_drafts.load_table(loaded, tmp_path / "drafts_1.npz", digest)  # of a process that was not there


def _with_byte(content: bytes, place: int, value: int) -> bytes:
    return content[:place] + bytes([value]) + content[place + 1 :]
