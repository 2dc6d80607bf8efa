"""A small dataset of drawn films and a small model that both trainers run on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from chexphi.data.phantom import build as phantom


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the original's layout with a handful of examples of every kind."""
    folder = tmp_path_factory.mktemp("films") / "data"
    counts = phantom.Sizes(sight=20, sft=24, pool=24, valid=8, test=20)
    phantom.build(folder, counts=counts, seed=1)
    return folder


@pytest.fixture(scope="session")
def pool(films: Path) -> Path:
    """The examples of it that GRPO trains on."""
    return films / "annotations" / "pool" / "train.json"


@pytest.fixture(scope="session")
def policy(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with an adapter that changes nothing yet."""
    from chexphi.models import adapter
    from chexphi.models.families import phi4
    from chexphi.models.lora_names import TARGETS

    folder = tmp_path_factory.mktemp("policy") / "model"
    shutil.copytree(tiny_model_dir, folder)
    model = adapter.with_new_lora(phi4.load(folder)[0], targets=TARGETS, rank=4, alpha=8, with_head=False)
    model.save_pretrained(folder / "vision-lora")
    return folder


@pytest.fixture
def both(pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Path]]:
    """both(model, flags, rows a micro-batch, ...): as `two_processes.run_both`."""
    from two_processes import run_both

    return partial(run_both, pool, tmp_path, monkeypatch)
