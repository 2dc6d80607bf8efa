"""The two rewards as TRL calls them; the defects R1-R12 of the original are what is tested."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi import prompts
from chexphi.graph import match
from chexphi.graph import text as graph_text
from chexphi.graph.match import score as graph_score
from chexphi.graph.open import open_extractor
from chexphi.graph.types import Graph
from chexphi.rewards import AccuracyReward, AnswerRule, GraphReward, GraphRule, score
from chexphi.rewards.combine import Scheme
from chexphi.rewards.original import OriginalGraphReward
from chexphi.schema import InputError


class WordExtractor:
    """Every word of at least three letters is an anatomy; a toy whose graphs are obvious."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        self.seen += texts
        return [Graph.of((word, "anatomy") for word in text.split() if len(word) > 2) for text in texts]


def completion(think: str, answer: str) -> str:
    return f"<think>{think}</think><answer>{answer}</answer>"


GOLD = completion("heart lung", "no")


@pytest.mark.parametrize(
    ("text", "accuracy", "graph"),
    [
        (GOLD, 1.0, 1.0),
        (completion("heart lung", "No."), 1.0, 1.0),
        (completion("heart lung", "\nno\n"), 1.0, 1.0),  # R6
        (completion("heart lung", "yes"), 0.0, 1.0),
        (completion("heart", "no"), 1.0, 0.5),
        (completion("normal", "yes"), 0.0, 0.0),  # "no" stands in "normal"
        (completion("heart lung", "yes, no"), 0.0, 1.0),  # R8
        ("no", 0.0, 0.0),  # R9: no tags
        ("heart lung", 0.0, 0.0),
        (completion("", "no"), 0.0, 0.0),  # R3: no reasoning
        (GOLD + "<answer>yes</answer>", 0.0, 0.0),  # R10
        ("<think>heart lung</think><answer>no", 0.0, 0.0),
        ("<think>a</think><answer>heart lung</answer>", 0.0, 0.0),  # R2: the answer is no reasoning
    ],
)
def test_one_row(text: str, accuracy: float, graph: float) -> None:
    assert AccuracyReward()([text], [GOLD], answer=[["no"]]) == [accuracy]
    assert AccuracyReward()([text], [GOLD]) == [accuracy]
    assert GraphReward(WordExtractor())([text], [GOLD]) == [graph]


def test_the_readmes_lines_make_rewards() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.S)
    (block,) = (text for text in blocks if "AccuracyReward()," in text)
    made: dict[str, Any] = {}
    exec(block, made)
    gold = completion("There is no effusion.", "no")
    assert [reward([gold], [gold]) for reward in made["rewards"]] == [[1.0], [1.0]]
    assert score(gold, gold).total == 2.0


def test_conversations_are_read_like_strings() -> None:
    turns = [
        [{"role": "assistant", "content": GOLD}],
        [{"role": "assistant", "content": [{"type": "text", "text": GOLD}]}],
    ]
    assert AccuracyReward()(turns, [GOLD, GOLD]) == [1.0, 1.0]
    assert GraphReward(WordExtractor())(turns, [GOLD, GOLD]) == [1.0, 1.0]


THINKS = st.sampled_from(["heart lung", "heart", "rib", "", "lung rib"])
ANSWERS = st.sampled_from(["yes", "no", "left"])
TEXTS = st.builds(completion, THINKS, ANSWERS)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6), st.randoms())
def test_a_row_is_scored_against_its_own_reference_alone(rows: list[tuple[str, str]], shuffle) -> None:
    """R1: the original scores the whole batch against the first reference."""
    together_acc = AccuracyReward()([c for c, _ in rows], [s for _, s in rows])
    together_kg = GraphReward(WordExtractor())([c for c, _ in rows], [s for _, s in rows])
    for (text, solution), accuracy, graph in zip(rows, together_acc, together_kg, strict=True):
        assert AccuracyReward()([text], [solution]) == [accuracy]
        assert GraphReward(WordExtractor())([text], [solution]) == [graph]


def test_what_cannot_be_scored_depends_on_the_reference_alone() -> None:
    empty = completion("a", "no")  # its graph is empty
    reward = GraphReward(WordExtractor())
    assert reward([GOLD, "garbage", completion("", "")], [empty] * 3) == [None] * 3
    assert AccuracyReward()([GOLD, "garbage"], ["plain text"] * 2) == [None] * 2


def test_truncation_is_read_off_the_sampled_ids() -> None:
    reward = AccuracyReward(end_token_ids=[7])
    assert reward([GOLD, GOLD], [GOLD] * 2, completion_ids=[[1, 7], [1, 2]]) == [1.0, 0.0]


def test_texts_are_extracted_once() -> None:
    extractor = WordExtractor()
    reward = GraphReward(extractor)
    reward([GOLD] * 4, [GOLD] * 4)
    reward([GOLD] * 4, [GOLD] * 4)
    assert len(extractor.seen) == 3  # the reference once, the completion once a call


def test_a_group_is_compared_once_a_completion_and_nobody_asks_for_totals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: Counter[str] = Counter()

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return function(*args, **kwargs)

        return counted

    monkeypatch.setattr(match, "compare", counting("compares", match.compare))
    monkeypatch.setattr(Scheme, "total", counting("totals", Scheme.total))
    monkeypatch.setattr(graph_text, "_split_at_ends", counting("sentences", graph_text._split_at_ends))
    prompts._parse.cache_clear()
    thinks = [f"The heart is enlarged. Nodule {i}." for i in range(8)]
    completions = [completion(think, "no") for think in thinks]
    reference = completion("The heart is enlarged. No effusion.", "no")
    values = GraphReward(open_extractor())(completions, [reference] * 8)
    AccuracyReward()(completions, [reference] * 8)
    assert all(value is not None and 0 < value < 1 for value in values)
    assert calls == {"compares": 8, "sentences": 9}
    assert prompts._parse.cache_info().misses == 9


def test_malformed_kinds_and_parts_are_metrics() -> None:
    logged: dict[str, float] = {}
    rows = [GOLD, "no", completion("", "no"), completion("heart", "no")]
    AccuracyReward()(rows, [GOLD] * 4, log_metric=logged.__setitem__)
    GraphReward(WordExtractor())(rows, [GOLD] * 4, log_metric=logged.__setitem__)
    assert logged["malformed/no_answer"] == logged["malformed/empty_think"] == 0.25
    assert logged["graph/entity_precision"] == 1.0
    assert logged["graph/entity_recall"] == 3 / 8


class Crash:
    def extract(self, texts: Sequence[str]) -> list[Graph]:
        raise RuntimeError("out of memory")


def test_a_crash_is_no_reward_of_zero() -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        GraphReward(Crash())([GOLD], [GOLD])


def test_uneven_batches_are_refused() -> None:
    with pytest.raises(InputError, match="solution has 1 row for 2 completions"):
        AccuracyReward()([GOLD, GOLD], [GOLD])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: GraphReward(WordExtractor(), GraphRule("dice")),
            "external_kg_jac: measure is 'dice': use jaccard, f1",
        ),
        (
            lambda: GraphReward(WordExtractor(), GraphRule(empty="none")),
            "empty is 'none': use skip, one, zero",
        ),
        (
            lambda: GraphReward(WordExtractor(), GraphRule(contradictions="no")),
            "contradictions is 'no': use discount, ignore",
        ),
        (
            lambda: GraphReward(WordExtractor(), GraphRule(repetitions="")),
            "repetitions is '': use discount, ignore",
        ),
        (
            lambda: AccuracyReward(AnswerRule("fuzzy")),
            "external_r1v_acc: match is 'fuzzy': use exact, clinical, f1, any",
        ),
        (lambda: AccuracyReward(AnswerRule("substring")), "match is 'substring'"),  # of the evaluation alone
        (lambda: AccuracyReward(AnswerRule("x" * 9000)), "match is a text of 9000 characters"),
        (lambda: AccuracyReward("f1"), "external_r1v_acc: its rule is 'f1': give an AnswerRule"),  # type: ignore[arg-type]
        (lambda: OriginalGraphReward(WordExtractor(), "dice"), "measure is 'dice'"),
        (lambda: OriginalGraphReward(WordExtractor(), "clinical"), "compat original has no measure clinical"),
        (lambda: Scheme(combine="mean"), "combine is 'mean': use sum, product, gated"),
        (lambda: Scheme(weights=(1.0,)), "reward_weights has 1 value for 2 rewards: give one each"),
        (lambda: Scheme(combine="gated", gate="format"), "gate is 'format': use one of"),
        (lambda: score(GOLD, GOLD, graph_rule=GraphRule("dice")), "measure is 'dice'"),
        (lambda: score(GOLD, GOLD, answer_rule=AnswerRule("fuzzy")), "match is 'fuzzy'"),
        (lambda: score(GOLD, GOLD, compat="old"), "compat is 'old': use default, original"),
        (lambda: graph_score(Graph(), Graph(), measure="dice"), "measure is 'dice'"),
        (lambda: graph_score(Graph(), Graph(), empty="none"), "empty is 'none'"),
    ],
)
def test_a_setting_in_python_is_refused_as_on_the_command_line(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        make()
    assert message in str(refused.value)
