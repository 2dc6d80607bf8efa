"""Command lines that end before anything is read, each with what to do about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.evaluation import evaluate
from chexphi.mining import subset
from chexphi.schema import InputError


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("mine score --model m", "mine score needs --data: give it, in the config or as a flag"),
        ("evaluate --model m", "evaluate needs --data (or --annotation_file): give it, in the config"),
        (
            "evaluate --model m --data d --image_root a --img_root b",
            "evaluate has both --image_root and --img_root",
        ),
        ("sft --data d", "sft needs --model: give it, in the config or as a flag"),
        ("sft", "sft needs --model and --data: give both, in the config or as flags"),
        ("grpo --data d", "grpo needs --model: give it, in the config or as a flag"),
        ("grpo --config", "grpo: --config needs a file name"),
        ("grpo --config nowhere.yaml", "config file nowhere.yaml does not exist: "),
        ("plan --stage sft --dtype fp8", "plan: dtype is 'fp8': use "),
        ("plan --stage ppo", "plan: stage is 'ppo': use sft or grpo"),
        (
            "plan --stage sft --image_size 3000",
            "plan: image_size is '3000': write width x height, as 2544x3056",
        ),
        ("plan --stage sft --optim lomo", "plan: the state of optim 'lomo' is not known: use "),
    ],
)
def test_a_command_line_is_refused(
    command: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(app, command.split()).exception
    assert isinstance(refused, InputError)
    assert str(refused).startswith(sentence)
    assert list(tmp_path.iterdir()) == []


def test_an_id_in_two_files_of_a_folder(tmp_path: Path) -> None:
    row = {"id": "1", "images": [], "question": "Clear?", "answer": "yes"}
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps([row]))
    with pytest.raises(InputError, match="an id occurs in two of its files: make the ids unique"):
        evaluate.read_all(tmp_path, tmp_path)


def test_a_pool_that_was_not_scored(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"scored pool .*scored\.jsonl does not exist: run `chexphi mine score`"
    ):
        subset.main(tmp_path, tmp_path / "p.json", tmp_path / "o.json", selection="uniform", number=1, seed=0)
