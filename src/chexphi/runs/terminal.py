"""What a run shows on the terminal: progress and tables, on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeElapsedColumn
from rich.spinner import Spinner
from rich.text import Text

from chexphi.runs import processes


class _Amount(MofNCompleteColumn):
    """How much is done of how much and of what, once that is known; before it, the task's `state`."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text()
        if not task.completed and (state := task.fields.get("state")):
            return Text(state, style="progress.download")
        return super().render(task).append(f" {unit}" if (unit := task.fields.get("unit")) else "")


class _Console(Console):
    """A console whose reader may go away, as `tee` when it is killed: the run goes on without it."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


def console() -> Console:
    """The console for progress and tables: standard error, so that `--json` has standard output for itself.

    Of several processes, only the main one shows anything.
    """
    return _Console(stderr=True, quiet=not processes.is_main())


@contextlib.contextmanager
def waiting(activity: str) -> Iterator[None]:
    """Show that a block is busy: a spinner on a terminal, else one line.

    Args:
        activity: What it does, such as `loading the model`.
    """
    screen = console()
    if not screen.is_terminal or screen.is_dumb_terminal:
        with contextlib.suppress(OSError):  # a full disk: the block matters more
            screen.out(activity, highlight=False)
        yield
        return
    redirects = sys.stdout is not None and sys.stdout.isatty()  # a file keeps what is for it
    spinner = Spinner("dots", text=activity)
    with Live(spinner, console=screen, refresh_per_second=4, transient=True, redirect_stdout=redirects):
        yield


@contextlib.contextmanager
def loading_extractor(name: str) -> Iterator[None]:
    """Show that an extractor of graphs is loaded, unless it is the lexicon, which is there at once."""
    with contextlib.nullcontext() if name == "lexicon" else waiting("loading the extractor"):
        yield


def show_cursor() -> None:
    """Show the terminal's cursor, which a bar hides, where the process ends before the bar can do so."""
    with contextlib.suppress(OSError):
        if os.isatty(2):
            os.write(2, b"\x1b[?25h")


def progress_bar() -> Progress:
    """A display with one progress bar a task, on standard error."""
    columns = (TextColumn("{task.description:<28}"), BarColumn(), _Amount(), TimeElapsedColumn())
    return Progress(*columns, console=console())
