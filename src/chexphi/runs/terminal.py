"""What a run shows on the terminal: progress and tables, on standard error."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chexphi.runs import processes


def console() -> Console:
    """The console for progress and tables: standard error, so that `--json` has standard output for itself.

    Of several processes, only the main one shows anything.
    """
    return Console(stderr=True, quiet=not processes.is_main())


def progress_bar() -> Progress:
    """A display with one progress bar a task, on standard error."""
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console())
