"""Drawn films have the same pixels with AVX-512 and without."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

EXTENSIONS = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
BEYOND_AVX2 = [name for name in EXTENSIONS if "AVX512" in name or name == "X86_V4"]
DRAW = """
import hashlib, random
from chexphi.data.phantom.draw import render
from chexphi.data.phantom.scene import sample_build, sample_scene
rng = random.Random(0)
films = [render(sample_scene(rng, sample_build(rng)), 256) for _ in range(40)]
print(hashlib.sha256(b"".join(film.tobytes() for film in films)).hexdigest())
"""


def digest(variables: dict[str, str]) -> str:
    environment = os.environ | variables
    command = [sys.executable, "-c", DRAW]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


@pytest.mark.skipif(not BEYOND_AVX2, reason="this processor has no AVX-512")
def test_films_are_the_same_with_avx512_and_without() -> None:
    assert digest({}) == digest({"NPY_DISABLE_CPU_FEATURES": " ".join(BEYOND_AVX2)})
