"""The films of a GRPO step: opened and processed for every row when needed, and once ahead of need.

Films are asked for and processed in the calls that TRL makes, G = 8, with the published processor of
Phi-4; in place of generation and training the main thread multiplies matrices. Before: decoded where the
batch is read, copied with the prompts, and each row's film processed twice, as TRL asks for it.

`films.py large` measures instead what it takes to read one film of 88 million pixels of each kind.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import copy
import functools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import numpy as np
import torch
from _cells import reports
from _policy import every_row
from PIL import Image
from process_memory import peak_bytes
from rich.console import Console
from rich.table import Table
from transformers import Phi4MultimodalFeatureExtractor

from chexphi.data.film_loader import FilmLoader
from chexphi.data.images import load_image
from chexphi.models.families import phi4, tiny

GROUP, WARM, STEPS = 8, 1, 3


@dataclass(frozen=True)
class Cell:
    """Films of one kind."""

    name: str
    size: tuple[int, int]
    suffix: str
    prompts: int
    crop: int
    patch: int
    crops: int
    other: float
    """Seconds of other work in a step."""


CELLS = (
    Cell("64 x 64 PNG, the demo's processor, 16 prompts", (64, 64), "png", 16, 64, 16, 1, 0.5),
    Cell("3000 x 2500 JPEG, dynamic_hd 4, 4 prompts", (3000, 2500), "jpg", 4, 448, 14, 4, 3.0),
    Cell("3000 x 2500 JPEG, dynamic_hd 36, 1 prompt", (3000, 2500), "jpg", 1, 448, 14, 36, 3.0),
)


@dataclass
class Side:
    """How a step gets its films, and what that took."""

    film: Callable[[str], Image.Image]
    processor: Any
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        process = self.processor._process_images

        def watched(images: Any, **kwargs: Any) -> Any:
            with self.films():
                return process(images, **kwargs)

        self.processor._process_images = watched

    @contextmanager
    def films(self) -> Iterator[None]:
        """What the main thread does about films."""
        wall, cpu = time.perf_counter(), time.thread_time()
        yield
        self.wall[-1] += time.perf_counter() - wall
        self.cpu[-1] += time.thread_time() - cpu

    def step(self, names: Sequence[str], other: float) -> None:
        """A step of the films read last, after those of the next one are read."""
        self.wall.append(0.0)
        self.cpu.append(0.0)
        everything, here = time.process_time(), time.thread_time()
        with self.films():
            rows, self.rows = self.rows, [[self.film(name)] for name in names for _ in range(GROUP)]
            prompts = copy.deepcopy([asking(films[0]) for films in rows])
        if rows:
            self.processor.apply_chat_template(
                conversation=prompts, add_generation_prompt=True, tokenize=True, return_dict=True
            )
            work(other / 2)
            text = [self.processor.apply_chat_template(row, add_generation_prompt=True) for row in prompts]
            self.processor(images=rows, text=text, padding=True, return_tensors="pt")
            work(other / 2)
        threads = time.process_time() - everything - (time.thread_time() - here)
        self.cpu[-1] += threads


def asking(film: Image.Image) -> list[dict[str, Any]]:
    """A prompt with its film, as TRL writes it."""
    parts = [{"type": "image", "image": film}, {"type": "text", "text": "Is it new?"}]
    return [{"role": "user", "content": parts}]


def work(seconds: float) -> None:
    """So many seconds of this thread's processor."""
    began, values = time.thread_time(), torch.ones(256, 256)
    while time.thread_time() - began < seconds:
        values @ values


def draw(cell: Cell, folder: Path, number: int) -> list[str]:
    """Smooth random films with some noise, all different."""
    rng = np.random.default_rng(0)
    names = [f"{i}.{cell.suffix}" for i in range(number)]
    for name in names:
        coarse = Image.fromarray(rng.integers(0, 256, (10, 12), dtype=np.uint8))
        smooth = np.asarray(coarse.resize(cell.size, Image.Resampling.BICUBIC), dtype=np.float32)
        noisy = smooth + rng.normal(0, 4, smooth.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / name, quality=92)
    return names


def compare(cell: Cell, tokenizer: Any) -> list[Side]:
    """Before and after, taking turns."""
    side = {"height": cell.crop, "width": cell.crop}
    images = phi4.Phi4MultimodalImageProcessor(size=side, patch_size=cell.patch, dynamic_hd=cell.crops)
    processor = phi4.Phi4MultimodalProcessor(images, Phi4MultimodalFeatureExtractor(), tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = draw(cell, root, cell.prompts * (WARM + STEPS + 1))
        before = functools.lru_cache(4096)(functools.partial(load_image, root=root))
        sides = [
            Side(before, every_row(copy.copy(processor))),
            Side(FilmLoader(root, processor.prepare_film), processor),
        ]
        for start in range(0, len(names), cell.prompts):
            for each in sides:
                each.step(names[start : start + cell.prompts], cell.other)
    return sides


LARGE = {
    "deep.png": "16 bits, with a marker", "float.tif": "floats", "int.tif": "32 bits", "grey.png": "8 bits",
    "grey.jpg": "8 bits, JPEG", "colour.png": "colour", "alpha.png": "colour and transparency",
}  # fmt: skip
"""Kinds of large films, by file."""


def draw_large(folder: Path, size: tuple[int, int] = (10_000, 8_800)) -> None:
    """Smooth films of 12 bits with noise, and what else becomes of them."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.random((10, 12), dtype=np.float32))
    smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))
    noise = rng.standard_normal(smooth.shape, dtype=np.float32)
    deep = (500 + 3000 * smooth + 15 * noise).clip(0, 4095).astype(np.uint16)
    deep[100:120, 100:200] = 65535
    grey = Image.fromarray((deep >> 4).clip(0, 255).astype(np.uint8))
    Image.fromarray(deep).save(folder / "deep.png", compress_level=1)
    Image.fromarray(deep.astype(np.float32)).save(folder / "float.tif")
    Image.fromarray(deep.astype(np.int32)).save(folder / "int.tif")
    grey.save(folder / "grey.png", compress_level=1)
    grey.save(folder / "grey.jpg", quality=92)
    grey.convert("RGB").save(folder / "colour.png", compress_level=1)
    grey.convert("RGBA").save(folder / "alpha.png", compress_level=1)


def read_large(path: Path) -> None:
    """Print the seconds, the processor's seconds and the peak of MiB that reading a film takes."""
    before, wall, cpu = peak_bytes(), time.perf_counter(), time.process_time()
    load_image(path.name, path.parent)
    print(time.perf_counter() - wall, time.process_time() - cpu, (peak_bytes() - before) / 2**20)


def large() -> None:
    """One film of each kind, three times each, in a process of its own."""
    table = Table("one film of 88 million pixels", "s", "processor s", "peak MiB", title="median of 3")
    with tempfile.TemporaryDirectory() as folder:
        draw_large(Path(folder))
        for name, kind in LARGE.items():
            command = [sys.executable, __file__, "large", f"{folder}/{name}"]
            rows = [subprocess.check_output(command, text=True).split() for _ in range(3)]
            figures = [statistics.median(map(float, column)) for column in zip(*rows, strict=True)]
            table.add_row(kind, *(f"{figure:.1f}" for figure in figures))
    Console(width=120).print(table)


def main() -> None:
    tokenizer = tiny.train_tokenizer(reports())
    table = Table(
        *(
            "films of a GRPO step, G = 8",
            "main thread waits s, before",
            "after",
            "processor s, before",
            "after",
        ),
        "other work s",
        title=f"CPU, {os.cpu_count()} cores; median of {STEPS} steps",
    )
    for cell in CELLS:
        before, after = compare(cell, tokenizer)
        figures = [before.wall, after.wall, before.cpu, after.cpu]
        shown = [f"{statistics.median(values[WARM + 1 :]):.3f}" for values in figures]
        table.add_row(cell.name, *shown, f"{cell.other}")
    Console(width=165).print(table)


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            main()
        case ["large"]:
            large()
        case ["large", path]:
            read_large(Path(path))
