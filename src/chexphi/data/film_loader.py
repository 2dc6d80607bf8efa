"""Films opened ahead of need, each once: threads work off what was asked for while others compute.

The threads save time and nothing else: whoever needs a film that none has begun with does the work itself,
and whatever is wrong with a film is raised there. They end when there is nothing to do, so that no thread
waits at the end of the program or while it forks.
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

KEPT_BYTES = 1 << 30
"""Of films used last, pixels and tensors, kept for the next time; our choice: 34 films of 3000 x 2500."""
AHEAD_BYTES = 1 << 30
"""Of films that wait for being used; what goes beyond, by one film a thread, is opened when needed."""
THREADS = min(4, os.cpu_count() or 1)
_PARTS = frozenset(vars(Image.Image()))
"""What Pillow keeps of an image."""


class Sized(Protocol):
    """What is made of a film."""

    @property
    def nbytes(self) -> int: ...


S = TypeVar("S", bound=Sized)


class Film(Image.Image):
    """An image that is decoded when Pillow first looks for its pixels; do not draw on it.

    Like Pillow's own stubs it then becomes the image it stands for. In another process it arrives as pixels,
    or as the error.

    Args:
        source: Opens it.
        grown: Told when it takes more memory.
    """

    def __init__(
        self, source: Callable[[], Image.Image], grown: Callable[[Film], None] | None = None
    ) -> None:
        self._source, self._grown = source, grown
        self._working = threading.RLock()
        self._made: tuple[object, Any] | None = None
        self.waits = False
        """Whether it was made ahead and is not used yet."""

    def __getattr__(self, name: str) -> Any:
        if name not in _PARTS:
            raise AttributeError(name)
        with self._working:
            if name not in vars(self):
                vars(self).update(vars(self._source()))
                self._tell()
        return vars(self)[name]

    def make(self, key: object, process: Callable[[Image.Image], S]) -> S:
        """What `process` makes of the film, once for a key; two threads do not both work on it."""
        with self._working:
            if self._made is None or self._made[0] != key:
                self._made = key, process(self)
                self._tell()
            return self._made[1]

    def use(self, key: object, process: Callable[[Image.Image], S]) -> S:
        """As `make`, for the one who needs it now."""
        made = self.make(key, process)
        self.waits = False
        return made

    @property
    def made(self) -> bool:
        """Whether there is something made of it."""
        return self._made is not None

    @property
    def nbytes(self) -> int:
        """Bytes of its pixels, four each in Pillow, and of what was made of it."""
        width, height = vars(self).get("_size", (0, 0))
        return 4 * width * height + (0 if self._made is None else self._made[1].nbytes)

    def _tell(self) -> None:
        if self._grown is not None:
            self._grown(self)

    def __reduce__(self) -> tuple[Any, ...]:
        try:
            found: Image.Image | InputError = self.copy()
        except InputError as error:
            found = error
        return Film, (functools.partial(_arrived, found),)

    def __deepcopy__(self, memo: Any) -> Film:
        return self  # TRL copies its prompts with the films in them


def _arrived(found: Image.Image | InputError) -> Image.Image:
    if isinstance(found, InputError):
        raise found
    return found


class FilmLoader:
    """The films of one root by reference: loader("p10/a.png") is given at once, and threads begin with it.

    The same reference gives the same film while anyone has it, or while it is among the last `KEPT_BYTES`.

    Args:
        root: The image root.
        prepare: What threads do with a film that was asked for; None starts no thread.
    """

    def __init__(self, root: Path, prepare: Callable[[Film], object] | None = None) -> None:
        self._root = root
        self._begin(prepare)

    def _begin(self, prepare: Callable[[Film], object] | None) -> None:
        self._prepare, self._process = prepare, os.getpid()
        self._lock = threading.RLock()
        self._living: weakref.WeakValueDictionary[str, Film] = weakref.WeakValueDictionary()
        self._kept: OrderedDict[str, tuple[Film, int]] = OrderedDict()
        self._bytes = 0
        self._asked: deque[weakref.ref[Film]] = deque()
        self._ahead: list[weakref.ref[Film]] = []
        self._threads = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return FilmLoader, (self._root,)

    def __call__(self, ref: str) -> Film:
        """The film of a reference.

        Raises:
            InputError: As `load_image`, not here but when its pixels are needed.
        """
        if self._process != os.getpid():
            self._begin(None)  # forked: the threads stayed behind, and may have held a lock
        with self._lock:
            film = self._living.get(ref)
            if film is None:
                source = functools.partial(load_image, ref, self._root)
                film = self._living[ref] = Film(source, functools.partial(self._count, ref))
                self._ask(film)
            self._kept[ref] = self._kept.pop(ref, (film, 0))
            self._count(ref, film)
            return film

    def _count(self, ref: str, film: Film) -> None:
        """Take note of what a film has come to, and let the ones go that were used longest ago."""
        with self._lock:
            if ref not in self._kept:
                return
            self._bytes += film.nbytes - self._kept[ref][1]
            self._kept[ref] = film, film.nbytes
            while self._bytes > KEPT_BYTES:
                _, (_, size) = self._kept.popitem(last=False)
                self._bytes -= size

    def _ask(self, film: Film) -> None:
        if self._prepare is None:
            return
        self._asked.append(weakref.ref(film))
        if self._threads < THREADS:
            self._threads += 1
            threading.Thread(target=self._work, name="films").start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._asked or not threading.main_thread().is_alive():
                    self._threads -= 1
                    return
                film = self._asked.popleft()()
            if film is not None and self._has_room(film):
                self._try(film)

    def _has_room(self, film: Film) -> bool:
        with self._lock:
            self._ahead = [ref for ref in self._ahead if (other := ref()) is not None and other.waits]
            waiting = [other for ref in self._ahead if (other := ref()) is not None]
            if film.made or sum(other.nbytes for other in waiting) >= AHEAD_BYTES:
                return False
            film.waits = True
            self._ahead.append(weakref.ref(film))
            return True

    def _try(self, film: Film) -> None:
        assert self._prepare is not None
        try:
            self._prepare(film)
        except Exception:
            film.waits = False  # who needs the film tries again and raises it there


def with_films(
    batches: Iterable[tuple[int, Sequence[Example]]], film: Callable[[str], Film]
) -> Iterator[tuple[int, Sequence[Example], list[list[Film]]]]:
    """Numbered batches with the films of each example; those of the batch after it have been asked for."""
    waiting: deque[tuple[int, Sequence[Example], list[list[Film]]]] = deque()
    for start, batch in batches:
        waiting.append((start, batch, [[film(image) for image in example.images] for example in batch]))
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting
