"""Rewards over rows on disk: what `rewards score` and `data check --rewards` say."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from chexphi.data.check import check
from chexphi.data.phantom import build as phantom
from chexphi.data.read import read_examples
from chexphi.reward_checks import completion_rows, offline_scores
from chexphi.rewards import score
from chexphi.rewards.combine import CONSISTENCY, PENALTIES
from chexphi.schema import Example, InputError

SHIPPED = Path(__file__).resolve().parents[2] / "configs"
CONFIGS = sorted(SHIPPED.glob("grpo*.yaml"))
PRESETS = sorted((SHIPPED / "presets").glob("*.yaml"))
GOLD = "<think>There is a small left pleural effusion.</think><answer>yes</answer>"
CLEAR = "<think>The lungs are clear.</think><answer>no</answer>"


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Drawn examples of every kind of question."""
    folder = tmp_path_factory.mktemp("rewarded") / "data"
    phantom.build(folder, counts=phantom.Sizes(sight=0, sft=20, pool=240, valid=8, test=20), seed=3)
    return read_examples(folder / "annotations" / "pool" / "train.json", check_images=False)


def answer_first(example: Example) -> Example:
    think, answer = example.explanation.split("</think>")
    return dataclasses.replace(example, explanation=f"{answer}{think}</think>")


SETUPS: list[dict[str, Any]] = [
    *({"rewards": [str(path)]} for path in CONFIGS),
    *({"rewards": [str(SHIPPED / "grpo_kg.yaml"), str(path)]} for path in PRESETS),
    {},
    {"rewards": ["format,external_r1v_acc,external_kg_jac"], "combine": "product"},
    {"match": "clinical"},
    {"combine": "gated", "weights": [2.0, 1.0]},
    {"combine": "gated", "gate": "external_kg_jac", "gate_at": "0.5", "match": "f1", "measure": "f1"},
]


@pytest.mark.parametrize("words", SETUPS, ids=str)
def test_gold_earns_the_most_and_garbage_nothing(examples: list[Example], words: dict[str, Any]) -> None:
    """For every shipped configuration, and the answer before or after the reasoning."""
    assert CONFIGS
    assert PRESETS
    assert len({example.question_type for example in examples}) > 3
    using = offline_scores.setup(**words)
    best = using.scheme.total({name: float(name not in PENALTIES) for name in using.fields.rewards})
    for rows in (examples, list(map(answer_first, examples))):
        found = offline_scores.check_examples(rows, using)
        assert (found["rows"], found["below"], found["above"]) == (len(examples), [], [])
        assert found["garbage"] == 0.0
        if not found["unscorable"]:
            # a reasoning may say nothing of its answer, as `no nodule` says nothing of one that has resolved
            least = 0.98 * best if CONSISTENCY in using.fields.rewards else best
            assert least <= found["gold"] <= best


def test_gold_of_plain_text_is_the_reasoning_with_the_rows_answer() -> None:
    row = Example("a", (), "Is it?", ("yes",), "There is a small left pleural effusion.")
    assert offline_scores.check_examples([row], offline_scores.setup()) == {
        "rows": 1, "gold": 2.0, "garbage": 0.0, "unscorable": {}, "below": [], "above": [],
    }  # fmt: skip


def test_rows_without_an_explanation_are_no_check_of_rewards() -> None:
    row = Example("a", (), "Is it?", ("yes",), "")
    with pytest.raises(
        InputError, match="no row has an explanation: rewards need at least one to be checked"
    ):
        offline_scores.check_examples([row], offline_scores.setup())


def test_rows_that_would_not_be_paid_are_found(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 90).save(tmp_path / "1.png")
    texts = {
        "good": GOLD,
        "contradicts": GOLD.replace("yes", "no"),
        "no tags end": "<think>There is an effusion.<answer>yes</answer>",
        "no finding": "<think>So it goes.</think><answer>yes</answer>",
    }
    rows = [
        {"id": name, "images": ["1.png"], "question": "Is it?", "answer": ["yes"], "explanation": text}
        for name, text in texts.items()
    ]
    (tmp_path / "data.json").write_text(json.dumps(rows))
    found = check(
        tmp_path / "data.json",
        pay=offline_scores.pay_of_references(["external_r1v_acc,external_kg_jac,repetition"]),
    )
    assert found["rewards"]["below"] == ["contradicts", "no tags end"]
    assert found["rewards"]["unscorable"] == {"external_kg_jac": 2}
    assert any("2 of 4 rows: their own explanation earns less" in text for text in found["warnings"])
    assert any("cannot be scored by external_kg_jac: 2 of 4 rows" in text for text in found["warnings"])
    assert "rewards" not in check(tmp_path / "data.json")


ROWS: list[dict[str, Any]] = [
    {"id": "a", "completion": GOLD, "solution": GOLD, "group": 1},
    {"id": "b", "completion": [{"role": "assistant", "content": CLEAR}], "solution": CLEAR, "group": 2},
    {"id": "a", "completion": "yes", "solution": GOLD, "group": 1},
    {"id": "b", "completion": CLEAR, "solution": CLEAR, "group": 2},
]


def test_rows_are_scored_as_score_does() -> None:
    using = offline_scores.setup(combine="gated")
    found = offline_scores.score_rows(ROWS, using, using.open())
    for row, line in zip(ROWS, found["rows"], strict=True):
        alone = score(row["completion"], row["solution"], scheme=using.scheme)
        assert line == {
            "id": row["id"], "group": row["group"], "status": str(alone.status), "total": alone.total,
            "rewards": {name: alone.parts[name] for name in using.fields.rewards},
        }  # fmt: skip
    assert (found["n"], found["groups"], found["groups_without_spread"]) == (4, 2, 1)
    assert found["malformed"] == {"no_answer": 1}
    assert found["mean"]["total"] == pytest.approx(sum(line["total"] for line in found["rows"]) / 4)


def test_the_original_scores_a_group_against_its_first_solution() -> None:
    """R1; rows without a group are calls of their own."""
    rows = [ROWS[0], ROWS[1] | {"group": 1}]
    using = offline_scores.setup(compat="original")
    together = offline_scores.score_rows(rows, using, using.open())["rows"]
    apart = offline_scores.score_rows(
        [{k: v for k, v in r.items() if k != "group"} for r in rows], using, using.open()
    )
    expected = [score(r["completion"], GOLD, compat="original").graph for r in rows]
    assert [line["rewards"]["external_kg_jac"] for line in together] == expected
    assert apart["rows"][1]["rewards"]["external_kg_jac"] > expected[1]
    assert [line["rewards"]["external_r1v_acc"] for line in together] == [1.0, 1.0]  # of their own rows


def test_tokens_and_answers_of_rows_are_used() -> None:
    rows = [
        {"id": "a", "completion": GOLD, "solution": "plain", "answer": "yes", "token_ids": [7] * 12},
        {"id": "b", "completion": GOLD, "solution": "plain", "answer": ["no"], "token_ids": list(range(12))},
    ]
    using = offline_scores.setup(["external_r1v_acc,repetition"], [1.0, 0.5])
    lines = offline_scores.score_rows(rows, using, using.open())["rows"]
    assert [line["rewards"] for line in lines] == [
        {"external_r1v_acc": 1.0, "repetition": -0.9},
        {"external_r1v_acc": 0.0, "repetition": 0.0},
    ]
    assert [line["total"] for line in lines] == pytest.approx([0.55, 0.0])


def test_a_row_with_labels_and_one_without_are_scored_together() -> None:
    using = offline_scores.setup(["external_r1v_acc"], match="clinical")
    said = "<think>a</think><answer>{}</answer>"
    rows = [
        {"id": "a", "completion": said.format("LLL"), "solution": "plain text", "answer": "left lower lobe"},
        {"id": "b", "completion": said.format("No, there isn't"), "solution": said.format("no")},
        {"id": "c", "completion": said.format("two"), "solution": "plain text", "answer": 2},
        {"id": "d", "completion": said.format("two"), "solution": "plain text", "answer": None},
    ]
    found = offline_scores.score_rows(rows, using, using.open())["rows"]
    assert [row["rewards"]["external_r1v_acc"] for row in found] == [1.0, 1.0, 1.0, None]
    with pytest.raises(InputError, match=r"^row e: answer holds a dict"):
        offline_scores.score_rows([rows[0] | {"id": "e", "answer": {"label": "no"}}], using, using.open())


def test_a_config_gives_every_setting_and_flags_go_before_it(tmp_path: Path) -> None:
    file = tmp_path / "grpo_mine.yaml"
    file.write_text(
        "rewards: [external_kg_jac, soft_overlong]\nreward_weights: [2.0, 0.1]\nmeasure: f1\n"
        "max_completion_length: 10\nlearning_rate: 1.0e-6\n"
    )
    using = offline_scores.setup([str(file)])
    assert (using.fields.rewards, using.weights) == (["external_kg_jac", "soft_overlong"], [2.0, 0.1])
    assert (using.fields.measure, using.max_completion_length) == ("f1", 10)
    assert offline_scores.setup([str(file)], measure="jaccard").fields.measure == "jaccard"
    other = offline_scores.setup([str(file), "format"])
    assert (other.fields.rewards, other.weights) == (["format"], None)
    preset = tmp_path / "preset.yaml"
    preset.write_text("rewards: [format]\nreward_weights: [0.5]\nloss_type: dapo\n")
    both = offline_scores.setup([f"{file},{preset}"])
    assert (both.fields.rewards, both.weights, both.fields.measure) == (["format"], [0.5], "f1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"rewards": ["external_kg_jack"]}, "did you mean external_kg_jac"),
        ({"rewards": ["nowhere.yaml"]}, r"nowhere\.yaml does not exist"),
        ({"weights": [1.0]}, "reward_weights has 1 value for 2 rewards"),
        ({"combine": "both"}, "combine is 'both'"),
    ],
)
def test_bad_words_are_refused(words: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        offline_scores.setup(**words)


def test_a_slip_in_a_config_is_named(tmp_path: Path) -> None:
    file = tmp_path / "grpo.yaml"
    file.write_text("mattch: clinical\nlearning_rate: 1.0e-6\n")
    with pytest.raises(
        InputError, match="unknown key 'mattch' among the rewards' settings: did you mean 'match'"
    ):
        offline_scores.setup([str(file)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        ('{"id": 1, "completion": "a"}', 'line 1 has no "solution"'),
        (
            '{"id": 1, "completion": 5, "solution": "b"}',
            "line 1: the completion is an int: give a text or chat messages",
        ),
        ('{"id": true, "completion": "a", "solution": "b"}', "line 1: id is true or false"),
        ('{"id": 1, "completion": [5], "solution": "b"}', "line 1: the completion is a list"),
        ('{"id": 1, "completion": "a", "solution": 5}', "line 1: solution is a number"),
        ('{"id": 1, "completion": "a", "solution": "b", "answer": [[1, 2]]}', "line 1: answer holds a list"),
        ('{"id": 1, "completion": "a", "solution": "b", "answer": [true]}', "line 1: answer holds True"),
        ('{"id": 1, "completion": "a", "solution": "b", "token_ids": 5}', "line 1: token_ids is not a list"),
        ('{"id": 1, "id": 2, "completion": "a", "solution": "b"}', "the key 'id' is there twice"),
        ("[1]", "line 1 is not a JSON object"),
        ('{"id": [1], "completion": "a", "solution": "b"}', "line 1: id is a list"),
        ('{"id": 1, "completion": "a", "solution": "b", "group": [1]}', "line 1: group is a list"),
        (
            '{"id": 1, "completion": "a", "solution": "b", "opened_think": "no"}',
            "opened_think is not true or false",
        ),
    ],
)
def test_bad_rows_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(InputError, match=message):
        completion_rows.read_rows(tmp_path / "rows.jsonl")


def test_weights_are_numbers() -> None:
    assert offline_scores.numbers("2,0.5") == [2.0, 0.5]
    assert offline_scores.numbers(None) is None
    with pytest.raises(InputError, match="'2;1'"):
        offline_scores.numbers("2;1")
