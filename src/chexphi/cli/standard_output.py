"""A full disk under standard output (`chexphi ... > FILE`) gives one sentence, as for any other file."""

from __future__ import annotations

import io
import os
import sys

from chexphi import atomic
from chexphi.schema import InputError

NAME = "standard output"
REMEDY = "make room, or send it elsewhere"


class _Guarded(io.TextIOWrapper):
    """A closed pipe stays the system's error: typer then ends the process without a message."""

    def write(self, text: str, /) -> int:
        with atomic.writing(NAME, remedy=REMEDY):
            return super().write(text)

    def flush(self) -> None:
        with atomic.writing(NAME, remedy=REMEDY):
            super().flush()


def guard() -> None:
    """From now on, writing to standard output raises `InputError` when its disk is full.

    Only the process's own standard output is wrapped: a replaced one would be closed with its wrapper.
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
    """Write what is still in the buffer, if there is a standard output."""
    if sys.stdout is not None:
        sys.stdout.flush()


def drop_rest() -> None:
    """Drop what cannot be written: otherwise the interpreter fails on it again when it ends."""
    try:
        flush()
    except (InputError, OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
