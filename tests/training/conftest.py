"""A small dataset of drawn films and a small model that both trainers run on."""

from __future__ import annotations

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
