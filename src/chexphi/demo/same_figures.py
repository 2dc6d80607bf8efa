"""The environment in which the stages of demo and study compute the same on different processors.

Each library picks its kernels by what the processor can do, and a sum in another order has other last bits.
After a thousand steps that is another policy. So the kernels are fixed, and each stage has a fixed number of
threads, whatever `--workers` is. `docs/results.md` says what is equal then, and what is not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

ONE_ORDER = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels, also where there is AVX-512
    "MKL_CBWR": "AVX2,STRICT",  # matrix products; STRICT: the same for any number of threads
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # convolutions
}
"""Variables that fix the kernels; processors with AVX-512 have them, too."""
HAVE_AVX2 = ("AVX2", "AVX512")
"""Torch's names for processors on which the variables may be set: on an older one, torch would crash."""


def fixed_kernels(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables for the stages of a loop; those that the user has set stay as they are.

    Args:
        environment: The variables of this process.

    Returns:
        The variables to add. None on a processor without AVX2, such as ARM: it has kernels of its own.
    """
    import torch  # here, because it takes seconds

    if torch.backends.cpu.get_cpu_capability() not in HAVE_AVX2:
        return {}
    return {name: value for name, value in ONE_ORDER.items() if name not in environment}
