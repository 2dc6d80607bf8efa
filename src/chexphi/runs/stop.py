"""SIGTERM, with which clusters pre-empt, and Ctrl-C: a run keeps what it can, then ends with its own code."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

from chexphi.runs import processes, run_folder

EXIT_CODE = 75
"""`EX_TEMPFAIL` of sysexits.h: give the same command again, with `--resume auto`."""
AGAIN_SECONDS = 2.0
"""A cluster signals all processes of a job, and a sweep among them hands the signal on: that is one."""
RESUME_HELP = (
    f"{run_folder.RESUME_HELP}. SIGTERM or Ctrl-C saves at the next step that can be and ends with "
    f"code {EXIT_CODE}"
)
ROWS_KEPT = "the rows that are written are kept, and --resume auto goes on"
STAGES_KEPT = "finished stages are kept, and --resume auto goes on"
NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}


class PreemptedError(SystemExit):
    """Ends the process with `EXIT_CODE`; no library takes it for an error of its own."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


class Stop:
    """A context in which SIGTERM and Ctrl-C are requests; outside of it they do what they always did.

    Until the first training step, and in a stage that has none, the process ends at once. From then on
    `asked` is what the trainer looks at. A second Ctrl-C, or another signal `AGAIN_SECONDS` later or more,
    ends the process.
    """

    def __init__(self) -> None:
        self.asked = ""
        """Name of the signal that asked to stop; empty while none has."""
        self._when = 0.0
        self._steps = False
        self._keeps = ""
        self._before: dict[signal.Signals, Any] = {}

    def keeping(self, kept: str) -> Self:
        """Say what a stopped stage keeps, for the sentence on the terminal: "finished stages are kept"."""
        self._keeps = kept
        return self

    def __enter__(self) -> Self:
        self.asked, self._steps = "", False
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in NAMES}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before, self._keeps = {}, ""

    def steps_begin(self) -> None:
        """From here on a checkpoint can be taken."""
        self._steps = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        name = NAMES[signal.Signals(number)]
        if (
            self.asked
            and not name == self.asked == "Ctrl-C"
            and time.monotonic() - self._when < AGAIN_SECONDS
        ):
            return
        if self.asked:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.asked, self._when = name, time.monotonic()
        if self._steps:
            _say(f"{name}: saving at the next possible step, then ending; a second one ends at once")
            return
        _say(f"{name}: ending; {self._keeps or 'before the first step there is nothing to save'}")
        raise PreemptedError


def _say(sentence: str) -> None:
    """On the terminal, past Python's buffers, which a signal may have interrupted."""
    if processes.is_main():
        os.write(2, f"\n{sentence}\n".encode())


STOP = Stop()
"""The process's own, for a signal is the whole process's."""
