"""The demo's stages compute with the same kernels on every processor with AVX2."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from chexphi.demo import same_figures

WITH_AVX2 = torch.backends.cpu.get_cpu_capability() in same_figures.HAVE_AVX2
SUMS = """
import hashlib, torch
torch.manual_seed(0)
rows, weights = torch.randn(1600, 128), torch.randn(128, 256)
heads = torch.randn(4, 8, 100, 32)
results = rows @ weights, rows.T @ (rows @ weights), heads @ heads.transpose(-1, -2)
print(torch.backends.cpu.get_cpu_capability())
print(hashlib.sha256(b"".join(result.contiguous().numpy().tobytes() for result in results)).hexdigest())
"""


def products(variables: dict[str, str]) -> list[str]:
    """Torch's kernels, and a digest of three matrix products."""
    known = {name: value for name, value in os.environ.items() if name not in same_figures.ONE_ORDER}
    done = subprocess.run(
        [sys.executable, "-c", SUMS], capture_output=True, text=True, check=True, env=known | variables
    )
    return done.stdout.split()


@pytest.mark.skipif(not WITH_AVX2, reason="this processor has no AVX2: nothing is fixed")
def test_the_kernels_are_fixed_and_products_do_not_depend_on_the_threads() -> None:
    fixed = same_figures.fixed_kernels({})
    one, two = (products({**fixed, "OMP_NUM_THREADS": threads}) for threads in ("1", "2"))
    assert one == two
    assert one[0] == "AVX2"
    slower = products({"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "OMP_NUM_THREADS": "1"})
    assert slower != one, "the digest does not see another order of sums"


@pytest.mark.skipif(not WITH_AVX2, reason="this processor has no AVX2: nothing is fixed")
def test_what_the_user_has_set_stays() -> None:
    chosen = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"}
    assert same_figures.fixed_kernels(chosen) == {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    assert same_figures.fixed_kernels({}) == same_figures.ONE_ORDER


def test_without_avx2_nothing_is_fixed() -> None:
    code = "from chexphi.demo import same_figures; print(same_figures.fixed_kernels({}))"
    environment = os.environ | {"ATEN_CPU_CAPABILITY": "default"}  # torch then finds no AVX2
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "{}"
