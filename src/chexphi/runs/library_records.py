"""What libraries log, and the warnings they give: kept in a run's `train.log` in place of the terminal.

The command line calls `take` before a heavy library is imported. From Python nothing changes.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
import sysconfig
import warnings
from collections.abc import MutableMapping
from pathlib import Path
from typing import TextIO

OURS = "chexphi"
WITH_HANDLERS = ("transformers", "datasets", "huggingface_hub", "torch")
"""Libraries that would write their records to the terminal by a handler of their own."""
VARIABLES = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # transformers' bars too
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",  # else it warns in every process that a data loader forks
}
"""Environment variables that keep libraries quiet; one that is set stays as it is."""
ON_TERMINAL = {"on_terminal": True}
"""`logger.info(..., extra=ON_TERMINAL)`: the sentence is shown on the terminal as well as in `train.log`."""


class _WaitingRecords(logging.handlers.MemoryHandler):
    """Holds the records of libraries until there is a `train.log`, which then gets all of them."""

    def __init__(self) -> None:
        super().__init__(capacity=sys.maxsize, flushLevel=sys.maxsize, flushOnClose=False)

    def filter(self, record: logging.LogRecord) -> bool:
        return not is_ours(record) and is_installed(record.pathname)

    def flush(self) -> None:
        """Hand the records on; a `train.log` that cannot be written takes itself away, and the rest waits."""
        self.acquire()
        try:
            while self.target is not None and self.buffer:
                self.target.handle(self.buffer.pop(0))
        finally:
            self.release()


class _Terminal(logging.Handler):
    """Shows what `line_of` gives, on the standard error of the moment: a bar may have replaced it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if (line := line_of(record)) is not None and sys.stderr is not None:
                sys.stderr.write(f"{line}\n")
        except Exception:
            self.handleError(record)


class _LibraryLogger(logging.Logger):
    """A library's logger whose records go to the handlers of the root alone."""

    def addHandler(self, hdlr: logging.Handler) -> None:  # noqa: N802
        """Do nothing: it would write to the terminal."""

    @property
    def propagate(self) -> bool:
        return True

    @propagate.setter
    def propagate(self, value: bool) -> None:
        pass


_WAITING, _TERMINAL = _WaitingRecords(), _Terminal()


def is_ours(record: logging.LogRecord) -> bool:
    """Whether this package logged it."""
    return record.name.partition(".")[0] == OURS


def is_installed(file: str) -> bool:
    """Whether a source file is a library's or ours, and not code of the user, such as a reward."""
    path = Path(file)
    folders = (sysconfig.get_path("stdlib"), str(Path(__file__).parents[1]))
    return (
        not path.is_absolute()
        or bool({"site-packages", "dist-packages"}.intersection(path.parts))
        or any(path.is_relative_to(folder) for folder in folders)
    )


def line_of(record: logging.LogRecord) -> str | None:
    """The line that the terminal shows for a record, or None.

    Ours: warnings, errors, and sentences marked as `ON_TERMINAL`. A library's: errors. The user's: all.
    """
    text = logging.Formatter().format(record)
    if is_ours(record):
        if record.levelno >= logging.WARNING:
            return f"{record.levelname.lower()}: {text}"
        return text if getattr(record, "on_terminal", False) else None
    if not is_installed(record.pathname):
        return f"{record.levelname} {record.name}: {text}"
    return f"{record.name.partition('.')[0]}: {text}" if record.levelno >= logging.ERROR else None


def take(environment: MutableMapping[str, str] = os.environ) -> None:
    """From now on, libraries' records and warnings wait for `keep_in`, and ours are shown as plain lines."""
    for name, value in VARIABLES.items():
        environment.setdefault(name, value)
    root = logging.getLogger()
    if _WAITING in root.handlers:
        return
    logging.setLoggerClass(_LibraryLogger)
    try:
        for name in WITH_HANDLERS:
            logging.getLogger(name)
    finally:
        logging.setLoggerClass(logging.Logger)
    root.addHandler(_WAITING)
    root.addHandler(_TERMINAL)
    logging.getLogger(OURS).setLevel(logging.INFO)  # `line_of` chooses
    show = warnings.showwarning

    def show_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if file is not None or not is_installed(filename):
            show(message, category, filename, lineno, file, line)
            return
        text = " ".join(str(message).split())
        logging.getLogger("py.warnings").warning(
            "%s, line %d: %s: %s", filename, lineno, category.__name__, text
        )

    warnings.showwarning = show_warning


def keep_in(handler: logging.Handler | None) -> None:
    """Send libraries' records to the handler of a `train.log`, those that wait first."""
    _WAITING.setTarget(handler)
    _WAITING.capacity = 0 if handler else sys.maxsize
    _WAITING.flush()


def without_log() -> list[str]:
    """The records that no `train.log` got: to be shown beside a traceback."""
    return [f"{record.name}: {record.getMessage()}" for record in _WAITING.buffer]
