"""SIGTERM (clusters pre-empt with it), Ctrl-C and a closed terminal: a run saves and ends with a code."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

from chexphi.runs import processes, run_folder, terminal

EXIT_CODE = 75
"""`EX_TEMPFAIL` of sysexits.h: run the same command again, with `--resume auto`."""
AGAIN_SECONDS = 2.0
"""Signals within this time count as one: a cluster sends one to each process, and a sweep passes it on."""
RESUME_HELP = (
    f"{run_folder.RESUME_HELP}. SIGTERM, Ctrl-C or a closed terminal saves at the next step that can be "
    f"and ends with code {EXIT_CODE}"
)
ROWS_KEPT = "the rows that are written are kept, and --resume auto goes on"
STAGES_KEPT = "finished stages are kept, and --resume auto goes on"
NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C", signal.SIGHUP: "SIGHUP"}
"""SIGHUP is what a terminal sends that is closed, or an ssh connection that is lost."""


class PreemptedError(SystemExit):
    """Ends the process with `EXIT_CODE`; libraries that catch `Exception` let it pass."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


class Stop:
    """A context in which SIGTERM, Ctrl-C and SIGHUP are requests to stop; outside of it they act as usual.

    Before the first training step, and in a stage without training, the process ends at once. After it the
    trainer looks at `signal_name`. A second Ctrl-C, or SIGTERM at least `AGAIN_SECONDS` later, ends the
    process. A SIGHUP that comes second does not: who asked to stop may close the terminal. Under `nohup`,
    SIGHUP stays ignored.
    """

    def __init__(self) -> None:
        self.signal_name = ""
        """Of the signal that asked to stop; empty while there is none."""
        self._signal_time = 0.0
        self._can_save = False
        self._kept_text = ""
        self._old_handlers: dict[signal.Signals, Any] = {}

    def keeping(self, kept_text: str) -> Self:
        """Set the message of what a stopped stage keeps, such as "finished stages are kept"."""
        self._kept_text = kept_text
        return self

    def __enter__(self) -> Self:
        self.signal_name, self._can_save = "", False
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in NAMES if number != signal.SIGHUP or not _under_nohup()]
            self._old_handlers = {number: signal.signal(number, self._handle) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, PreemptedError) and self.signal_name:
            run_folder.write_to_log(f"{self.signal_name}: the run stops", logging.INFO)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._old_handlers, self._kept_text = {}, ""

    def steps_begin(self) -> None:
        """Training steps begin: from now on a signal waits for a checkpoint."""
        self._can_save = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        name = NAMES[signal.Signals(number)]
        if self.signal_name and (
            number == signal.SIGHUP
            or (
                not name == self.signal_name == "Ctrl-C"
                and time.monotonic() - self._signal_time < AGAIN_SECONDS
            )
        ):
            return
        if self.signal_name:
            terminal.show_cursor()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.signal_name, self._signal_time = name, time.monotonic()
        if self._can_save:
            _print(f"{name}: saving at the next possible step, then ending; a second one ends at once")
            return
        _print(f"{name}: ending; {self._kept_text or 'before the first step there is nothing to save'}")
        raise PreemptedError


def _print(sentence: str) -> None:
    """Write to the terminal directly: a signal may have interrupted Python's buffered output."""
    if processes.is_main():
        with contextlib.suppress(OSError):  # the terminal may be closed
            os.write(2, f"\n{sentence}\n".encode())


def _under_nohup() -> bool:
    return signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


STOP = Stop()
"""The only one in a process: a signal goes to the whole process."""
