"""GRPO whose rollouts decode in static buffers, with `Rerun` in place of a GPU's recording."""

from __future__ import annotations

from pathlib import Path

import pytest
from rerun_capture import Rerun

from chexphi.models.rollout import recording
from chexphi.models.rollout import settings as rollout_settings
from chexphi.schema import InputError
from chexphi.training import completions, grpo, grpo_run

FLAGS = [
    "--learning_rate=1e-2", "--per_device_train_batch_size=8", "--num_generations=4", "--temperature=1.2",
    "--max_completion_length=12", "--max_steps=6", "--disable_tqdm=true", "--save_strategy=no", "--beta=0.1",
]  # fmt: skip


@pytest.mark.parametrize("trainable", ["vision_lora+lm_head", "all"])
def test_training_samples_the_same(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainable: str
) -> None:
    """Steps are recorded once: an optimiser changes the weights where they are."""
    capture = Rerun()
    monkeypatch.setattr(grpo_run, "CudaCapture", lambda: capture)
    monkeypatch.setattr(rollout_settings, "check_device", lambda *args, **kwargs: None)
    monkeypatch.setattr(recording, "RECORD_AT", 1)
    rows = []
    for flags in ([], ["--record_steps=true"]):
        out = tmp_path / str(len(rows))
        argv = ["--model", str(tiny_model_dir), "--data", str(pool), "--out", str(out), *FLAGS, *flags]
        grpo.main(*grpo.parse([*argv, f"--trainable={trainable}"]))
        rows.append(
            [(row.step, row.id, row.token_ids) for row in completions.read(out / "completions.jsonl")]
        )
    assert rows[0] == rows[1]
    assert len({ids for _, _, ids in rows[0]}) > 40
    assert 0 < capture.captured < 12
    assert capture.replayed > 2 * capture.captured


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        (
            "--temperature=1.0",
            "only steps on a GPU can be recorded, which this run does not use: leave it out",
        ),
        ("--sampling=library", "with sampling library there are no steps of ours: leave one of them out"),
    ],
)
def test_what_cannot_be_recorded_is_refused(
    tiny_model_dir: Path, pool: Path, tmp_path: Path, flag: str, message: str
) -> None:
    argv = ["--model", str(tiny_model_dir), "--data", str(pool), "--out", str(tmp_path / "run"), *FLAGS, flag]
    with pytest.raises(InputError, match=f"^grpo: record_steps is true, and {message}$"):
        grpo.main(*grpo.parse([*argv, "--record_steps=true"]))
    assert not (tmp_path / "run").exists()
