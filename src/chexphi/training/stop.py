"""SIGTERM, with which clusters pre-empt: a run saves where it next can, and ends with a code of its own."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

from chexphi import runs

EXIT_CODE = 75
"""`EX_TEMPFAIL` of sysexits.h: give the same command again, with `--resume auto`."""
AGAIN_SECONDS = 2.0
"""A cluster signals all processes of a job, and a sweep among them hands the signal on: that is one."""
RESUME_HELP = f"{runs.RESUME_HELP}. SIGTERM saves at the next step that can be and ends with code {EXIT_CODE}"


class PreemptedError(SystemExit):
    """Ends the process with `EXIT_CODE`; no library takes it for an error of its own."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


class Stop:
    """A context in which SIGTERM is a request; outside of it the signal does what it always did.

    Until the first step there is nothing to save, and the process ends at once. From then on `asked` is what
    the trainer looks at; a second signal, `AGAIN_SECONDS` later or more, ends the process.
    """

    def __init__(self) -> None:
        self.asked = False
        self._when = 0.0
        self._steps = False
        self._before: Any = None

    def __enter__(self) -> Self:
        self.asked = self._steps = False
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def steps_begin(self) -> None:
        """From here on a checkpoint can be taken."""
        self._steps = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked and time.monotonic() - self._when < AGAIN_SECONDS:
            return
        if self.asked:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.asked, self._when = True, time.monotonic()
        if not self._steps:
            raise PreemptedError


STOP = Stop()
"""The process's own, for a signal is the whole process's."""
