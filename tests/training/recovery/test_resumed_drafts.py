"""Runs that go on with drafts of another kind, or where drafts are not exact: the same completions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from chexphi.models.rollout import saved_drafts
from chexphi.training import grpo
from chexphi.training.recovery import checkpoints

FLAGS = [
    "--learning_rate=1e-3", "--per_device_train_batch_size=4", "--num_generations=4", "--trainable=all",
    "--max_completion_length=12", "--max_steps=4", "--save_steps=2", "--disable_tqdm=true",
    "--rewards", "killed_runs:uneven",
]  # fmt: skip


@pytest.fixture(scope="module")
def words(tiny_model_dir: Path, pool: Path) -> list[str]:
    return ["--model", str(tiny_model_dir), "--data", str(pool), *FLAGS]


@pytest.fixture(scope="module")
def whole(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    return grpo.main(*grpo.parse([*words, "--out", str(tmp_path_factory.mktemp("whole") / "run")]))


def rewritten(**arrays: object) -> Callable[[Path], None]:
    """Writes a table of drafts with some of its arrays changed."""

    def write(path: Path) -> None:
        with np.load(path) as saved:
            content = dict(saved)
        np.savez(path, **content | arrays)

    return write


def mark_again(checkpoint: Path) -> None:
    """Let its marker have the tables that are there, so that it is complete."""
    path = checkpoint / checkpoints.MARKER
    marker = json.loads(path.read_text())
    files = {name: size for name, size in marker["files"].items() if not name.startswith("drafts_")}
    marker["files"] = files | {file.name: file.stat().st_size for file in checkpoint.glob("drafts_*")}
    path.write_text(json.dumps(marker))


@pytest.mark.parametrize(
    ("change", "flags", "warning"),
    [
        (rewritten(vocabulary="0" * 64), [], "is of another tokenizer"),
        (rewritten(tokens=np.zeros(1 << 16, np.float64)), [], "is damaged"),
        (rewritten(share_right=np.nan), [], "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[::-1]), [], "is damaged"),
        (None, ["--draft_slots=1024"], "is of another size than draft_slots says"),
        (None, ["--draft_tokens=0"], None),
        (Path.unlink, [], None),  # of a checkpoint from before there were drafts
        (lambda path: shutil.copy(path, saved_drafts.file_of(path.parent, 1)), [], None),
    ],
)
def test_a_run_goes_on_with_drafts_of_another_kind(
    words: list[str], whole: Path, tmp_path: Path, change: Callable[[Path], object] | None, flags: list[str],
    warning: str | None,
) -> None:  # fmt: skip
    out = shutil.copytree(whole, tmp_path / "run")
    for name in ("model", "checkpoint-4"):
        shutil.rmtree(out / name)
    if change:
        change(saved_drafts.file_of(out / "checkpoint-2", 0))
        mark_again(out / "checkpoint-2")
    grpo.main(*grpo.parse([*words, "--out", str(out), "--resume=true", *flags]))
    for name in ("completions.jsonl", "model/model.safetensors"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    log = (out / "train.log").read_text()
    assert log.count("drafts begin anew, and the samples stay the same") == (warning is not None)
    assert warning is None or f"checkpoint-2/drafts_0.npz {warning}: drafts" in log


def test_a_penalty_of_repetition_is_left_to_the_library(words: list[str], tmp_path: Path) -> None:
    """It looks at earlier tokens, which are not known where a draft is verified."""
    penalty = ["--generation_kwargs", '{"repetition_penalty": 1.3}', "--save_strategy=no"]
    runs = [
        grpo.main(
            *grpo.parse([*words, *penalty, "--out", str(tmp_path / sampling), f"--sampling={sampling}"])
        )
        for sampling in ("fixed", "library")
    ]
    first, second = ((out / "completions.jsonl").read_bytes() for out in runs)
    assert first == second
    logs = [(out / "train.log").read_text() for out in runs]
    told = "one token a forward: RepetitionPenaltyLogitsProcessor looks at earlier tokens"
    assert [log.count(told) for log in logs] == [1, 0]
    for out in runs:
        assert "rollout/" not in (out / "metrics.jsonl").read_text()
