"""What mining says of its own figures."""

from __future__ import annotations

import pytest

from chexphi.mining import advice


def scored(never: int, sometimes: int, always: int) -> dict[str, int]:
    return {
        "rows": never + sometimes + always,
        "never_right": never,
        "sometimes_right": sometimes,
        "always_right": always,
    }


@pytest.mark.parametrize(
    ("counts", "samples", "words"),
    [
        ((48, 0, 0), 4, "0 of 48 are hard: the policy is never right on any, so GRPO has nothing to prefer."),
        ((48, 0, 0), 4, "Train it further with sft"),
        ((0, 0, 9), 4, "0 of 9 are hard: the policy is always right on all"),
        ((3, 0, 6), 4, "0 of 9 are hard: the policy is always right on 6 and never on 3."),
        ((3, 5, 1), 4, "5 of 9 are hard: the policy is right on them sometimes"),
        ((3, 0, 6), 1, "3 of 9 are hard: the policy's one answer is wrong."),
    ],
)
def test_a_scored_pool_says_what_can_be_learned(
    counts: tuple[int, int, int], samples: int, words: str
) -> None:
    assert words in advice.of_scored(scored(*counts), samples=samples)


@pytest.mark.parametrize(
    ("selection", "rows", "hard", "words"),
    [
        ("hard_uniform", 48, 0, "None of the 48 is hard. The policy was never right on any, so"),
        ("hard_random", 48, 12, "Only 12 of the 48 are hard. The policy was never right on the other 36"),
        ("hard_uniform", 48, 48, ""),
        ("uniform", 48, 3, ""),
        ("random", 48, 0, ""),
    ],
)
def test_a_selection_says_what_it_lacks(selection: str, rows: int, hard: int, words: str) -> None:
    sentence = advice.of_selected({"selection": selection, "rows": rows, "hard": hard})
    assert sentence.startswith(words)
    assert bool(sentence) == bool(words)
    assert advice.has_no_hard({"selection": selection, "hard": hard}) == words.startswith("None")


@pytest.mark.parametrize(
    ("counts", "samples", "words"),
    [
        ((3, 5, 1), 4, "5 of 9 are hard: the policy is right on them sometimes"),
        (
            (0, 0, 9),
            4,
            "0 of 9 are hard, so the answers alone have nothing to teach. 2 of 9 are answered right",
        ),
        (
            (3, 0, 6),
            4,
            "0 of 9 are hard, so the answers alone have nothing to teach. 2 of 9 are answered right",
        ),
        ((3, 0, 6), 1, "3 of 9 are hard: the policy's one answer is wrong."),
    ],
)
def test_a_scored_pool_says_what_is_right_for_the_wrong_reason(
    counts: tuple[int, int, int], samples: int, words: str
) -> None:
    sentence = advice.of_scored(scored(*counts) | {"right_for_wrong_reason": 2}, samples=samples)
    assert sentence.startswith(words)
    assert sentence.endswith("chexphi mine select --selection hard_reasoning draws them first.")
    without = advice.of_scored(scored(*counts) | {"right_for_wrong_reason": 0}, samples=samples)
    assert without == advice.of_scored(scored(*counts), samples=samples)


@pytest.mark.parametrize(
    ("rows", "hard", "wrong", "never", "words"),
    [
        (48, 0, 48, 0, ""),
        (
            48,
            9,
            12,
            0,
            "Only 12 of the 48 are answered right for the wrong reason: hard_uniform chose the other 36.",
        ),
        (48, 9, 12, 30, "chose the other 36. The policy was never right on 30 of them."),
        (48, 9, 0, 0, "None of the 48 is answered right for the wrong reason: hard_uniform chose them."),
        (48, 0, 0, 48, "None of the 48 is hard. The policy was never right on any"),
    ],
)
def test_a_selection_by_reasoning_says_what_it_lacks(
    rows: int, hard: int, wrong: int, never: int, words: str
) -> None:
    figures = {"selection": "hard_reasoning", "rows": rows, "hard": hard}
    sentence = advice.of_selected(figures | {"right_for_wrong_reason": wrong, "never_right": never})
    assert words in sentence
    assert bool(sentence) == bool(words)
    assert advice.has_no_hard(figures | {"right_for_wrong_reason": wrong}) == (hard == wrong == 0)
