"""A full disk under standard output (`chexphi ... > FILE`) gives one sentence, as for any other file."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chexphi import atomic
from chexphi.cli import own_streams
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
    """From now on, writing to standard output raises `InputError` when its disk is full."""
    own_streams.wrap("stdout", _Guarded)


@contextmanager
def output_file(out: Path, ending: str, *, as_json: bool) -> Iterator[Path]:
    """The path itself; for `-` a temporary file, whose content then goes to standard output.

    Args:
        out: What was given for `--out`.
        ending: How the name of the temporary file ends, such as `.html`.
        as_json: Whether the verb's figures go to standard output.

    Raises:
        InputError: If standard output is closed, or `--json` wants it.
    """
    if str(out) != "-":
        yield out
        return
    check_free(as_json=as_json)
    with tempfile.TemporaryDirectory(prefix="chexphi-") as folder:
        file = Path(folder) / f"standard_output{ending}"
        yield file
        flush()
        with atomic.writing(NAME, remedy=REMEDY):
            sys.stdout.buffer.write(file.read_bytes())
            sys.stdout.buffer.flush()


def check_free(*, as_json: bool) -> None:
    """Refuse `--out -` where standard output cannot have the result.

    Raises:
        InputError: If it is closed, or `--json` wants it.
    """
    if as_json:
        raise InputError(
            "--out is '-', and the result goes to standard output, where --json has its object: name a file "
            "for --out, or leave --json out"
        )
    if sys.stdout is None:
        raise InputError("--out is '-', and standard output is closed: name a file for --out")


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
