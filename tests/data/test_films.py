"""Films opened by threads ahead of need: the same films, each once, within bounds, whatever goes wrong."""

from __future__ import annotations

import copy
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chexphi.data import film_loader
from chexphi.data.film_loader import Film, FilmLoader, with_films
from chexphi.data.images import load_image
from chexphi.schema import Example, InputError

SIDE = 64
BYTES = 4 * SIDE * SIDE
NAMES = [f"{i}.png" for i in range(8)]


class Half:
    """Something made of a film, as large as half of its pixels."""

    def __init__(self, film: Image.Image) -> None:
        self.values = np.asarray(film)[::2, ::2]
        self.nbytes = BYTES // 2


def make(film: Film) -> Half:
    return film.process_once("half", Half)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed, name in enumerate(NAMES):
        pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "cut.png").write_bytes((tmp_path / "0.png").read_bytes()[:900])
    return tmp_path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each film was read from disk."""
    counts: Counter[str] = Counter()

    def counted(ref: str, root: Path) -> Image.Image:
        counts[ref] += 1
        return load_image(ref, root)

    monkeypatch.setattr(film_loader, "load_image", counted)
    return counts


def finish() -> None:
    """Wait for the threads: they end when there is nothing to do."""
    for thread in threading.enumerate():
        if thread.name == "films":
            thread.join(30)
            assert not thread.is_alive()


def same(film: Image.Image, root: Path, name: str) -> None:
    expected = load_image(name, root)
    assert (film.mode, film.size) == ("RGB", expected.size)
    assert (np.asarray(film) == np.asarray(expected)).all()


@pytest.mark.parametrize("prepare", [None, make])
def test_a_film_is_the_image_opened_once(root: Path, opened: Counter[str], prepare: Any) -> None:
    loader = FilmLoader(root, prepare)
    found = [loader(name) for name in NAMES * 3]
    assert all(film is loader(name) for film, name in zip(found, NAMES * 3, strict=True))
    if prepare is None:
        assert not opened  # only pixels open a film
    for film, name in zip(found, NAMES * 3, strict=True):
        same(film, root, name)
        assert (
            film.take_processed("half", Half).values == np.asarray(load_image(name, root))[::2, ::2]
        ).all()
    finish()
    assert opened == Counter(NAMES)
    assert loader(NAMES[0]).take_processed("half", Half) is found[0].take_processed("half", Half)
    assert loader(NAMES[0]).take_processed("other", Half) is not found[0].take_processed("half", Half)


@pytest.mark.parametrize(
    "action",
    [
        lambda film: film.width,
        lambda film: film.convert("L").tobytes(),
        lambda film: film.resize((8, 8)).tobytes(),
        lambda film: film.copy().tobytes(),
        lambda film: copy.copy(film).getpixel((3, 4)),
        lambda film: film.getextrema(),
        lambda film: Image.blend(film, film, 0.5).tobytes(),
        lambda film: film.info,
        lambda film: np.array(film).sum(),
    ],
)
def test_whatever_asks_first_opens_it(root: Path, action: Any) -> None:
    assert action(FilmLoader(root)("1.png")) == action(load_image("1.png", root))


def test_many_threads_that_need_a_film_open_it_once(root: Path, opened: Counter[str]) -> None:
    loader = FilmLoader(root, make)
    barrier, made = threading.Barrier(8), []

    def need() -> None:
        barrier.wait()
        order = random.Random(threading.get_ident()).sample(NAMES, len(NAMES))
        made.extend((name, id(loader(name).take_processed("half", Half))) for name in order)

    threads = [threading.Thread(target=need) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(made)) == len(NAMES)
    assert opened == Counter(NAMES)


@pytest.mark.parametrize("prepare", [None, make])
@pytest.mark.parametrize("ref", ["cut.png", "absent.png", "../0.png"])
def test_a_bad_film_is_raised_where_it_is_needed(
    root: Path, monkeypatch: pytest.MonkeyPatch, ref: str, prepare: Any
) -> None:
    crashed: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", crashed.append)
    loader = FilmLoader(root, prepare)
    good, bad, other = loader("0.png"), loader(ref), loader("1.png")
    finish()
    for action in (lambda film: film.size, make, np.asarray, Image.Image.load):
        with pytest.raises(InputError, match=ref):
            action(bad)
    with pytest.raises(InputError, match=ref) as caught:
        pickle.loads(pickle.dumps(bad)).load()
    assert "\n" not in str(caught.value)
    same(good, root, "0.png")
    same(other, root, "1.png")
    assert not crashed


def test_copies_are_the_film_and_other_processes_get_pixels(root: Path, opened: Counter[str]) -> None:
    film = FilmLoader(root)("2.png")
    assert copy.deepcopy([{"image": film}])[0]["image"] is film
    assert not opened
    first, second = pickle.loads(pickle.dumps([film, film]))
    assert first is second
    assert isinstance(first, Film)
    same(first, root, "2.png")
    assert not hasattr(film, "to")  # accelerate asks everything


def test_what_is_kept_is_bounded_in_bytes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_loader, "CACHE_BYTES", 4 * (BYTES + BYTES // 2) + 1)
    loader = FilmLoader(root, make)
    living: dict[str, Any] = {}
    for name in [*NAMES, "4.png"]:  # the oldest of those kept is used again
        film = loader(name)
        film.take_processed("half", Half)
        living[name] = weakref.ref(film)
        del film
        finish()
    assert [name for name, film in living.items() if film() is not None] == NAMES[4:]
    loader("0.png").load()
    finish()
    assert living["5.png"]() is None
    assert living["4.png"]() is not None
    monkeypatch.setattr(film_loader, "CACHE_BYTES", 0)
    same(loader("3.png"), root, "3.png")  # larger than all that may be kept


def test_one_that_is_in_use_is_not_opened_again(
    root: Path, opened: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film_loader, "CACHE_BYTES", 0)
    loader = FilmLoader(root, make)
    rows = [loader(name) for name in NAMES for _ in range(4)]
    for film in rows:
        film.take_processed("half", Half)
    rows += [loader(name) for name in NAMES]
    finish()
    assert opened == Counter(NAMES)


def test_what_waits_is_bounded_in_bytes(
    root: Path, opened: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film_loader, "PREFETCH_BYTES", 3 * (BYTES + BYTES // 2))
    monkeypatch.setattr(film_loader, "THREADS", 1)
    loader = FilmLoader(root, make)
    asked = [loader(name) for name in NAMES[:6]]
    finish()
    assert [film.is_processed for film in asked] == [True] * 3 + [False] * 3
    for film, name in zip(asked, NAMES, strict=False):
        same(film, root, name)
        film.take_processed("half", Half)
    later = [loader(name) for name in NAMES[6:]]  # there is room again
    finish()
    assert [film.is_processed for film in later] == [True] * 2
    assert opened == Counter(NAMES)


def test_a_film_that_nobody_wants_any_more_is_left_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_loader, "THREADS", 1)
    busy, seen = threading.Event(), []

    def slow(film: Film) -> None:
        busy.wait(30)
        seen.append(make(film))

    loader = FilmLoader(root, slow)
    wanted = loader("0.png")
    loader("1.png")
    loader._cache.clear()  # as if a gigabyte had come since
    busy.set()
    finish()
    assert len(seen) == 1
    assert wanted.is_processed


def test_a_forked_process_opens_films_itself(root: Path) -> None:
    """Though a thread may have held every lock at that moment."""
    loader = FilmLoader(root, make)
    film = loader("0.png")
    finish()
    with loader._lock, film._working:
        child = os.fork()
        if child == 0:  # another thread would hold the locks: here they are merely not released
            loader._lock = film._working = None
            good = np.asarray(loader("0.png")).shape == (SIDE, SIDE, 3) and loader._threads == 0
            os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0


INTERRUPTED = """
import os, signal, sys, time
from pathlib import Path
from chexphi.data.film_loader import FilmLoader

def prepare(film):
    film.load()
    with open(sys.argv[2], "a") as lines:
        lines.write("x")
    time.sleep(0.1)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
loader = FilmLoader(Path(sys.argv[1]), prepare)
kept = [loader(f"{i}.png") for i in range(8)]
if sys.argv[3] == "exit":
    sys.exit(3)
os.kill(os.getpid(), getattr(signal, sys.argv[3]))
time.sleep(30)
"""


@pytest.mark.parametrize(
    ("how", "codes"), [("exit", {3}), ("SIGINT", {1, -signal.SIGINT}), ("SIGTERM", {-signal.SIGTERM})]
)
def test_a_program_ends_without_the_films_it_had_asked_for(root: Path, how: str, codes: set[int]) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(root), str(root / "seen"), how]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode in codes
    seen = root / "seen"
    assert not seen.exists() or len(seen.read_text()) < 8
    assert "Exception in thread" not in ended.stderr


def test_the_films_of_the_batch_after_are_on_their_way(root: Path) -> None:
    examples = [Example(str(i), (name,), "?", ("yes",), "") for i, name in enumerate(NAMES)]
    batches = [examples[start : start + 3] for start in range(0, 8, 3)]
    asked: list[str] = []
    loader = FilmLoader(root)

    def film(ref: str) -> Film:
        asked.append(ref)
        return loader(ref)

    asked_by_then = []
    for batch, found in with_films(batches, film):
        asked_by_then.append(len(asked))
        for example, (own,) in zip(batch, found, strict=True):
            same(own, root, example.images[0])
    assert asked_by_then == [6, 8, 8]
