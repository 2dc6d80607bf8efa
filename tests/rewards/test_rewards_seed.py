"""The original's rewards, faults included; ours stand in test_rewards.py."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from chexphi.graph.types import Graph
from chexphi.rewards.original import OriginalGraphReward, external_r1v_acc


class WordExtractor:
    """Every word is an anatomy; each modifies the next."""

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        graphs = []
        for text in texts:
            words = [(word, "anatomy") for word in text.split()]
            graphs.append(Graph.of(words, [(a, "modify", b) for a, b in pairwise(words)]))
        return graphs


@pytest.mark.parametrize(
    ("completions", "solutions", "expected"),
    [
        (["a b"], ["<think>a b</think><answer>c</answer>"], [1.0]),
        (["a b", "c d"], ["a b", "c d"], [1.0, 0.0]),  # the first solution for all
        (["<think> a b </think>"], ["<think>a b</think>"], [2 / 4 / 2 + 1 / 3 / 2]),  # tags are words
        (["a b"], ["<think>a\nb</think>"], [1.0]),
        (["<think> a b"], ["<think> a b"], [1.0]),  # unclosed: taken whole
        (["A"], ["<THINK>A</THINK>"], [0.5]),  # no entity in common, no relation on both sides
        (["", "a"], ["<think></think>"], [1.0, 0.5]),  # both sides empty
        ([], ["a"], []),
    ],
)
def test_graph_reward(completions: list[str], solutions: list[str], expected: list[float]) -> None:
    assert OriginalGraphReward(WordExtractor())(completions, solutions, id=["x"]) == pytest.approx(expected)


def test_no_solution() -> None:
    with pytest.raises(IndexError):
        OriginalGraphReward(WordExtractor())(["a"], [])


@pytest.mark.parametrize(
    ("completion", "solution", "expected"),
    [
        ("<think>x</think><answer>Yes</answer>", "<answer>yes</answer>", 1.0),
        ("<answer>left, right , upper</answer>", "<answer>RIGHT</answer>", 1.0),  # any common item
        ("<answer>yes.</answer>", "<answer>yes</answer>", 0.0),
        ("<answer>\nyes</answer>", "<answer>yes</answer>", 0.0),  # a line end: the whole completion
        ("yes", "<answer>yes</answer>", 1.0),
        ("<answer>yes</answer><answer>no</answer>", "<answer>no</answer>", 0.0),  # the first one
        ("<answer></answer>", "<answer> , </answer>", 1.0),  # nothing asked, nothing said
        ("<answer>a</answer>", "<answer></answer>", 0.0),
        ("<answer>", "<answer>", 1.0),
        ("No edema. Clear.", "no edema! Big heart.", 1.0),  # first sentences
        ("no edema\uff01 x", "no edema\u3002y", 1.0),  # full-width marks
        ("1", "1.5 cm", 1.0),
        ("anything", ".5 cm", 0.0),
        (". x", "! y", 1.0),
    ],
)
def test_answer_reward(completion: str, solution: str, expected: float) -> None:
    assert external_r1v_acc([completion], [solution]) == [expected]


def test_answers_go_as_far_as_the_shorter_list() -> None:
    assert external_r1v_acc(["a", "b", "c"], ["a", "x"]) == [1.0, 0.0]
