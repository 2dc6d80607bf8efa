"""Batches put together when they are needed, not when they are read: films are on their way meanwhile."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from accelerate.utils import send_to_device
from torch.utils.data import get_worker_info

from chexphi.schema import InputError


class Later:
    """A collator around another one.

    accelerate reads a batch one step ahead and calls `to` on it when its step begins: there the inner
    collator is called, in the main thread, as a tokenizer is not made for two. In a worker of torch's
    DataLoader it is called at once, and an `InputError` waits for `to`: torch would wrap its traceback.
    """

    def __init__(self, collate: Callable[[Any], Any]) -> None:
        self._collate = collate

    def __call__(self, rows: Any) -> Any:
        if get_worker_info() is None:
            return _Coming(functools.partial(self._collate, rows))
        try:
            return self._collate(rows)
        except InputError as error:
            return _Coming(functools.partial(_fail, error))


class _Coming:
    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def to(self, device: Any, non_blocking: bool = False) -> Any:
        return send_to_device(self._make(), device, non_blocking=non_blocking)


def _fail(error: InputError) -> None:
    raise error
