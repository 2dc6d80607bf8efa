"""A model whose chat template opens `<think>` itself, through all stages.

The template is that of Qwen3.5 as published, which ends its prompts as Qwen3-VL-Thinking's does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny_families
from PIL import Image

from chexphi.evaluation import ask, ask_reply, evaluate
from chexphi.evaluation.predictions import read_predictions
from chexphi.kg import input_texts
from chexphi.mining import score
from chexphi.models import policy
from chexphi.report.films import reading
from chexphi.reward_checks import completion_rows, offline_scores
from chexphi.runs import jsonl
from chexphi.schema import InputError
from chexphi.training import completions, grpo, sft

QUESTIONS = {"Is there an effusion?": "no", "Is the heart enlarged?": "yes"}
TARGETS = {
    "no": "<think>There is no effusion in the right lung.</think><answer>no</answer>",
    "yes": "<think>The heart is enlarged.</think><answer>yes</answer>",
}
SMALL = ["--per_device_train_batch_size=4", "--disable_tqdm=true", "--trainable=all", "--save_strategy=no"]
REWARDS = ("external_r1v_acc", "external_kg_jac", "format", "think_format_reward")


def write(path: Path, explanations: Sequence[str]) -> Path:
    """Rows that ask both questions about one film, so many times as there are explanations."""
    Image.new("L", (32, 32), "gray").save(path.parent / "film.png")
    rows = [
        {
            "id": str(number), "images": ["film.png"], "question": question, "answer": [answer],
            "explanation": explanations[number % len(explanations)], "question_type": "presence",
        }
        for number, (question, answer) in enumerate([*QUESTIONS.items()] * 2)
    ]  # fmt: skip
    path.write_text(json.dumps(rows))
    return path


def run(stage: Any, model: Path, data: Path, out: Path, *flags: str) -> Any:
    argv = ["--model", str(model), "--data", str(data), "--out", str(out), *flags]
    parsed = stage.parse(argv)
    return stage.main(*parsed) if isinstance(parsed, tuple) else stage.main(parsed)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "train.json", list(TARGETS.values()))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thinking")
    texts = (*tiny_families.TEXTS, *QUESTIONS, *TARGETS.values())
    tiny_families.qwen3_vl(folder, texts, template="qwen3_5_think")
    return folder


@pytest.fixture(scope="module")
def taught(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that knows both targets by heart."""
    out = tmp_path_factory.mktemp("taught") / "sft"
    return run(sft, base, data, out, *SMALL, "--max_steps=60", "--learning_rate=1e-2") / "model"


@pytest.mark.parametrize("dynamic", [[], ["--dynamic_sample=true", "--max_resample_times=1"]])
def test_grpo_reads_completions_that_begin_inside_the_reasoning(
    taught: Path, data: Path, tmp_path: Path, dynamic: list[str]
) -> None:
    flags = [*SMALL, "--max_steps=2", "--num_generations=2", "--max_completion_length=40", "--beta=0.04"]
    flags += ["--learning_rate=1e-9", "--temperature=0.1", "--rewards", *REWARDS, *dynamic]
    out = run(grpo, taught, data, tmp_path / "grpo", *flags)
    tokenizer = policy.load(taught)[1].tokenizer
    rows = list(completions.read(out / "completions.jsonl"))
    assert len(rows) == (16 if dynamic else 8)
    for row in rows:
        assert row.opened_think
        assert row.completion == tokenizer.decode(row.token_ids, skip_special_tokens=True)
        assert not row.completion.startswith("<think>")
        assert set(row.rewards) == set(REWARDS)
        assert all(value == 1 for value in row.rewards.values())
    figures = [line for line in jsonl.read(out / "metrics.jsonl") if "reward" in line]
    assert [value for line in figures for name, value in line.items() if name.startswith("malformed/")]
    assert all(line[name] == 0 for line in figures for name in line if name.startswith("malformed/"))
    # and offline
    answers = [QUESTIONS[row.prompt] for row in rows]
    lines = [row.to_dict() | {"solution": TARGETS[a]} for row, a in zip(rows, answers, strict=True)]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    using = offline_scores.setup([",".join(REWARDS)])
    scored = offline_scores.score_rows(completion_rows.read_rows(file), using, using.open())
    assert scored["malformed"] == {}
    assert set(scored["mean"].values()) == {1.0, 4.0}


def test_evaluation_mining_and_ask_read_them_too(taught: Path, data: Path, tmp_path: Path) -> None:
    flags = ["--max_new_tokens=40", "--batch_size=2"]
    found = run(evaluate, taught, data, tmp_path / "evaluate", *flags, "--answer_samples=2")
    assert (found["accuracy"]["value"], found["graph_f1"]["value"]) == (1.0, 1.0)
    predictions = read_predictions(tmp_path / "evaluate")
    for prediction in predictions:
        assert (prediction.parse_status, prediction.opened_think) == ("ok", True)
        assert f"<think>{prediction.generated_text}" == prediction.explanation
        probabilities = prediction.answer_probabilities
        assert probabilities is not None
        assert probabilities[prediction.answer[0]] > 0.9
        assert reading("arm", prediction)["reasoning"]
    written = [str(tmp_path / "evaluate" / "predictions.jsonl")]
    assert input_texts.read_texts(written).rows == input_texts.read_texts(written, field="explanation").rows
    mined = run(score, taught, data, tmp_path / "mine", *flags, "--samples=2", "--temperature=0.1")
    assert mined["always_right"] == 4
    for question, answer in QUESTIONS.items():
        words = [str(data.parent / "film.png"), question]
        reply = ask.main(taught, words, reference=TARGETS[answer], max_new_tokens=40)
        assert reply.comparison is not None
        assert (reply.comparison.is_correct, reply.comparison.rewards.total) == (True, 2.0)
        probability = ask_reply.answer_probability(reply.generation)
        assert probability is not None
        assert math.isclose(probability, 1, abs_tol=0.1)


@pytest.mark.parametrize(
    ("explanation", "flags", "named"),
    [
        ("<answer>no</answer><think>There is no effusion.</think>", [], "example 0 does not begin with"),
        ("There is no effusion.", [], "example 0 does not begin with"),
        (TARGETS["no"], ["--strip_tags=true"], "strip_tags"),
    ],
)
def test_a_target_that_cannot_follow_the_prompt_is_refused(
    base: Path, tmp_path: Path, explanation: str, flags: list[str], named: str
) -> None:
    data = write(tmp_path / "train.json", [explanation])
    with pytest.raises(InputError, match=named):
        run(sft, base, data, tmp_path / "sft", *SMALL, "--max_steps=2", *flags)
    assert not (tmp_path / "sft").exists()
