"""Standard error may go away (a closed terminal, a full disk): the verb goes on without its messages."""

from __future__ import annotations

import contextlib
import io

from chexphi.cli import own_streams


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
    """From now on, a failed write to standard error is passed over: bars, log lines and messages."""
    own_streams.wrap("stderr", _Lasting)
