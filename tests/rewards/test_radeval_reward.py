"""RadEval's metrics as rewards: what is asked of them, what is paid for little, and what does not open."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.rewards import by_name, radeval_reward
from chexphi.rewards.checked import RewardError
from chexphi.rewards.settings import RewardFields
from chexphi.schema import InputError

GOLD = "<think>There is a pleural effusion.</think><answer>yes</answer>"
WRONG = "<think>The lungs are clear.</think><answer>no</answer>"
TRIED = ["The lungs are clear."]
KEYS = {"bleu": ["bleu"], "radgraph": ["radgraph_partial", "radgraph_simple"], "ratescore": ["ratescore"]}


def thought(text: str) -> str:
    return f"<think>{text}</think><answer>yes</answer>"


def bleu(text: str, reference: str) -> float:
    """Of texts that are the same, as RadEval 2.2.1: next to nothing below four words."""
    return (1.0 if len(text.split()) > 3 else 0.001) if text == reference else 0.25


def ratescore(texts: list[str], references: list[str]) -> list[float]:
    """As RadEval 2.2.1: short texts are dropped before texts and references are paired, in order."""
    kept = [[text for text in side if len(text) > 2] for side in (texts, references)]
    if not all(kept):
        raise IndexError("list index out of range")
    pairs = zip(*kept, strict=False)
    return [0.5 if "clear" in (a + b).lower() else float(a == b) for a, b in pairs]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Any, ...]]]:
    """What a stand-in with the interface of RadEval 2.2.1 is asked (it has an environment of its own)."""
    calls: list[tuple[Any, ...]] = []

    def make_reward_fn(metric: str, key: str | None = None) -> Callable[..., list[float]]:
        if metric == "green":
            raise OSError("We couldn't connect to the hub.\nCheck the connection.")
        if metric not in KEYS:
            raise ValueError(f"Unknown metric '{metric}'. Available: {sorted(KEYS)}")

        def reward(completions: list[str], ground_truth: list[str]) -> list[float]:
            if key is None and len(KEYS[metric]) > 1:
                raise ValueError(f"Metric '{metric}' returns multiple per-sample keys: {KEYS[metric]}.")
            if key is not None and key not in KEYS[metric]:
                raise KeyError(f"Metric '{metric}' key={key!r} not in per-sample output keys {KEYS[metric]}.")
            calls.append((metric, key, completions, ground_truth))
            if metric == "ratescore":
                return ratescore(completions, ground_truth)
            return list(map(bleu, completions, ground_truth))

        return reward

    library = types.ModuleType("radeval")
    library.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    rewards = types.ModuleType("radeval.rewards")
    rewards.make_reward_fn = make_reward_fn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "radeval", library)
    monkeypatch.setitem(sys.modules, "radeval.rewards", rewards)
    radeval_reward.open_metric.cache_clear()
    yield calls
    radeval_reward.open_metric.cache_clear()


def values(name: str, completions: Sequence[str], solution: Sequence[str], **columns: Any) -> Any:
    (reward,) = by_name.open_rewards(RewardFields(rewards=[name]), LexiconExtractor())
    return reward(completions=completions, solution=list(solution), **columns)


def test_it_sees_reasoning_and_reasoning(asked: list[tuple[Any, ...]]) -> None:
    name = "radeval:radgraph:radgraph_partial"
    assert values(name, [WRONG, "no", WRONG], [GOLD, GOLD, "<answer>a</answer>"]) == [0.25, 0.0, None]
    reference = ["There is a pleural effusion."]
    assert [call[2:] for call in asked] == [(TRIED, TRIED), (reference, reference), (TRIED, reference)]
    assert {call[:2] for call in asked} == {("radgraph", "radgraph_partial")}


def test_a_reference_is_scored_against_itself_once(asked: list[tuple[Any, ...]]) -> None:
    (reward,) = by_name.open_rewards(RewardFields(rewards=["radeval:bleu"]), LexiconExtractor())
    for _ in range(2):
        assert reward(completions=["no"] * 2, solution=[GOLD] * 2) == [0.0, 0.0]
    assert len(asked) == 2  # the trial, and the reference


@pytest.mark.parametrize("completion", [thought("Clear lungs."), thought("The lungs are clear."), "no"])
def test_a_reference_that_a_metric_cannot_pay_is_not_scored(completion: str, asked: Any) -> None:
    solution = [thought("Clear lungs."), thought("Small effusion.")]
    assert values("radeval:bleu", [completion] * 2, solution) == [None, None]
    expected = None, 0.0 if "<think>" not in completion or "clear" in completion.lower() else 1.0
    assert values("radeval:ratescore", [completion] * 2, solution) == [*expected]


@pytest.mark.parametrize("text", [".", "no", "5 mm", "a b", "--", "1.2.3"])
def test_a_reasoning_without_a_word_earns_nothing_and_moves_no_other(text: str, asked: Any) -> None:
    completions = [thought("Small effusion."), thought(text), thought("Large effusion.")]
    solution = [thought("Small effusion."), thought("Small effusion."), thought("Large effusion.")]
    assert values("radeval:ratescore", completions, solution) == [1.0, 0.0, 1.0]
    assert values("radeval:ratescore", completions, [thought(text)] * 3) == [None] * 3


def test_a_text_that_a_metric_leaves_out_stops_the_run_with_its_row(
    asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radeval_reward, "_WORD", re.compile(""))  # as if RadEval left out more
    completions, solution = [thought("Small effusion."), thought("no")], [thought("Small effusion.")] * 2
    with pytest.raises(InputError, match="returned 1 value for 2 texts and leaves that of row b out"):
        values("radeval:ratescore", completions, solution, id=["a", "b"])
    with pytest.raises(RewardError, match="IndexError on row b"):
        values("radeval:ratescore", completions[1:], solution[1:], id=["b"])
    forgetful = radeval_reward.RadevalReward("radeval:bleu")
    forgetful.function = lambda completions, ground_truth: [1.0]  # each text alone is scored
    with pytest.raises(InputError, match="returned 1 value for 2 texts and leaves some out: drop the reward"):
        forgetful(completions, [thought("Small effusion."), thought("Large effusion.")])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("radeval:blue", r"Unknown metric 'blue'. Available: \['bleu', 'radgraph', 'ratescore'\]"),
        ("radeval:radgraph", "returns multiple per-sample keys: .*radgraph_partial"),
        ("radeval:radgraph:partial", "key='partial' not in .*radgraph_partial"),
        ("radeval:bleu:bleu4", r"key='bleu4' not in .*\['bleu'\]"),
        ("radeval:radcliq", "less is better"),
    ],
)
def test_what_it_does_not_know_is_found_before(name: str, message: str, asked: Any) -> None:
    with pytest.raises(InputError, match=f"^reward {name}:? .*{message}") as error:
        by_name.check_functions([name])
    assert "\n" not in str(error.value)


def test_a_metric_that_does_not_open_is_one_sentence(asked: Any) -> None:
    with pytest.raises(
        InputError, match=r"green cannot be opened \(OSError: We couldn't connect to the hub\.\)"
    ):
        by_name.check_functions(["radeval:green"])


@pytest.mark.parametrize(("version", "said"), [((3, 11), True), ((3, 12), False)])
def test_an_older_python_is_told_which_it_needs(
    version: tuple[int, int], said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radeval_reward.sys, "version_info", version)
    monkeypatch.setattr(radeval_reward.importlib.util, "find_spec", lambda name: None)
    radeval_reward.open_metric.cache_clear()
    with pytest.raises(InputError, match=r"needs the library radeval: pip install .*\[radeval\]'") as e:
        by_name.check_functions(["radeval:bleu"])
    assert ("Python 3.12" in str(e.value)) == said
