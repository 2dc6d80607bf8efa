"""What carries `chexphi kg extract` out: this process, processes beside it, or a Ray cluster.

Each process or actor opens the extractor once. Every engine yields the lines of the texts chunk by chunk,
in order, so that they can be written as they come.
"""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from chexphi.compat import is_original
from chexphi.graph.open import open_extractor
from chexphi.graph.records import to_row
from chexphi.schema import InputError

CHUNK = 64
"""Texts of one call."""

Row = tuple[str, str]
"""(key, text)"""
Options = dict[str, Any]
Lines = list[dict[str, Any]]


def here(rows: Sequence[Row], extractor: str, options: Options) -> Iterator[Lines]:
    """In this process."""
    resident = _resident(extractor, tuple(sorted(options.items())))
    for chunk in _chunks(rows):
        yield _lines(resident, chunk, seed=is_original(options.get("compat", "default")))


def processes(rows: Sequence[Row], extractor: str, options: Options, workers: int) -> Iterator[Lines]:
    """In processes of their own, not copies of this one: torch's threads do not survive a fork."""
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        calls = (pool.submit(_one, chunk, extractor, options) for chunk in _chunks(rows))
        waiting = list(islice(calls, 4 * workers))
        while waiting:
            yield waiting.pop(0).result()
            waiting += islice(calls, 1)


def _one(chunk: Sequence[Row], extractor: str, options: Options) -> Lines:
    return next(here(chunk, extractor, options))


def on_ray(
    rows: Sequence[Row], extractor: str, options: Options, workers: int | None = None
) -> Iterator[Lines]:
    """In actors of a Ray cluster: of the one that this machine belongs to, else of one that is started here.

    An actor takes a GPU where the cluster has some and the extractor is neural, else one CPU. The folder of
    the extractor must stand on every machine under the same path.

    Args:
        rows: Texts with their keys.
        extractor: As for `open_extractor`, with its options.
        options: They go to every actor; a `cache` must be an absolute path.
        workers: Actors; None: as many as the cluster holds.

    Raises:
        InputError: If the extractor cannot be opened on a machine.
        ModuleNotFoundError: Without Ray (extra `ray`).
    """
    import ray
    import ray.data

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine unless asked
    begun = not ray.is_initialized()
    ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
    try:
        has = ray.cluster_resources()
        unit = "GPU" if has.get("GPU") and extractor != "lexicon" else "CPU"
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        graphs = ray.data.from_items([{"row": json.dumps(row)} for row in rows]).map_batches(
            _Actor,
            fn_constructor_args=(_absolute(extractor), options),
            batch_size=CHUNK,
            compute=ray.data.ActorPoolStrategy(size=workers or max(1, int(has[unit]))),
            num_gpus=int(unit == "GPU"),
        )
        for batch in graphs.iter_batches(batch_size=CHUNK):
            lines = [json.loads(line) for line in batch["line"]]
            if refused := [line["refused"] for line in lines if "refused" in line]:
                raise InputError(refused[0])
            yield lines
    finally:
        if begun:
            ray.shutdown()


def _absolute(extractor: str) -> str:
    """A cluster's processes do not start in this folder."""
    kind, _, folder = extractor.partition(":")
    return f"{kind}:{Path(folder).resolve()}" if kind == "rexkg" else extractor


class _Actor:
    """Rows and lines travel as JSON in ASCII: Arrow takes no half of a surrogate pair."""

    def __init__(self, extractor: str, options: Options) -> None:
        self.extractor, self.options = extractor, options

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        rows = [(key, text) for key, text in map(json.loads, batch["row"])]
        try:
            lines = _one(rows, self.extractor, self.options)
        except InputError as error:  # Ray would show a stack trace instead of its sentence
            lines = [{"refused": f"{error} (on {platform.node()})"}]
        return {"line": [json.dumps(line) for line in lines]}


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    return (rows[first : first + CHUNK] for first in range(0, len(rows), CHUNK))


def _lines(resident: Any, rows: Sequence[Row], *, seed: bool) -> Lines:
    texts = [text for _, text in rows]
    if seed:
        graphs = resident.extract_seed(texts)
        return [graph | {"doc_key": key} for (key, _), graph in zip(rows, graphs, strict=True)]
    return [to_row(key, parse) for (key, _), parse in zip(rows, resident.parse(texts), strict=True)]


@cache
def _resident(extractor: str, options: tuple[tuple[str, Any], ...]) -> Any:
    """The extractor of this process."""
    return open_extractor(extractor, **dict(options))
