"""Two trainers in one process take turns by step; where a step's time and memory go."""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from _policy import GPU, clock
from transformers import TrainerCallback

from chexphi.models import adapter


class Parts:
    """Seconds of a step's parts, each without the parts inside it, and tokens through the language layers."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.tokens = 0
        self._open: list[str] = []
        self._since = 0.0

    def clear(self) -> None:
        self.seconds.clear()
        self.tokens = 0

    def inside(self, name: str) -> bool:
        return name in self._open[-1:]

    def enter(self, name: str) -> None:
        self._book()
        self._open.append(name)

    def leave(self) -> None:
        self._book()
        self._open.pop()

    def _book(self) -> None:
        now = clock()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self.enter(name)
        try:
            yield
        finally:
            self.leave()


class _Optimiser(TrainerCallback):
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_pre_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self._parts.enter("optimiser")

    def on_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self._parts.leave()


def instrument(trainer: Any, parts: Parts) -> None:
    """Book the trainer's parts: its methods and its models' are wrapped, nothing of them changes."""

    def wrap(owner: Any, method: str, name: Callable[..., str | None]) -> None:
        original = getattr(owner, method)

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            part = name(*args, **kwargs)
            with parts.part(part) if part else nullcontext():
                return original(*args, **kwargs)

        setattr(owner, method, wrapped)

    def prefill(*args: Any, cache: Any = None, **kwargs: Any) -> str | None:
        is_first = cache is None or cache.get_seq_length() == 0
        return "prefill" if parts.inside("decode") and is_first else None

    def count(layer: Any, args: Any, kwargs: Any) -> None:
        states = args[0] if args else kwargs["hidden_states"]
        parts.tokens += states.shape[0] * states.shape[1]

    wrap(trainer, "get_batch_samples", lambda *a, **k: "films")
    wrap(trainer.processing_class, "_process_images", lambda *a, **k: "films")
    wrap(trainer, "_generate_single_turn", lambda *a, **k: "decode")
    wrap(trainer, "_calculate_rewards", lambda *a, **k: "rewards")
    wrap(
        trainer,
        "_get_per_token_logps_and_entropies",
        lambda *a, **k: "policy pass" if torch.is_grad_enabled() else "reference pass",
    )
    wrap(trainer.accelerator, "backward", lambda *a, **k: "backward")
    trainer.add_callback(_Optimiser(parts))
    for model in (trainer.model, trainer.ref_model):
        if model is not None:
            backbone = adapter.unwrapped(model).model
            wrap(backbone, "forward", prefill)
            for method in ("forward", "get_img_features"):
                wrap(backbone.embed_tokens_extend.image_embed, method, lambda *a, **k: "vision")
            backbone.layers[0].register_forward_pre_hook(count, with_kwargs=True)


class Turns(TrainerCallback):
    """Runs a trainer in a thread of its own, a step whenever it is asked to.

    So two trainers take turns in one process. A step is all that lies between two ends of optimiser steps:
    opening and processing films, generation, rewards, passes, update.
    """

    def __init__(self) -> None:
        self.seconds = self.wall = 0.0
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._error: BaseException | None = None
        self._memory = False
        self._thread: threading.Thread | None = None
        self.peak = 0
        """Bytes allocated during a step with `memory`, at most, above what there was at its beginning."""

    def start(self, trainer: Any) -> None:
        self._thread = threading.Thread(target=self._run, args=(trainer,), daemon=True)
        self._thread.start()

    def step(self, *, memory: bool = False) -> float:
        """Run one step; its seconds. With `memory` its allocations are followed, which takes time."""
        self._memory = memory
        self._turn()
        return self.seconds

    def finish(self) -> None:
        """After the last step of the trainer's `max_steps`."""
        self._turn()
        assert self._thread is not None
        self._thread.join()

    def _turn(self) -> None:
        self._go.release()
        self._done.acquire()
        if self._error is not None:
            raise self._error

    def _run(self, trainer: Any) -> None:
        self._begin()
        try:
            trainer.train()
        except BaseException as error:  # raised again where the step was asked for
            self._error = error
        self._done.release()

    def _begin(self) -> None:
        self._go.acquire()
        if self._memory:
            self._watch = Peak()
            self._watch.__enter__()
        self._since, self._walled = clock(), time.perf_counter()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.seconds, self.wall = clock() - self._since, time.perf_counter() - self._walled
        if self._memory:
            self._watch.__exit__(None, None, None)
            self.peak, self._memory = self._watch.bytes, False
        self._done.release()
        self._begin()


class Peak:
    """Most bytes allocated at once inside the block, above what there was before; exact on both devices."""

    def __enter__(self) -> Peak:
        self.bytes = 0
        if GPU:
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
            return self
        self._profile = torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
        )
        self._profile.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if GPU:
            self.bytes = torch.cuda.max_memory_allocated() - self._before
            return
        self._profile.__exit__(None, None, None)
        events = self._profile.profiler.kineto_results.events()
        now = self.bytes = 0
        for event in sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns()):
            now += event.nbytes()
            self.bytes = max(self.bytes, now)


def resident(*modules: Any, optimizer: Any) -> int:
    """Bytes of weights, buffers and optimiser state."""
    tensors = [t for module in modules for t in (*module.parameters(), *module.buffers())]
    tensors += [t for state in optimizer.state.values() for t in state.values() if torch.is_tensor(t)]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())
