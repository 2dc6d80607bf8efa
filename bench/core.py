"""What the loop's parts cost on this machine: drawing, processing, generation. One table."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import random
import tempfile
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from chexphi.data.phantom.draw import render
from chexphi.data.phantom.language import caption
from chexphi.data.phantom.scene import Scene, sample_build, sample_scene
from chexphi.models.families import phi4, tiny
from chexphi.models.generate import generate

REPEATS = 5
FILMS = 32


def best(action: Callable[[], object]) -> float:
    """Seconds of the fastest of a few runs."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def scenes(rng: random.Random, number: int) -> list[Scene]:
    return [sample_scene(rng, sample_build(rng)) for _ in range(number)]


def main() -> None:
    rng = random.Random(0)
    table = Table("part", "figure", "unit", title=f"{os.environ['OMP_NUM_THREADS']} thread(s)")
    drawn = scenes(rng, FILMS)
    for size in (64, 256, 512):
        seconds = best(lambda size=size: [render(scene, size) for scene in drawn[:8]]) / 8
        table.add_row(f"draw a film, {size} px", f"{seconds * 1000:.1f}", "ms")

    texts = [caption(rng, scene, "train")[1].think for scene in scenes(rng, 500)]
    with tempfile.TemporaryDirectory() as folder:
        tiny.build(folder, texts)
        model, processor = phi4.load(folder)
        films = [[render(scene, 64).convert("RGB")] for scene in drawn]
        flat = [film[0] for film in films]
        seconds = best(lambda: processor.image_processor(flat, return_tensors="pt")) / FILMS
        table.add_row("process a film, 64 px", f"{seconds * 1000:.2f}", "ms")
        questions = ["Which findings are present?"] * FILMS
        tokens = sum(
            len(row[0].token_ids) for row in generate(model, processor, questions, films, max_new_tokens=48)
        )
        seconds = best(lambda: generate(model, processor, questions, films, max_new_tokens=48))
        table.add_row(
            f"greedy generation, batch {FILMS}, small model", f"{tokens / seconds:,.0f}", "tokens/s"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
