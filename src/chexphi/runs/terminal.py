"""What a run shows on the terminal: progress and tables, on standard error."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from chexphi.runs import processes


class _Amount(MofNCompleteColumn):
    """How much is done of how much, once that is known."""

    def render(self, task: Task) -> Text:
        return Text() if task.total is None else super().render(task)


class _Console(Console):
    """A console whose reader may go away, as `tee` when it is killed: the run goes on without it."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


def console() -> Console:
    """The console for progress and tables: standard error, so that `--json` has standard output for itself.

    Of several processes, only the main one shows anything.
    """
    return _Console(stderr=True, quiet=not processes.is_main())


def progress_bar() -> Progress:
    """A display with one progress bar a task, on standard error."""
    columns = (TextColumn("{task.description:<28}"), BarColumn(), _Amount(), TimeElapsedColumn())
    return Progress(*columns, console=console())
