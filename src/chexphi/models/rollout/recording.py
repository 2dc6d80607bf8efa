"""A policy's step over static buffers, recorded as CUDA graphs: replayed, it costs Python nothing.

A forward of one token a row starts thousands of kernels from Python, and a GPU waits for them. Where
recording fails, or a first replay gives other tokens, the same step runs kernel by kernel.
"""

from __future__ import annotations

import functools
import logging
import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor

from chexphi.models.rollout import row_cache
from chexphi.models.rollout.sampling import TokenSampler
from chexphi.models.rollout.static_buffers import Buffers, FirstRows, step
from chexphi.models.rollout.static_rows import StaticRows
from chexphi.models.rollout.static_sizes import Sizes
from chexphi.models.shared_prompts.kv_cache import reserve
from chexphi.models.shared_prompts.read_prompts import PromptsRead

logger = logging.getLogger(__name__)

RECORD_AT = 3
"""Forwards of the same sizes at which these are recorded: recording costs about as much as four of them."""
MOST_RECORDINGS = 64
MOST_BUFFERS = 2
"""One for training and one for evaluation."""


class Recording(NamedTuple):
    """A step that was recorded."""

    replay: Callable[[], None]
    samples: Tensor
    """Where each replay leaves what it sampled; see `static_buffers.step`."""


Capture = Callable[[Callable[[], Tensor]], Recording]
"""Records a step."""


class Recorder:
    """Lets the rows of one policy decode in static buffers, which stay allocated from call to call.

    Args:
        capture: Records a step; None runs each step kernel by kernel.
    """

    def __init__(self, capture: Capture | None) -> None:
        self._capture = capture
        self._buffers: list[Buffers] = []
        self._recordings: OrderedDict[Hashable, Recording] = OrderedDict()
        self._uses: Counter[Hashable] = Counter()
        self._weights: Hashable = None
        self._reasons_told: set[str] = set()

    @property
    def recordings(self) -> int:
        """How many sizes are recorded."""
        return len(self._recordings)

    def begin(
        self,
        model: Any,
        prompts_read: PromptsRead,
        prompt_of_row: Tensor,
        sampler: TokenSampler,
        *,
        new_tokens: int,
        most_drafts: int,
    ) -> StaticRows | None:
        """Rows that begin after prompts that the model has read; None, and a warning, where they cannot.

        Args:
            model: The policy, always the same one.
            prompts_read: The prompts.
            prompt_of_row: The prompt of each row, int (rows,).
            sampler: Of these rows.
            new_tokens: Of a row, at most.
            most_drafts: Of a row.
        """
        prompts, length = prompts_read.mask.shape
        reserve(prompts_read.cache, length + new_tokens)
        reason = why_not_static(model, prompts_read.cache)
        if reason is None:
            self._forget_others(model)
            sizes = Sizes.of(len(prompt_of_row), prompts, length, new_tokens, most_drafts)
            try:
                buffers = self._room(sizes, prompts_read)
            except torch.OutOfMemoryError:
                reason = f"buffers of {_bytes_of(sizes, prompts_read.cache) / 1e9:.1f} GB find no room"
        if reason is not None:
            self._tell(reason)
            return None
        buffers.begin(prompts_read, prompt_of_row, sampler, new_tokens=new_tokens)
        run = functools.partial(self._run, model)
        return StaticRows(buffers, prompt_of_row.cpu().numpy(), sampler, run)

    def _room(self, sizes: Sizes, prompts_read: PromptsRead) -> Buffers:
        """Buffers for a call; those of an earlier one where they are large enough."""
        for buffers in self._buffers:
            if buffers.sizes.same_rows(sizes):
                sizes = sizes.widened(buffers.sizes)
                if buffers.sizes == sizes:
                    return buffers
        other_buffers = [buffers for buffers in self._buffers if not buffers.sizes.same_rows(sizes)]
        self._forget()
        self._buffers = other_buffers[-(MOST_BUFFERS - 1) :]  # the old ones go before the new ones are made
        layers = [(layer.keys, layer.values) for layer in prompts_read.cache.layers]
        self._buffers.append(Buffers(sizes, layers, prompts_read.last_position))
        return self._buffers[-1]

    def _forget_others(self, model: Any) -> None:
        """Throw recordings away that read other weights than the model has now."""
        weights = weights_of(model)
        if weights != self._weights:
            self._forget()
        self._weights = weights

    def _forget(self) -> None:
        self._recordings.clear()
        self._uses.clear()

    def _run(self, model: Any, rows: FirstRows, sampler: TokenSampler, tokens: int) -> Tensor:
        key = (rows, tokens, sampler.numbers is None, tuple(sampler.forbidden), sampler.warp)
        recording = self._recordings.get(key)
        if recording is not None:
            self._recordings.move_to_end(key)
            recording.replay()
            return recording.samples
        samples = step(model, rows, sampler, tokens)
        self._uses[key] += 1
        if self._capture is not None and self._uses[key] == RECORD_AT:
            self._record(key, functools.partial(step, model, rows, sampler, tokens), samples)
        return samples

    def _record(self, key: Hashable, recorded_step: Callable[[], Tensor], samples: Tensor) -> None:
        """Record a step that has just run and sampled these tokens; run again, it samples the same."""
        assert self._capture is not None
        try:
            recording = self._capture(recorded_step)
            recording.replay()
            same = torch.equal(recording.samples[0], samples[0])
            reason = "" if same else "a replay gave other tokens"
        except RuntimeError as error:  # out of memory, or a call that cannot be captured
            reason = str(error).partition("\n")[0] or type(error).__name__
        if reason:
            self._capture = None
            self._tell(reason)
            return
        self._recordings[key] = recording
        if len(self._recordings) > MOST_RECORDINGS:
            dropped, _ = self._recordings.popitem(last=False)
            del self._uses[dropped]

    def _tell(self, reason: str) -> None:
        if reason not in self._reasons_told:
            logger.warning("steps of rollouts are not recorded, and run kernel by kernel: %s", reason)
        self._reasons_told.add(reason)


def why_not_static(model: Any, cache: Any) -> str | None:
    """Why rows cannot decode in static buffers after a cache of prompts; None where they can."""
    if not row_cache.holds_all(cache):
        return "a layer's window is shorter than a row"
    if not model.prompt_sharing.holds_once(model):
        return "prompts are not shared, or the attention is neither sdpa nor eager"
    return None


def _bytes_of(sizes: Sizes, cache: Any) -> int:
    keys = cache.layers[0].keys
    return sizes.byte_count(len(cache.layers), keys.shape[1] * keys.shape[3], keys.element_size())


def weights_of(model: Any) -> Hashable:
    """What a recording depends on: where the parameters are, and which adapters are on."""
    adapters = (module for module in model.modules() if isinstance(module, BaseTunerLayer))
    return (
        tuple(parameter.data_ptr() for parameter in model.parameters()),
        tuple((layer.disable_adapters, layer.merged, *layer.active_adapters) for layer in adapters),
    )


class CudaCapture:
    """Records steps as CUDA graphs, which share one pool of memory."""

    def __init__(self) -> None:
        self._graphs: weakref.WeakSet[torch.cuda.CUDAGraph] = weakref.WeakSet()
        self._pool: Any = None

    def __call__(self, recorded_step: Callable[[], Tensor]) -> Recording:
        """Run the step twice on a stream of its own, as capturing asks for, and record it.

        Raises:
            RuntimeError: If it cannot be recorded, or memory runs out; nothing is left half-recorded.
        """
        current_stream, side_stream = torch.cuda.current_stream(), torch.cuda.Stream()
        side_stream.wait_stream(current_stream)
        with torch.cuda.stream(side_stream):
            for _ in range(2):
                recorded_step()
        current_stream.wait_stream(side_stream)
        if not self._graphs:  # a pool dies with the last of its graphs
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        try:
            # threads that prepare films may go on allocating meanwhile
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                samples = recorded_step()
        finally:
            torch.cuda.set_stream(current_stream)  # which a failed capture does not do
        self._graphs.add(graph)
        return Recording(graph.replay, samples)
