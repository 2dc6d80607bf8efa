"""Shared fixtures. Nothing here needs a network."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before any test imports torch or transformers.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "2")

import pytest
import yaml
from hypothesis import settings
from raised_errors import RaisedErrors

ROOT = Path(__file__).resolve().parents[1]

# Cores may be shared, so no deadline; the same examples in every run, so a failure is nobody's luck.
settings.register_profile("repository", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("repository")

WORDS = (
    "Is there an opacity in the right lung?",
    "Where is the pleural effusion?",
    "<think>The heart is enlarged. There is no pneumothorax. A small left pleural effusion is seen.</think>"
    "<answer>yes</answer>",
    "<think>An opacity lies in the right upper zone. The left lung is clear.</think><answer>no</answer>",
)


LONGEST = (
    "demo/test_demo.py", "test_nothing_gets_out.py", "memory_plan/test_plan.py", "test_documented_formats.py",
    "kg/test_kg_engines.py", "training/test_many_processes.py", "training/recovery/test_recovery.py",
    "training/recovery/test_stop.py", "training/test_same_completions.py", "memory_plan/test_plan_memory.py",
    "sweep/test_sweep_runs.py",
)  # fmt: skip
"""Files that a process begins with, so that no other one waits for it at the end."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--unraised",
        choices=("whole", "any"),
        help="list the errors that no test raised: after a whole run, which fails for one, or after any run",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The same tests on every machine: a GPU is for those that are marked so."""
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    config.pluginmanager.register(RaisedErrors(config))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the others in their order."""
    rank = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


def pytest_collection_finish() -> None:
    """What imports made stays: trainers collect garbage, which takes long if it is looked through."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data: `CHEXPHI_DATA`, else `../shared/data` beside the repository."""
    folder = Path(os.environ.get("CHEXPHI_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set CHEXPHI_DATA to a folder that holds them")
    return folder


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained Phi-4-multimodal, built once: model and processor, for `from_pretrained`."""
    from chexphi.models.families import tiny

    folder = tmp_path_factory.mktemp("tiny_model")
    tiny.build(folder, WORDS)
    return folder


@pytest.fixture(scope="session")
def subsets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of `{policy}/{size}.json` as `mine select` writes them, with their films."""
    from chexphi.data.phantom import build as phantom

    folder = tmp_path_factory.mktemp("subsets") / "d"
    phantom.build(folder, counts=phantom.Sizes(sight=4, sft=4, pool=12, valid=4, test=10), seed=1)
    rows = json.loads((folder / "annotations" / "pool" / "train.json").read_text())
    for policy in ("hard_uniform", "uniform"):
        (folder / "annotations" / policy).mkdir(exist_ok=True)
        for size in (6, 12):
            (folder / "annotations" / policy / f"{size}.json").write_text(json.dumps(rows[:size]))
    return folder / "annotations"


@pytest.fixture(scope="session")
def write_sweep(tiny_model_dir: Path, subsets: Path) -> Callable[..., Path]:
    """write_sweep(folder, grid, max_steps=1, ...) -> a sweep's config beside the one of its runs."""

    def write(folder: Path, grid: Any, *, runs: dict[str, Any] | None = None, **values: Any) -> Path:
        small = {
            "per_device_train_batch_size": 4, "num_generations": 2, "max_completion_length": 6,
            "disable_tqdm": True, "trainable": "all", "max_steps": 2, "save_strategy": "no",
        }  # fmt: skip
        base, config = folder / "grpo.yaml", folder / "sweep.yaml"
        base.write_text(yaml.safe_dump({**small, **(runs or {})}))
        sweep = {
            "configs": [str(base)], "model": str(tiny_model_dir), "grid": grid,
            "data": f"{subsets}/{{policy}}/{{size}}.json",
        }  # fmt: skip
        config.write_text(yaml.safe_dump({**sweep, **values}, sort_keys=False))
        return config

    return write


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory, write_sweep: Callable[..., Path]) -> Path:
    """The folder of a sweep of two runs at a time, one of which blows up."""
    from chexphi.sweep import run, sweep_recipe

    folder = tmp_path_factory.mktemp("swept")
    grid = {"learning_rate": [1e-3, 1e30], "policy": ["hard_uniform"], "size": [6]}
    file = write_sweep(folder, grid, workers=2, retries=0, settings={"weight_decay": 0.1})
    run.main(sweep_recipe.parse(["--config", str(file), "--out", str(folder / "out")]))
    return folder / "out"


@pytest.fixture
def limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[list[str], int], tuple[int, str]]:
    """limited(words, limit) -> exit code and standard error of `chexphi WORDS`, in the empty `tmp_path`.

    No file that it writes may grow beyond `limit` bytes.
    """
    from small_disks import file_size

    from chexphi.cli import main

    monkeypatch.chdir(tmp_path)

    def run(words: list[str], limit: int) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["chexphi", *words])
        with pytest.raises(SystemExit) as ended, file_size(limit):
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run
