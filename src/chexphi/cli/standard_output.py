"""Standard output whose disk takes no more (`chexphi ... > FILE`): one sentence, as for any other file."""

from __future__ import annotations

import io
import os
import sys

from chexphi import atomic
from chexphi.schema import InputError

NAME = "standard output"
REMEDY = "make room, or send it elsewhere"


class _Guarded(io.TextIOWrapper):
    """A reader that has gone away stays the system's error: typer ends the process without a word."""

    def write(self, text: str, /) -> int:
        with atomic.writing(NAME, remedy=REMEDY):
            return super().write(text)

    def flush(self) -> None:
        with atomic.writing(NAME, remedy=REMEDY):
            super().flush()


def guard() -> None:
    """From here on, writing to a standard output that is full raises `InputError`.

    Only the process's own: another would be closed with the wrapper that it had.
    """
    if type(sys.stdout) is io.TextIOWrapper and sys.stdout is sys.__stdout__:
        sys.stdout = _Guarded(
            sys.stdout.buffer,
            encoding=sys.stdout.encoding,
            errors=sys.stdout.errors,
            line_buffering=sys.stdout.line_buffering,
            write_through=sys.stdout.write_through,
        )


def flush() -> None:
    """Write what is left to write, where there is a standard output."""
    if sys.stdout is not None:
        sys.stdout.flush()


def drop_rest() -> None:
    """Drop what cannot be written: the interpreter would fail on it once more as it ends."""
    try:
        flush()
    except (InputError, OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
