"""Two processes and one that train on the same completions, compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from several_processes import replay, table_of, torchrun

from chexphi.data.read import read_examples
from chexphi.schema import Completion
from chexphi.training import completions, grpo

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs" / "accelerate"
REPLAY = ROOT / "tests" / "several_processes.py"
FLAGS = [
    "--learning_rate=1e-3", "--num_generations=4", "--max_completion_length=64", "--max_steps=3",
    "--disable_tqdm=true", "--save_strategy=no",
]  # fmt: skip
Both = Callable[..., list[Path]]

CASES: dict[str, tuple[list[str], int]] = {
    "all, micro-batches, reference": (
        ["--trainable=all", "--beta=0.1", "--temperature=0.9", "--gradient_accumulation_steps=2"], 2
    ),
    "a group on two processes": (["--trainable=all", "--share_prefix=false"], 2),
    "rows of dapo": (
        ["--trainable=all", "--loss_type=dapo", "--scale_rewards=batch", "--gradient_accumulation_steps=2",
         "--mask_truncated_completions=true", "--max_completion_length=24"], 4,
    ),
    "a generation of two steps": (["--trainable=all", "--num_iterations=2", "--beta=0.1"], 4),
    "dynamic sampling": (["--trainable=all", "--dynamic_sample=true", "--rewards", "external_r1v_acc"], 4),
}  # fmt: skip
LORA: dict[str, tuple[list[str], int]] = {
    "lora and head, reference": (
        ["--beta=0.1", "--temperature=0.9", "--gradient_accumulation_steps=2"], 4
    ),
    "lora alone, checkpointing": (
        ["--trainable=vision_lora", "--gradient_checkpointing=true", "--temperature=0.9"], 4
    ),
}  # fmt: skip


def run_both(
    pool: Path,
    folder: Path,
    patch: pytest.MonkeyPatch,
    model: Path,
    flags: Sequence[str],
    size: int,
    start: Callable[..., Any] = torchrun,
) -> list[Path]:
    """The run folders of one process and of two, with the same completions.

    Args:
        pool: The examples.
        folder: Where both go.
        model: The policy.
        flags: Of `chexphi grpo`, beside `FLAGS`.
        size: Rows a micro-batch of one of the two.
        start: Starts a script on a number of processes.
    """
    table = table_of([example.question for example in read_examples(pool)])
    (folder / "table.json").write_text(json.dumps(table))
    common = ["--model", str(model), "--data", str(pool), *FLAGS, *flags]
    one, two = folder / "one", folder / "two"
    with patch.context() as patched:
        replay(table, patched)
        grpo.main(*grpo.parse([*common, "--out", str(one), f"--per_device_train_batch_size={2 * size}"]))
    done = start(
        2, REPLAY, "--table", folder / "table.json", *common, "--out", two,
        f"--per_device_train_batch_size={size}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return [one, two]


def rows_of(out: Path) -> list[Completion]:
    return list(completions.read(out / "completions.jsonl"))


def metrics_of(out: Path) -> list[dict[str, float]]:
    """The lines of `metrics.jsonl` without times, and without what is a mean of the processes' means."""
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    left = ("time", "runtime", "_per_second", "seconds", "entropy", "kl")
    return [
        {k: v for k, v in line.items() if not k.endswith(left) and not k.startswith("graph/")}
        for line in lines
    ]


def same_runs(one: Path, two: Path) -> None:
    """Completions, rewards, log-probabilities, metrics and weights of two runs."""
    mine, theirs = rows_of(one), rows_of(two)
    assert len({row.total for row in mine}) > 1
    assert len(mine) == len(theirs)
    for first, second in zip(mine, theirs, strict=True):
        assert first.per_token_logps == pytest.approx(second.per_token_logps, abs=1e-4)
        assert first.advantage == pytest.approx(second.advantage, abs=1e-4)
        left, right = (
            {k: v for k, v in row.to_dict().items() if k not in ("per_token_logps", "advantage")}
            for row in (first, second)
        )
        assert left == right
    figures, others = metrics_of(one), metrics_of(two)
    assert len(figures) == len(others) > 3
    for first_line, second_line in zip(figures, others, strict=True):
        assert first_line == pytest.approx(second_line, abs=1e-4, rel=1e-4)
    assert any(line["loss"] for line in figures[:-1])
    first_weights, second_weights = (weights_of(folder / "model") for folder in (one, two))
    assert first_weights.keys() == second_weights.keys()
    for name, tensor in first_weights.items():
        assert (tensor - second_weights[name]).abs().max() < 0.01, name  # Adam makes much of little
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in two.iterdir())


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """What was saved; FSDP writes a tied `lm_head` twice."""
    (file,) = folder.glob("*.safetensors")
    return {name: tensor for name, tensor in load_file(file).items() if name != "lm_head.weight"}


def run_with_uneven_films(
    films: Path, folder: Path, patch: pytest.MonkeyPatch, model: Path, start: Callable[..., Any] = torchrun
) -> list[Path]:
    """As `run_both`, on prompts with no film, one or two, which come together in a step."""
    data = shutil.copytree(films, folder / "films") / "annotations" / "pool" / "train.json"
    rows = json.loads(data.read_text())
    images = {row["id"]: row["images"][: (number + 1) % 3] for number, row in enumerate(rows)}
    data.write_text(json.dumps([row | {"images": images[row["id"]]} for row in rows]))
    one, two = run_both(data, folder, patch, model, ["--beta=0.1", "--trainable=vision_lora"], 4, start)
    ids = [row.id for row in rows_of(two)][::4]
    pairs = [{bool(images[name]) for name in pair} for pair in zip(ids[::2], ids[1::2], strict=True)]
    assert {True, False} in pairs  # one of the two processes has films
    return [one, two]
