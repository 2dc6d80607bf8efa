#!/usr/bin/env bash
# torch 2.14.1 (CPU): `torch.randn` gives other numbers on another processor, with the same seed and version.
#
# The generator is the same everywhere, and so are `rand`, `randint` and `randperm`. But `randn` turns uniform
# numbers into normal ones with kernels of the processor: without AVX2 four values in ten have other last bits. So
# the weights of a new model differ before its first step. Then MKL's matrix products: which digits come out
# depends on the number of threads, also with `MKL_CBWR=AVX2`, which fixes the kernels. Only `AVX2,STRICT` fixes
# both.
#
# One machine with AVX2 in five settings. Seen 2026-11-30 on Python 3.11, Intel with AVX-512.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip --quiet --disable-pip-version-check install torch==2.14.1 numpy==2.4.6
cat >draw.py <<'PY'
import sys

import torch

torch.manual_seed(0)
drawn = {
    "randn": torch.randn(10_000), "rand": torch.rand(10_000), "randint": torch.randint(9, (10_000,)),
    "randperm": torch.randperm(10_000),
}
torch.manual_seed(0)
rows, gradients = torch.rand(1600, 128), torch.rand(1600, 256)
torch.save(drawn | {"product": rows.T @ gradients}, sys.argv[1])
PY
cat >check.py <<'PY'
import os
import subprocess
import sys

import torch


def values(**variables):
    subprocess.run([sys.executable, "draw.py", "values.pt"], env=os.environ | variables, check=True)
    return torch.load("values.pt", weights_only=True)


def differ(name, first, second):
    return (first[name] != second[name]).float().mean().item()


print("torch", torch.__version__.split("+")[0])
if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
    print("this processor has no AVX2: nothing to compare")
    sys.exit()
with_avx2, without = values(ATEN_CPU_CAPABILITY="avx2"), values(ATEN_CPU_CAPABILITY="default")
drawn = {name: differ(name, with_avx2, without) for name in ("randn", "rand", "randint", "randperm")}
for name, share in drawn.items():
    print(f"{name:8} with AVX2 and without, values that differ: {share:.1%}")
products = {}
for branch in ("AVX2", "AVX2,STRICT"):
    one, two = (values(MKL_CBWR=branch, OMP_NUM_THREADS=threads) for threads in "12")
    products[branch] = differ("product", one, two)
    print(f"a product under MKL_CBWR={branch:11} with 1 and 2 threads: {products[branch]:.1%}")
assert drawn.pop("randn") > 0.1 and max(drawn.values()) == 0
assert products == {"AVX2": products["AVX2"], "AVX2,STRICT": 0} and products["AVX2"] > 0.1
PY
venv/bin/python check.py 2>err.log || { tail -5 err.log; exit 1; }
# seen:
# torch 2.14.1
# randn    with AVX2 and without, values that differ: 38.4%
# rand     with AVX2 and without, values that differ: 0.0%
# randint  with AVX2 and without, values that differ: 0.0%
# randperm with AVX2 and without, values that differ: 0.0%
# a product under MKL_CBWR=AVX2        with 1 and 2 threads: 60.8%
# a product under MKL_CBWR=AVX2,STRICT with 1 and 2 threads: 0.0%
