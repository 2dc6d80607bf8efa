"""Training that is refused for what only its library or its files can tell."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from trl import SFTConfig

from chexphi.schema import InputError
from chexphi.training import completions
from chexphi.training.preflight import optimizer_trial


def test_a_schedule_that_begins_with_no_number(tmp_path: Path) -> None:
    args = SFTConfig(output_dir=str(tmp_path), learning_rate=math.inf, use_cpu=True, bf16=False)
    with pytest.raises(
        InputError, match=r"sft: no schedule can be made \(.*its first rate is inf\): correct lr_"
    ):
        optimizer_trial.check(args, "sft")


def test_completions_of_another_version(tmp_path: Path) -> None:
    (tmp_path / "completions.jsonl").write_text(json.dumps({"schema": 7}) + "\n")
    with pytest.raises(InputError, match="line 1 has schema 7: this version reads 1"):
        list(completions.read(tmp_path / "completions.jsonl"))
