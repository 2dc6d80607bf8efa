"""Batches that are collated when they are needed, not when they are read: films are processed meanwhile."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from accelerate.utils import send_to_device
from torch.utils.data import get_worker_info

from chexphi.schema import InputError


class LateCollator:
    """A collator that calls another one late.

    accelerate reads a batch one step ahead and calls `to` on it when its step begins. Only then is the other
    collator called, in the main thread, because two threads must not use one tokenizer. In a worker of
    torch's DataLoader it is called at once. There an `InputError` waits for `to`, because torch would wrap
    its traceback.
    """

    def __init__(self, collate: Callable[[Any], Any]) -> None:
        self._collate = collate

    def __call__(self, rows: Any) -> Any:
        if get_worker_info() is None:
            return DeferredBatch(functools.partial(self._collate, rows))
        try:
            return self._collate(rows)
        except InputError as error:
            return DeferredBatch(functools.partial(_fail, error))


class DeferredBatch:
    """A batch that is made when accelerate moves it to its device."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def to(self, device: Any, non_blocking: bool = False) -> Any:
        return send_to_device(self._make(), device, non_blocking=non_blocking)


def _fail(error: InputError) -> None:
    raise error
