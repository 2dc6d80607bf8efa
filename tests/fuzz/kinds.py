"""What is tried: for each kind its inputs, what the project makes of one, and how many there are in a run."""

from __future__ import annotations

import itertools
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from fuzz import (
    accepted_films,
    accepted_folders,
    accepted_ontologies,
    accepted_predictions,
    accepted_rows,
    accepted_settings,
    accepted_texts,
)
from fuzz.trial import Subject

ROW_FILMS = ("1.png", "2.png")
"""Films that rows name."""
Made = Iterator[tuple[Any, Path]]
"""Inputs, each with the folder that is its own."""


@dataclass(frozen=True)
class Kind:
    """One kind of input."""

    count: int
    """Of a whole run."""
    batch: int
    """Inputs that are drawn from one seed."""
    make: Callable[[Random, int, Path], Made]
    subject: Subject


def _own(area: Path) -> Iterator[Path]:
    """New folders of an area, without end."""
    for number in itertools.count():
        folder = area / str(number)
        folder.mkdir()
        yield folder


def _files(contents: Iterator[bytes], area: Path, name: str) -> Made:
    """Files of this name, one at a time."""
    for content, folder in zip(contents, _own(area), strict=False):
        file = folder / name
        file.write_bytes(content)
        yield file, folder
        shutil.rmtree(folder)


def _png(side: int = 16) -> bytes:
    """A grey film."""

    def chunk(name: bytes, inside: bytes) -> bytes:
        return struct.pack(">I", len(inside)) + name + inside + struct.pack(">I", zlib.crc32(name + inside))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(side)) for y in range(side))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def data_files(rng: Random, count: int, area: Path) -> Made:
    from fuzz.data_files import mutated_data_files

    film = _png()
    for (suffix, content), folder in zip(mutated_data_files(rng, count), _own(area), strict=False):
        file = folder / f"data{suffix}"
        file.write_bytes(content)
        for name in ROW_FILMS:
            (folder / name).write_bytes(film)
        yield file, folder
        shutil.rmtree(folder)


def films(rng: Random, count: int, area: Path) -> Made:
    from fuzz.films import mutated_films

    return _files(mutated_films(rng, count), area, "film.png")


def texts(rng: Random, count: int, area: Path) -> Made:
    from fuzz.texts import mutated_texts

    folder = area / "texts"
    folder.mkdir()
    for text in mutated_texts(rng, count):
        yield text, folder


def predictions(rng: Random, count: int, area: Path) -> Made:
    from fuzz.predictions import mutated_predictions

    return _files(mutated_predictions(rng, count), area, "predictions.jsonl")


def ontologies(rng: Random, count: int, area: Path) -> Made:
    from fuzz.ontologies import mutated_ontologies

    return _files(mutated_ontologies(rng, count), area, "concepts.toml")


def settings(rng: Random, count: int, area: Path) -> Made:
    from fuzz.settings import mutated_settings

    for setting, folder in zip(mutated_settings(rng, count), _own(area), strict=False):
        file = folder / "config.yaml"
        file.write_bytes(setting.config)
        (folder / "flags.txt").write_text("\n".join((setting.verb, *setting.flags)))
        yield (setting, file), folder
        shutil.rmtree(folder)


def folders(rng: Random, count: int, area: Path) -> Made:
    """Damaged copies of a small model of one family, which lies beside the area."""
    from fuzz.folders import mutated_folders

    source = accepted_folders.model(rng.choice(accepted_folders.FAMILIES), area.parent / "models")
    for folder, _ in zip(mutated_folders(source, area, rng), range(count), strict=False):
        (folder / "own.py").write_text("class Own: pass\n")  # the code that a damaged config may name
        yield folder, folder


def _subject(module: Any) -> Subject:
    return Subject(module.use, module.judge, getattr(module, "prepare", lambda folder: None))


KINDS = {
    "data files": Kind(10_000, 250, data_files, _subject(accepted_rows)),
    "films": Kind(1_000, 50, films, _subject(accepted_films)),
    "texts": Kind(50_000, 1_000, texts, _subject(accepted_texts)),
    "settings": Kind(1_000, 50, settings, _subject(accepted_settings)),
    "folders": Kind(1_000, 25, folders, _subject(accepted_folders)),
    "ontologies": Kind(1_000, 50, ontologies, _subject(accepted_ontologies)),
    "predictions": Kind(2_000, 100, predictions, _subject(accepted_predictions)),
}
