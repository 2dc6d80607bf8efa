"""What the figures of mining mean, and what to do next, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MORE_SAMPLES = "more --samples or a higher --temperature"


def of_scored(figures: Mapping[str, Any], *, samples: int) -> str:
    """What the figures of `mine score` say about training.

    Args:
        figures: `rows`, `never_right`, `sometimes_right` and `always_right`; where graphs were compared
            also `right_for_wrong_reason`.
        samples: Answers to each question.
    """
    rows, wrong = figures["rows"], figures.get("right_for_wrong_reason")
    if not wrong:
        return _of_answers(figures, samples=samples)
    of_answers = (
        _of_answers(figures, samples=samples)
        if samples == 1 or figures["sometimes_right"]
        else f"0 of {rows} are hard, so the answers alone have nothing to teach."
    )
    return (
        f"{of_answers} {wrong} of {rows} are answered right for the wrong reason, which the graph reward can "
        "correct: chexphi mine select --selection hard_reasoning draws them first."
    )


def _of_answers(figures: Mapping[str, Any], *, samples: int) -> str:
    rows, never, sometimes = figures["rows"], figures["never_right"], figures["sometimes_right"]
    if samples == 1:
        return (
            f"{never} of {rows} are hard: the policy's one answer is wrong. Whether it is ever right on "
            "them, one answer cannot say: --samples 4 can."
        )
    if sometimes:
        return (
            f"{sometimes} of {rows} are hard: the policy is right on them sometimes, so GRPO can learn from "
            "them. Choose from them with chexphi mine select."
        )
    if never == rows:
        return (
            f"0 of {rows} are hard: the policy is never right on any, so GRPO has nothing to prefer. Train "
            f"it further with sft, or look for a right answer with {MORE_SAMPLES}."
        )
    if never == 0:
        return (
            f"0 of {rows} are hard: the policy is always right on all, so GRPO has nothing to learn from "
            "them. Score a harder pool."
        )
    return (
        f"0 of {rows} are hard: the policy is always right on {rows - never} and never on {never}. Score a "
        f"larger pool, or the same with {MORE_SAMPLES}."
    )


def has_no_hard(figures: Mapping[str, Any]) -> bool:
    """Whether hard examples were wanted and there is none.

    Args:
        figures: As for `of_selected`.
    """
    wanted = figures["hard"] or figures.get("right_for_wrong_reason")
    return figures["selection"].startswith("hard") and not wanted


def of_selected(figures: Mapping[str, Any]) -> str:
    """What a selection lacks; empty if it lacks nothing.

    Args:
        figures: `selection`, `rows` and `hard` of `mine select`; of `hard_reasoning` also
            `right_for_wrong_reason` and `never_right`.
    """
    rows, hard = figures["rows"], figures["hard"]
    if figures["selection"] == "hard_reasoning" and not has_no_hard(figures):
        return _of_reasoning(rows, figures["right_for_wrong_reason"], figures["never_right"])
    if not figures["selection"].startswith("hard") or hard == rows:
        return ""
    if not hard:
        return (
            f"None of the {rows} is hard. The policy was never right on any, so GRPO has nothing to prefer. "
            f"Train it further with sft, or score again with a larger pool or {MORE_SAMPLES}."
        )
    return (
        f"Only {hard} of the {rows} are hard. The policy was never right on the other {rows - hard}, and "
        f"GRPO learns from those only once it is. A larger pool, or scoring with {MORE_SAMPLES}, finds more "
        "hard ones."
    )


def _of_reasoning(rows: int, wrong: int, never: int) -> str:
    if wrong == rows:
        return ""
    solved = f" The policy was never right on {never} of them." if never else ""
    if not wrong:
        return f"None of the {rows} is answered right for the wrong reason: hard_uniform chose them.{solved}"
    return (
        f"Only {wrong} of the {rows} are answered right for the wrong reason: hard_uniform chose the other "
        f"{rows - wrong}.{solved}"
    )
