"""A capture for tests without a GPU."""

from __future__ import annotations

from collections.abc import Callable

import torch

from chexphi.models.rollout.recording import Recording


class Rerun:
    """Stands for `CudaCapture`: a replay runs the step again, and writes into the same tensor.

    Args:
        change: What a replay makes of the samples.
    """

    def __init__(self, change: Callable[[torch.Tensor], torch.Tensor] = lambda drawn: drawn) -> None:
        self.captured = self.replayed = 0
        self._change = change

    def __call__(self, recorded_step: Callable[[], torch.Tensor]) -> Recording:
        self.captured += 1
        drawn = torch.zeros_like(recorded_step())

        def replay() -> None:
            self.replayed += 1
            drawn.copy_(self._change(recorded_step()))

        return Recording(replay, drawn)
