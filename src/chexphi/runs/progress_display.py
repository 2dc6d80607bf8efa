"""How far a stage is: a live bar on a terminal, and now and then a plain line where there is none."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from chexphi.runs import terminal
from chexphi.runs.metric_figures import clock

SHARE = 0.05
"""Of the whole, between two plain lines."""
MIN_SECONDS, MAX_SECONDS = 10, 600
"""Between two plain lines: never less, and never more as long as something happens."""
GAP = "  "
"""Between two figures."""


def is_due(done_share: float, last_share: float, seconds: float) -> bool:
    """Whether a plain line is due.

    Args:
        done_share: What is done, from 0 to 1.
        last_share: The same at the last line.
        seconds: Since the last line.
    """
    if done_share >= 1:
        return last_share < 1
    return seconds >= MAX_SECONDS or (seconds >= MIN_SECONDS and done_share - last_share >= SHARE)


def packed(figures: Sequence[str], width: int) -> list[str]:
    """Figures in lines of at most this many characters; a longer figure has a line of its own.

    >>> packed(["loss 0.1", "reward 1.5", "graph F1 0.55"], 22)
    ['loss 0.1  reward 1.5', 'graph F1 0.55']
    """
    lines: list[str] = []
    for figure in figures:
        if lines and len(lines[-1]) + len(GAP) + len(figure) <= width:
            lines[-1] += GAP + figure
        else:
            lines.append(figure)
    return lines


class _TimeLeft(ProgressColumn):
    def render(self, task: Task) -> Text:
        end = task.fields["end"]
        if task.finished:
            return Text(f"took {clock(task.elapsed or 0)}")
        return Text("" if end is None else f"{clock(max(0, end - time.monotonic()))} left")


class _Bar(Progress):
    """A bar with lines of figures below it."""

    figures: Sequence[str] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if not self.figures:  # also while rich makes the bar, which has no console yet
            return
        for line in packed(self.figures, self.console.width):
            yield Text(line, no_wrap=True, overflow="ellipsis")


class ProgressDisplay:
    """A context in which a stage shows how far it is; of several processes, only the main one does.

    Args:
        verb: What is done.
        total: Steps or rows.
        unit: What is counted.
        completed: What was done before this start, so that the bar begins there.
        show_rate: Whether the units a second are shown.
        console: Where; None is standard error.
    """

    def __init__(
        self,
        verb: str,
        total: int,
        unit: str,
        *,
        completed: int = 0,
        show_rate: bool = False,
        console: Console | None = None,
    ) -> None:
        self.verb, self.total, self.unit = verb, max(total, 1), unit
        self._console = console or terminal.console()
        self._start_count = completed
        self._show_rate = show_rate
        self._start_time = self._last_time = time.monotonic()
        self._last_share = completed / self.total
        self._figures: list[str] = []
        is_live = self._console.is_terminal and not self._console.is_dumb_terminal
        self._bar = self._new_bar() if is_live and not self._console.quiet else None

    def _new_bar(self) -> _Bar:
        columns = (
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            TextColumn(
                f"{{task.completed:,}}/{{task.total:,}} {self.unit}", table_column=Column(no_wrap=True)
            ),
            _TimeLeft(table_column=Column(no_wrap=True)),
        )
        bar = _Bar(
            *columns,
            console=self._console,
            expand=True,
            refresh_per_second=4,
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),  # a file keeps what is for it
        )
        bar.add_task(self.verb, total=self.total, completed=self._start_count, end=None)
        return bar

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, completed: int, figures: Mapping[str, str] | None = None) -> None:
        """Say what is done by now, and give new figures by their names; None leaves the last ones."""
        time_now = time.monotonic()
        completed = min(completed, self.total)
        if figures is not None:
            self._figures = list(figures.values())
        seconds, count = time_now - self._start_time, completed - self._start_count
        seconds_left = (self.total - completed) * seconds / count if count > 0 else None
        rate = [f"{count / seconds:,.1f} {self.unit}/s"] if self._show_rate and count and seconds else []
        if self._bar is not None:
            self._bar.figures = [*self._figures, *rate]
            end = None if seconds_left is None else time_now + seconds_left
            self._bar.update(self._bar.task_ids[0], completed=completed, end=end)
        elif is_due(share := completed / self.total, self._last_share, time_now - self._last_time):
            self._last_share, self._last_time = share, time_now
            time_left = [f"{clock(seconds_left)} left"] if seconds_left else []
            self._write_line([f"{self.verb} {completed:,}/{self.total:,} {self.unit}", *time_left, *rate])

    def _write_line(self, texts: Sequence[str]) -> None:
        if not self._console.quiet and sys.stderr is not None:
            with contextlib.suppress(OSError):  # a full disk: the run goes on without its lines
                self._console.out(", ".join([*texts, *self._figures]), highlight=False)


def rows_display(verb: str, total: int, *, done: int) -> ProgressDisplay:
    """The display of a stage that answers questions, some of them before this start."""
    return ProgressDisplay(verb, total, "questions", completed=done, show_rate=True)
