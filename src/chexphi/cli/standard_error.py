"""Standard error may go away (a closed terminal, a full disk): the verb goes on without its messages."""

from __future__ import annotations

import contextlib
import io
import sys


class _Lasting(io.TextIOWrapper):
    """Drops what cannot be written."""

    def write(self, text: str, /) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def guard() -> None:
    """From now on, a failed write to standard error is passed over: bars, log lines and messages.

    Only the process's own standard error is wrapped: a replaced one would be closed with its wrapper.
    """
    if type(sys.stderr) is io.TextIOWrapper and sys.stderr is sys.__stderr__:
        sys.stderr = _Lasting(
            sys.stderr.buffer,
            encoding=sys.stderr.encoding,
            errors=sys.stderr.errors,
            line_buffering=sys.stderr.line_buffering,
            write_through=sys.stderr.write_through,
        )
