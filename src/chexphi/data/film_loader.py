"""Films opened before they are needed, each once: threads prepare requested films while others compute.

The threads only save time. If no thread has started with a film, the caller that needs it opens it itself.
Errors are raised there, too. Threads end when the queue is empty, so that none waits at the end of the
program or while it forks.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from PIL import Image

from chexphi.data.images import load_image
from chexphi.schema import Example, InputError

CACHE_BYTES = 1 << 30
"""Most bytes of pixels and tensors in the cache of recent films; our choice: 34 films of 3000 x 2500."""
PREFETCH_BYTES = 1 << 30
"""Most bytes of prepared films that are not used yet, exceeded by at most one film a thread. Further films
are opened when needed."""
THREADS = min(4, os.cpu_count() or 1)
_PILLOW_ATTRIBUTES = frozenset(vars(Image.Image()))
"""Names of the attributes of Pillow's images."""


class Sized(Protocol):
    """What a film is processed into."""

    @property
    def nbytes(self) -> int: ...


S = TypeVar("S", bound=Sized)


class Film(Image.Image):
    """An image that is decoded when Pillow first needs its pixels; do not draw on it.

    It then becomes the image that it stands for, as Pillow's own stubs do. Another process receives its
    pixels, or the error.

    Args:
        open_image: Opens the image.
        on_growth: Called when the film takes more memory.
    """

    def __init__(
        self, open_image: Callable[[], Image.Image], on_growth: Callable[[Film], None] | None = None
    ) -> None:
        self._open_image, self._on_growth = open_image, on_growth
        self._working = threading.RLock()
        self._product: tuple[object, Any] | None = None
        self.is_waiting = False
        """Whether a thread prepared it and it is not used yet."""

    def __getattr__(self, name: str) -> Any:
        if name not in _PILLOW_ATTRIBUTES:
            raise AttributeError(name)
        with self._working:
            if name not in vars(self):
                vars(self).update(vars(self._open_image()))
                self._report_growth()
        return vars(self)[name]

    def process_once(self, key: object, process: Callable[[Image.Image], S]) -> S:
        """The result of `process` on the film, computed once for a key; other threads wait for it."""
        with self._working:
            if self._product is None or self._product[0] != key:
                self._product = key, process(self)
                self._report_growth()
            return self._product[1]

    def take_processed(self, key: object, process: Callable[[Image.Image], S]) -> S:
        """The result of `process`, computed once for a key; the film counts as used."""
        product = self.process_once(key, process)
        self.is_waiting = False
        return product

    @property
    def is_processed(self) -> bool:
        """Whether a result of `process_once` is stored."""
        return self._product is not None

    @property
    def nbytes(self) -> int:
        """Bytes of its pixels, four each in Pillow, and of the stored result."""
        width, height = vars(self).get("_size", (0, 0))
        return 4 * width * height + (0 if self._product is None else self._product[1].nbytes)

    def _report_growth(self) -> None:
        if self._on_growth is not None:
            self._on_growth(self)

    def __reduce__(self) -> tuple[Any, ...]:
        try:
            image: Image.Image | InputError = self.copy()
        except InputError as error:
            image = error
        return Film, (functools.partial(_film_or_error, image),)

    def __deepcopy__(self, memo: Any) -> Film:
        return self  # TRL deep-copies its prompts with their films


def _film_or_error(image: Image.Image | InputError) -> Image.Image:
    if isinstance(image, InputError):
        raise image
    return image


class FilmLoader:
    """The films of one root by reference: `loader("p10/a.png")` returns at once, threads prepare the film.

    The same reference gives the same film while anyone holds it, or while it is in the cache.

    Args:
        root: The image root.
        prepare: What threads do with a requested film; None starts no thread.
        open_film: Opens a reference under the root as 8-bit RGB; None: `load_image`.
    """

    def __init__(
        self,
        root: Path,
        prepare: Callable[[Film], object] | None = None,
        open_film: Callable[[str, Path], Image.Image] | None = None,
    ) -> None:
        self._root, self._open_film = root, open_film
        self._reset(prepare)

    def _reset(self, prepare: Callable[[Film], object] | None) -> None:
        self._prepare, self._process = prepare, os.getpid()
        self._lock = threading.RLock()
        self._living: weakref.WeakValueDictionary[str, Film] = weakref.WeakValueDictionary()
        self._cache: OrderedDict[str, tuple[Film, int]] = OrderedDict()
        self._cached_bytes = 0
        self._queue: deque[weakref.ref[Film]] = deque()
        self._prefetched: list[weakref.ref[Film]] = []
        self._threads = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return FilmLoader, (self._root, None, self._open_film)

    def __call__(self, ref: str) -> Film:
        """The film of a reference.

        Raises:
            InputError: As `load_image`, but only when the pixels are needed.
        """
        if self._process != os.getpid():
            self._reset(None)  # forked: the threads are in the parent, and may have held a lock
        with self._lock:
            film = self._living.get(ref)
            if film is None:
                open_image = functools.partial(self._open_film or load_image, ref, self._root)
                film = self._living[ref] = Film(open_image, functools.partial(self._update_size, ref))
                self._enqueue(film)
            self._cache[ref] = self._cache.pop(ref, (film, 0))
            self._update_size(ref, film)
            return film

    def _update_size(self, ref: str, film: Film) -> None:
        """Update the size of a cached film, and drop the least recently used films above `CACHE_BYTES`."""
        with self._lock:
            if ref not in self._cache:
                return
            self._cached_bytes += film.nbytes - self._cache[ref][1]
            self._cache[ref] = film, film.nbytes
            while self._cached_bytes > CACHE_BYTES:
                _, (_, size) = self._cache.popitem(last=False)
                self._cached_bytes -= size

    def _enqueue(self, film: Film) -> None:
        if self._prepare is None:
            return
        self._queue.append(weakref.ref(film))
        if self._threads < THREADS:
            self._threads += 1
            threading.Thread(target=self._work, name="films").start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._queue or not threading.main_thread().is_alive():
                    self._threads -= 1
                    return
                film = self._queue.popleft()()
            if film is not None and self._has_room(film):
                self._prepare_quietly(film)

    def _has_room(self, film: Film) -> bool:
        with self._lock:
            self._prefetched = [
                ref for ref in self._prefetched if (prefetched := ref()) is not None and prefetched.is_waiting
            ]
            waiting = [prefetched for ref in self._prefetched if (prefetched := ref()) is not None]
            if film.is_processed or sum(prefetched.nbytes for prefetched in waiting) >= PREFETCH_BYTES:
                return False
            film.is_waiting = True
            self._prefetched.append(weakref.ref(film))
            return True

    def _prepare_quietly(self, film: Film) -> None:
        assert self._prepare is not None
        try:
            self._prepare(film)
        except Exception:
            film.is_waiting = (
                False  # the caller that needs the film tries again, and the error is raised there
            )


def with_films(
    batches: Iterable[Sequence[Example]], film: Callable[[str], Film]
) -> Iterator[tuple[Sequence[Example], list[list[Film]]]]:
    """Batches with the films of each example; the next batch's films are requested before."""
    waiting: deque[tuple[Sequence[Example], list[list[Film]]]] = deque()
    for batch in batches:
        waiting.append((batch, [[film(image) for image in example.images] for example in batch]))
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting
