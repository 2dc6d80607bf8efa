"""A small model with drawn noise for films: the adapters are tested, not what it learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

TEXTS = [
    f"<think>There is {finding} in the {side} {zone} zone. The heart is big.</think><answer>{answer}</answer>"
    for finding in ("an opacity", "a nodule", "no effusion")
    for side in ("left", "right")
    for zone in ("upper", "mid", "lower")
    for answer in ("yes", "no")
]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of two layers a tower, for 32-px films in patches of 8."""
    tiny = pytest.importorskip("chexphi.models.families.tiny")
    folder = tmp_path_factory.mktemp("tiny")
    sizes = {"hidden_size": 32, "num_layers": 2, "vision_hidden": 24, "vision_layers": 2, "vocab_size": 400}
    tiny.build(folder, TEXTS, image_size=32, patch_size=8, **sizes)
    return folder


@pytest.fixture(scope="session")
def tiny_pair(tiny_folder: Path) -> tuple[Any, Any]:
    """Model and processor; tests that change either load their own."""
    from chexphi.models.families.phi4 import load

    return load(tiny_folder)


@pytest.fixture(scope="session")
def film() -> Callable[..., Image.Image]:
    """film(seed, width, height) -> grey noise."""

    def draw(seed: int, width: int = 32, height: int = 32) -> Image.Image:
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
        return Image.fromarray(pixels)

    return draw
