"""The two short examples that users begin with do what they say."""

from __future__ import annotations

import csv
import doctest
import importlib
import json
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from chexphi.data.read import read_examples
from chexphi.training import grpo

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def your_reward(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return importlib.import_module("your_reward")


def test_your_reward_compares_sides(your_reward: ModuleType) -> None:
    completions = [
        "<think>A left effusion.</think><answer>yes</answer>",
        [{"role": "assistant", "content": "<think>A right effusion.</think><answer>yes</answer>"}],
        "A left effusion.",
        "<think>Clear lungs.</think><answer>no</answer>",
    ]
    left = "<think>There is a left effusion.</think><answer>yes</answer>"
    solution = [left, left, left, "<think>No effusion.</think><answer>no</answer>"]
    assert your_reward.same_sides(completions, solution) == [1.0, 0.0, 0.0, None]
    assert doctest.testmod(your_reward) == doctest.TestResults(failed=0, attempted=1)


def test_grpo_takes_your_reward(
    your_reward: ModuleType, tiny_model_dir: Path, subsets: Path, tmp_path: Path
) -> None:
    flags = {
        "model": tiny_model_dir, "data": subsets / "uniform" / "12.json", "out": tmp_path / "run",
        "num_generations": 2, "per_device_train_batch_size": 4, "max_completion_length": 4, "max_steps": 1,
        "save_strategy": "no", "disable_tqdm": "true",
    }  # fmt: skip
    words = [f"--{name}={value}" for name, value in flags.items()]
    out = grpo.main(*grpo.parse([*words, "--rewards", "external_r1v_acc", "your_reward:same_sides"]))
    rows = [json.loads(line) for line in (out / "completions.jsonl").read_text().splitlines()]
    assert len(rows) == 4
    assert all("your_reward:same_sides" in row["rewards"] for row in rows)


def test_your_dataset_says_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [""])
    with pytest.raises(SystemExit, match=r"^usage: python .*your_dataset\.py TABLE\.csv TRAIN\.json$"):
        runpy.run_path(str(ROOT / "examples" / "your_dataset.py"), run_name="__main__")


def test_the_table_in_the_docstring_is_read(tmp_path: Path) -> None:
    example_file = runpy.run_path(str(ROOT / "examples" / "your_dataset.py"))
    rows = [line.strip() for line in example_file["__doc__"].splitlines() if line.startswith("    ")]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    examples = example_file["examples_of"](tmp_path / "table.csv")
    assert [example.answer for example in examples] == [("yes",), ("effusion", "pneumothorax"), ("no",)]
    assert [example.subject_id for example in examples] == ["p1", "p1", "p2"]


def test_your_dataset_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images" / "p1").mkdir(parents=True)
    Image.new("L", (64, 64), 90).save(tmp_path / "images" / "p1" / "a.png")
    row = {
        "patient": "p1", "film": "p1/a.png", "question": "What is seen, and where?",
        "reasoning": "There is a left pleural effusion.", "answer": "effusion; left lung",
    }  # fmt: skip
    with (tmp_path / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "table.csv"), str(tmp_path / "train.json")])
    runpy.run_path(str(ROOT / "examples" / "your_dataset.py"), run_name="__main__")
    (example,) = read_examples(tmp_path / "train.json")
    assert example.answer == ("effusion", "left lung")
    assert example.explanation.endswith("<answer>effusion, left lung</answer>")
    assert example.subject_id == "p1"
