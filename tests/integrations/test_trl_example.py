"""The example for bare TRL, run as its first lines say, on small vision models."""

from __future__ import annotations

import ast
import json
import math
import runpy
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
import tiny_families
from PIL import Image

from chexphi.models.families import tiny
from chexphi.prompts import ParseStatus

SCRIPT = Path(__file__).parents[2] / "examples" / "trl_grpo.py"
SOLUTION = "<think>There is no effusion in the right lung.</think><answer>no</answer>"
SMALL = {
    "max_steps": 2,
    "num_generations": 2,
    "per_device_train_batch_size": 2,
    "max_completion_length": 6,
    "save_strategy": "no",
    "use_cpu": True,
    "dtype": "float32",
    "bf16": False,
    "lora_r": 4,
    "learning_rate": 1e-2,
    "disable_tqdm": True,
}
"""What is smaller here than in the command of the docstring."""


def documented_command() -> list[str]:
    """The words after the script's name in the command of its docstring."""
    docstring = ast.get_docstring(ast.parse(SCRIPT.read_text(encoding="utf-8"))) or ""
    _, _, text = docstring.split("\n\n")[1].replace("\\\n", " ").partition("trl_grpo.py ")
    return shlex.split(text)


TEXTS = (*tiny_families.TEXTS, SOLUTION)


FAMILIES: dict[str, Callable[..., None]] = {"phi4": tiny.build, **tiny_families.BUILDERS}


@pytest.mark.parametrize("build", FAMILIES.values(), ids=FAMILIES)
def test_two_steps_in_bare_trl(
    build: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "model", TEXTS)
    Image.new("RGB", (32, 32), "gray").save(tmp_path / "film.png")
    prompt = [{"role": "user", "content": "Is there an effusion?"}]
    row = {"prompt": prompt, "images": [str(tmp_path / "film.png")], "solution": SOLUTION}
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(row)}\n" * 2)
    paths = {"MODEL": "model", "ROWS.jsonl": "rows.jsonl", "runs/trl": "out"}
    argv = [str(tmp_path / paths[word]) if word in paths else word for word in documented_command()]
    argv += [word for name, value in SMALL.items() for word in (f"--{name}", str(value))]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *argv])
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    trainer = runpy.run_path(str(SCRIPT))["trainer"]
    assert trainer.args.gradient_checkpointing  # as with real weights: TRL turns it on
    learning = [name for name, value in trainer.model.named_parameters() if value.requires_grad]
    assert learning
    assert all(".lora_" in name and ".layers." in name for name in learning)
    steps = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(steps) == 2
    for entry in steps:
        parts = [entry[f"rewards/{name}/mean"] for name in ("external_r1v_acc", "external_kg_jac")]
        assert math.isclose(entry["reward"], sum(parts), abs_tol=1e-6)
        malformed = [entry[f"malformed/{kind}"] for kind in ParseStatus if kind is not ParseStatus.ok]
        assert sum(malformed) == 1.0  # an untrained model closes no tag
