"""Shared fixtures. Nothing here needs a GPU or a network."""

from __future__ import annotations

import os
from pathlib import Path

# Before any test imports torch or transformers.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "2")

import pytest
from hypothesis import settings

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
    from chexphi.models import tiny

    folder = tmp_path_factory.mktemp("tiny_model")
    tiny.build(folder, WORDS)
    return folder
