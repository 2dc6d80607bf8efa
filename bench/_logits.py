"""Ways to get logits in fp32 from a head whose weights are bf16. One table."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from _policy import GPU, clock
from rich.table import Table
from torch import Tensor

TOKENS = (64, 128, 320)
HIDDEN, VOCABULARY = (3072, 200_064) if GPU else (128, 4000)
WAYS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "an fp32 copy of the weights (today's)": lambda states, weight: states.float() @ weight.float().T,
    "out_dtype, no copy": lambda states, weight: torch.mm(states, weight.T, out_dtype=torch.float32),
    "bf16 sums": lambda states, weight: (states @ weight.T).float(),
}


def head_table() -> Table:
    """Milliseconds of a head, and the largest difference from logits in fp32 of the same weights."""
    titles = [f"ms, {tokens} tokens" for tokens in TOKENS]
    table = Table("logits by", *titles, "largest error", title=f"A head of {VOCABULARY} tokens in bf16")
    device = "cuda" if GPU else "cpu"
    torch.manual_seed(0)
    weight = torch.randn(VOCABULARY, HIDDEN, device=device, dtype=torch.bfloat16) * HIDDEN**-0.5
    for name, logits_of in WAYS.items():
        if "out_dtype" in name and not GPU:
            table.add_row(name, "not run: no GPU")
            continue
        cells = []
        for tokens in TOKENS:
            states = torch.randn(tokens, HIDDEN, device=device, dtype=torch.bfloat16)
            seconds = []
            for _ in range(10):
                start = clock()
                logits = logits_of(states, weight)
                seconds.append(clock() - start)
            cells.append(f"{1000 * statistics.median(seconds):.2f}")
        error = float((logits - states.float() @ weight.float().T).abs().max())
        table.add_row(name, *cells, f"{error:.1e}")
    return table
