"""One input tried: a result or an `InputError`, within its limits, and not wrong in silence."""

from __future__ import annotations

import logging
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from fuzz.guard import Guard, children, sockets
from process_memory import memory_bytes, peak_bytes

from chexphi.schema import InputError

CPU_SECONDS = 2.0
MEMORY_BYTES = 1 << 30
MESSAGE_CHARACTERS = 1000
STOP_SECONDS = 10.0
"""CPU time after which an input is stopped."""
DEAD_SECONDS = 120.0
"""Time on the clock after which SIGALRM ends the process: a loop inside a library hears nothing else."""


class WrongError(Exception):
    """Silently wrong: accepted, and another value than an independent reader finds."""


class RefusedError(Exception):
    """What `use` raises for an input that was refused in a way that is no `InputError`: its sentences."""


@dataclass(frozen=True)
class Subject:
    """What is tried, and how its result is judged."""

    use: Callable[[Any], Any]
    """What the project makes of an input; watched."""
    judge: Callable[[Any, Any], None]
    """Raises `WrongError` for an input and its result; by other means than the project's."""
    prepare: Callable[[Path], None] = lambda folder: None
    """Uses good inputs, made in a folder, before any is watched: what libraries import and start but once."""


@dataclass(frozen=True)
class Outcome:
    """`faults` is empty for an input that ended as it should."""

    accepted: bool
    faults: tuple[str, ...]


class TooLong(BaseException):
    """No part of the code under test catches it."""


def _stop(signum: int, frame: FrameType | None) -> None:
    raise TooLong


class _Kept(logging.Handler):
    """What is said through `logging`, as a run would print it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Trials:
    """Tries inputs in this process; `noise` is the file that standard output and error go to."""

    def __init__(self, noise: TextIO) -> None:
        self._guard, self._noise, self._log = Guard(), noise, _Kept()
        logging.getLogger("chexphi").addHandler(self._log)
        logging.getLogger("chexphi").propagate = False
        signal.signal(signal.SIGPROF, _stop)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        self._sockets = sockets()

    def attempt(self, subject: Subject, one: Any, folder: Path, area: Path) -> Outcome:
        """Try an input.

        Args:
            subject: What to do with it.
            one: The input.
            folder: The only folder that it may write to; the working folder meanwhile.
            area: Holds the folders of all inputs: nothing else of it may be read.
        """
        before, quiet = _listing(folder), os.fstat(self._noise.fileno()).st_size
        self._log.lines = []
        result, faults = None, []
        with _limits(faults), _within(folder), self._guard.watching(folder, others=(area,)):
            try:
                result = subject.use(one)
            except InputError as error:
                faults += _message(str(error))
            except RefusedError as error:
                faults += [fault for sentence in error.args for fault in _message(sentence)]
            except Exception as error:
                faults.append(_crash(error))
        faults += [f"tried: {what}" for what in dict.fromkeys(self._guard.attempts)]
        faults += [fault for line in self._log.lines for fault in _message(line)]
        faults += self._left(folder, before, quiet)
        if result is not None and not faults:
            try:
                subject.judge(one, result)
            except WrongError as wrong:
                faults.append(f"silently wrong: {wrong}")
            except Exception as error:  # accepted, and the independent reader cannot read it
                faults.append(f"accepted, and nothing to compare it with: {_crash(error)}")
        return Outcome(result is not None, tuple(faults))

    def _left(self, folder: Path, before: set[str], quiet: int) -> list[str]:
        """What an input leaves behind."""
        found = [f"left the file {name}" for name in sorted(_listing(folder) - before)]
        if running := children():
            found.append(f"left {running} child processes")
        if (opened := sockets()) > self._sockets:
            found.append(f"left {opened - self._sockets} sockets open")
            self._sockets = opened
        if os.fstat(self._noise.fileno()).st_size > quiet:
            os.lseek(self._noise.fileno(), quiet, os.SEEK_SET)
            text = os.read(self._noise.fileno(), 2000).decode(errors="replace")
            os.lseek(self._noise.fileno(), 0, os.SEEK_END)
            found.append(f"printed: {text[:200]!r}")
        return found


def _listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@contextmanager
def _within(folder: Path) -> Iterator[None]:
    back = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(back)


@contextmanager
def _limits(faults: list[str]) -> Iterator[None]:
    """Adds to the faults what an input takes beyond its limits."""
    signal.setitimer(signal.ITIMER_REAL, DEAD_SECONDS)
    _forget_peak()
    memory = memory_bytes("VmRSS")
    cpu, wall = time.process_time(), time.monotonic()
    signal.setitimer(signal.ITIMER_PROF, STOP_SECONDS)
    try:
        yield
    except TooLong:
        faults.append(f"more than {STOP_SECONDS:g} s of CPU time")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    # On several threads CPU time is longer than the clock's, beside other programs shorter.
    seconds = min(time.process_time() - cpu, time.monotonic() - wall)
    if seconds > CPU_SECONDS:
        faults.append(f"{seconds:.1f} s of CPU time")
    if (grown := peak_bytes() - memory) > MEMORY_BYTES:
        faults.append(f"{grown / MEMORY_BYTES:.1f} GiB of memory")


def _forget_peak() -> None:
    peak = Path("/proc/self/clear_refs")
    if peak.exists():
        peak.write_text("5")


def _message(text: str) -> list[str]:
    """What is wrong with a sentence for the user."""
    if not text.strip():
        return ["an error without a word"]
    found = []
    if len(text) > MESSAGE_CHARACTERS:
        found.append(f"a message of {len(text)} characters: {text[:80]!r}…")
    if "\n" in text.strip() or not text.isprintable():
        found.append(f"a message of several lines or with control characters: {text[:120]!r}")
    return found


def _crash(error: Exception) -> str:
    """The kind of an error and where it was raised: the same for all inputs that meet it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = next((frame for frame in reversed(frames) if "chexphi" in frame.filename), frames[-1])
    places = dict.fromkeys(f"{Path(frame.filename).name}:{frame.lineno}" for frame in (ours, frames[-1]))
    return f"{type(error).__name__} at {' and '.join(places)}: {str(error)[:160]}"
