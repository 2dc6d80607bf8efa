"""Commands on a pseudo-terminal that is theirs, as that of a shell's window, and that can be closed."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import termios
import time
from collections.abc import Callable, Sequence


class OnTerminal:
    """A process whose three streams are a terminal of its own."""

    def __init__(self, command: Sequence[str]) -> None:
        self.screen, terminal = pty.openpty()
        self.process = subprocess.Popen(
            list(command),
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=os.environ | {"TERM": "xterm"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(terminal)

    def shown(self) -> str:
        """All that it shows until its end."""
        text = b""
        try:
            while piece := os.read(self.screen, 4096):
                text += piece
        except OSError:  # the other end is closed
            pass
        os.close(self.screen)
        return text.decode()

    def close_when(self, happened: Callable[[], bool]) -> None:
        """Read what it shows until something has happened, then close the terminal: SIGHUP."""
        os.set_blocking(self.screen, False)
        while not happened():
            assert self.process.poll() is None
            try:
                os.read(self.screen, 1 << 16)
            except BlockingIOError:
                time.sleep(0.02)
        os.close(self.screen)
