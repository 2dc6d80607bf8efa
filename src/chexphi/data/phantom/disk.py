"""Writing a drawn dataset: its films and its rows."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from chexphi.data.phantom.draw import render, zone_box
from chexphi.data.phantom.scene import Scene

Film = tuple[Scene, tuple[str, str] | None]
"""The scene, and the side and zone of the box on it."""
Progress = Callable[[int, int], None]
"""Called with (films drawn, films in all)."""


def draw_films(
    films: Mapping[str, Film], images: Path, size: int, *, workers: int = 1, progress: Progress | None = None
) -> None:
    """Draw films to PNGs below `images`, by path; the same files for any number of processes."""
    for folder in {(images / name).parent for name in films}:
        folder.mkdir(parents=True, exist_ok=True)
    tasks = [(images / name, scene, box, size) for name, (scene, box) in films.items()]
    with contextlib.ExitStack() as stack:
        if workers > 1:
            context = multiprocessing.get_context("spawn")
            # Ctrl-C reaches all processes of a terminal: only this one reports it
            pool = ProcessPoolExecutor(
                workers,
                mp_context=context,
                initializer=signal.signal,
                initargs=(signal.SIGINT, signal.SIG_IGN),
            )
            stack.callback(pool.shutdown, cancel_futures=True)
            results = pool.map(_draw_film, tasks, chunksize=64)
        else:
            results = map(_draw_film, tasks)
        for film_count, _ in enumerate(results, 1):
            if progress:
                progress(film_count, len(tasks))


def _draw_film(task: tuple[Path, Scene, tuple[str, str] | None, int]) -> None:
    path, scene, box, size = task
    boxes = [zone_box(*box, scene.build)] if box else []
    render(scene, size, boxes=boxes).save(path, "PNG", compress_level=1)


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a JSON array with a row in each line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
