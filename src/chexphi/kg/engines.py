"""Runs `chexphi kg extract` in this process, in several processes, or on a Ray cluster.

Each process or actor opens the extractor once. Every engine yields lines chunk by chunk, in the order of the
texts, so that each chunk is written at once.
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
"""How many texts the extractor gets per call."""

Row = tuple[str, str]
"""(key, text)"""
Options = dict[str, Any]
Lines = list[dict[str, Any]]


def in_this_process(rows: Sequence[Row], extractor: str, options: Options) -> Iterator[Lines]:
    """Lines of the rows, extracted in this process."""
    resident = _open_once(extractor, tuple(sorted(options.items())))
    for chunk in _chunks(rows):
        yield _lines_of_rows(resident, chunk, seed=is_original(options.get("compat", "default")))


def in_processes(rows: Sequence[Row], extractor: str, options: Options, workers: int) -> Iterator[Lines]:
    """Lines of the rows, extracted in new processes; a fork of this one would lose torch's threads."""
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        submitted = (pool.submit(_lines_of_chunk, chunk, extractor, options) for chunk in _chunks(rows))
        pending = list(islice(submitted, 4 * workers))
        while pending:
            yield pending.pop(0).result()
            pending += islice(submitted, 1)


def _lines_of_chunk(chunk: Sequence[Row], extractor: str, options: Options) -> Lines:
    return next(in_this_process(chunk, extractor, options))


def on_ray(
    rows: Sequence[Row], extractor: str, options: Options, workers: int | None = None
) -> Iterator[Lines]:
    """Lines of the rows, extracted by actors of a Ray cluster.

    If this machine belongs to a cluster, that one is used, else a new one is started here. An actor takes a
    GPU if the extractor is neural and the cluster has GPUs, else one CPU. Every machine must have the folder
    of the extractor under the same path.

    Args:
        rows: Texts with their keys.
        extractor: Name of the extractor; see `open_extractor`.
        options: Options of the extractor. A `cache` must be an absolute path.
        workers: How many actors; None: as many as fit into the cluster.

    Raises:
        InputError: If the extractor cannot be opened on a machine.
        ModuleNotFoundError: If Ray is not installed (extra `ray`).
    """
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine unless asked
    started_ray = not ray.is_initialized()
    ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
    try:
        for batch in _ray_batches(rows, extractor, options, workers):
            lines = [json.loads(line) for line in batch["line"]]
            if refused := [line["refused"] for line in lines if "refused" in line]:
                raise InputError(refused[0])
            yield lines
    finally:
        if started_ray:
            ray.shutdown()


def _ray_batches(
    rows: Sequence[Row], extractor: str, options: Options, workers: int | None
) -> Iterator[dict[str, Any]]:
    """Batches with a column `line`, in the order of the rows."""
    import ray
    import ray.data

    resources = ray.cluster_resources()
    unit = "GPU" if resources.get("GPU") and extractor != "lexicon" else "CPU"
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    graphs = ray.data.from_items([{"row": json.dumps(row)} for row in rows]).map_batches(
        _Actor,
        fn_constructor_args=(_with_absolute_path(extractor), options),
        batch_size=CHUNK,
        compute=ray.data.ActorPoolStrategy(size=workers or max(1, int(resources[unit]))),
        num_gpus=int(unit == "GPU"),
    )
    yield from graphs.iter_batches(batch_size=CHUNK)


def _with_absolute_path(extractor: str) -> str:
    """The extractor with an absolute path, because the processes of a cluster start in another folder."""
    kind, _, folder = extractor.partition(":")
    return f"{kind}:{Path(folder).resolve()}" if kind == "rexkg" else extractor


class _Actor:
    """Rows and lines are sent as JSON in ASCII, because Arrow refuses half of a surrogate pair."""

    def __init__(self, extractor: str, options: Options) -> None:
        self.extractor, self.options = extractor, options

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        rows = [(key, text) for key, text in map(json.loads, batch["row"])]
        try:
            lines = _lines_of_chunk(rows, self.extractor, self.options)
        except InputError as error:  # else Ray would show a stack trace instead of the message
            lines = [{"refused": f"{error} (on {platform.node()})"}]
        return {"line": [json.dumps(line) for line in lines]}


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    return (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))


def _lines_of_rows(resident: Any, rows: Sequence[Row], *, seed: bool) -> Lines:
    texts = [text for _, text in rows]
    if seed:
        graphs = resident.extract_seed(texts)
        return [graph | {"doc_key": key} for (key, _), graph in zip(rows, graphs, strict=True)]
    return [to_row(key, parse) for (key, _), parse in zip(rows, resident.parse(texts), strict=True)]


@cache
def _open_once(extractor: str, options: tuple[tuple[str, Any], ...]) -> Any:
    """The extractor of this process, opened once."""
    return open_extractor(extractor, **dict(options))
