"""GRPO whose groups read their prompt once samples what it samples with every row read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chexphi.models.shared_prompts import prefill
from chexphi.training import completions, grpo

FLAGS = [
    "--learning_rate=1e-3", "--per_device_train_batch_size=8", "--num_generations=4", "--max_steps=3",
    "--max_completion_length=12", "--disable_tqdm=true", "--save_strategy=no", "--temperature=1.2",
]  # fmt: skip


@pytest.mark.parametrize("how", [["--trainable=all"], ["--beta=0.1", "--gradient_checkpointing=true"]])
def test_the_same_completions(
    policy: Path,
    tiny_model_dir: Path,
    films: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: list[str],
) -> None:
    model = tiny_model_dir if "--trainable=all" in how else policy
    read: list[tuple[int, int]] = []
    native = prefill.distinct_prompts

    def distinct(*args: Any) -> Any:
        found = native(*args)
        read.append((len(args[1]), len(args[1]) if found is None else len(found.prompts.first_rows)))
        return found

    monkeypatch.setattr(prefill, "distinct_prompts", distinct)
    runs = []
    for shared in (True, False):
        pool = films / "annotations" / "pool" / "train.json"
        out = tmp_path / str(shared)
        argv = ["--model", str(model), "--data", str(pool), "--out", str(out), *FLAGS, *how]
        argv.append(f"--share_prefix={shared}")
        runs.append(list(completions.read(grpo.main(*grpo.parse(argv)) / "completions.jsonl")))
    assert read == [(8, 2)] * 3
    assert [row.token_ids for row in runs[0]] == [row.token_ids for row in runs[1]]
    assert [row.total for row in runs[0]] == [row.total for row in runs[1]]
    for row, plain in zip(*runs, strict=True):
        assert row.per_token_logps == pytest.approx(plain.per_token_logps, abs=1e-4)
