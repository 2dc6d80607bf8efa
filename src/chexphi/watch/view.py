"""A run's state as a picture for a terminal: what goes on, how far, its curves, its last log lines."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from chexphi.files import similar_names
from chexphi.number_text import counted
from chexphi.runs.metric_figures import as_text, clock
from chexphi.runs.progress_display import packed
from chexphi.watch.sparkline import sparkline
from chexphi.watch.states import RunState

COLOURS = {
    "waiting": "yellow",
    "starting": "green",
    "running": "green",
    "ended": "cyan",
    "stopped": "yellow",
    "crashed": "red",
    "gone": "red",
}
MIN_CURVE, MAX_CURVE = 8, 60
"""Characters of a curve."""
BESIDE_CURVE = 48
"""Characters of a line beside its curve."""
GAP = 2
"""Characters between two columns."""
LEVEL_COLOURS = {"WARNING": "yellow", "ERROR": "red"}


def view(state: RunState, *, width: int) -> RenderableType:
    """The picture of a state, for a terminal of this many columns."""
    return Group(*_parts(state, width))


def _parts(state: RunState, width: int) -> Iterator[RenderableType]:
    yield _head(state)
    if state.activity == "waiting":
        yield Text(f"no run has begun there yet{similar_names(state.folder)}", style="dim")
        return
    if state.total or state.done:
        yield _bar(state, width)
    if state.stages:
        yield _stages(state, width)
    for run in (state, *(each for each in state.stages if each.activity == "running")):
        if run.curves:
            yield Text(f"\n{run.folder}" if run is not state else "", style="bold")
            yield _curves(run, width)
        elif run.figures and run is state:
            yield Text("  ".join(as_text(*figure) for figure in run.figures.items()))
    if state.log:
        yield Text()
    for line in state.log:
        text = Text(f"{line.time[11:]} {line.message}", style=LEVEL_COLOURS.get(line.level, "dim"))
        text.no_wrap, text.overflow = line.level == "INFO", "ellipsis"  # a warning is shown as a whole
        yield text
    if state.reason:
        yield Text(f"\n{state.reason}", style=COLOURS[state.activity])


def _head(state: RunState) -> Text:
    head = Text.assemble((state.stage or "run", "bold"), " ", (state.activity, COLOURS[state.activity]))
    return head.append(f"  {state.folder}")


def _amount(state: RunState) -> str:
    """How much is done, such as `38/80 steps`."""
    if state.total:
        return f"{state.done:,}/{state.total:,} {state.unit}"
    return counted(state.done, state.unit.removesuffix("s"))


def _bar(state: RunState, width: int) -> Table:
    amount = _amount(state)
    time_left = "" if state.seconds_left is None else f"{clock(max(0, state.seconds_left))} left"
    row = Table.grid(padding=(0, 2, 0, 0))
    bar_width = max(MIN_CURVE, min(MAX_CURVE, width - len(amount) - len(time_left) - 6))
    bar = [ProgressBar(state.total, min(state.done, state.total), width=bar_width)] if state.total else []
    row.add_row(*bar, amount, time_left)
    return row


def _curves(state: RunState, width: int) -> Table:
    """A line for each figure: its latest value, its curve from the begin on, its lowest and highest value."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("", "now", "", "lowest", "highest"):
        table.add_column(title, justify="left" if not title else "right", no_wrap=True)
    curve_width = max(MIN_CURVE, min(MAX_CURVE, width - BESIDE_CURVE))
    for name, values in state.curves.items():
        numbers = (_number(name, value) for value in (min(values), max(values)))
        table.add_row(name, _number(name, values[-1]), sparkline(values, curve_width), *numbers)
    return table


def _number(name: str, value: float) -> str:
    """A figure without its name."""
    return as_text(name, value).replace(name, "").strip()


def _activity(stage: RunState) -> Text:
    """What a stage of a loop does, in a word."""
    words = {"waiting": "to come", "running": "drawing" if stage.stage == "films" else "running"}
    return Text(words.get(stage.activity, stage.activity), style=COLOURS[stage.activity])


def _stages(state: RunState, width: int) -> Table:
    """A line for each stage. Where there is little room, it leaves out figures, then cuts long names."""
    columns = ("stage", "", "done", "left")
    rows = [(_name(each, state), _activity(each), _done(each), _time_left(each)) for each in state.stages]
    widths = [max(map(len, column)) + GAP for column in zip(columns, *rows, strict=True)]
    widths[0] = max(MIN_CURVE, min(widths[0], width - sum(widths[1:])))
    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim")
    for title, column_width in zip(columns, widths, strict=True):
        table.add_column(title, width=column_width - GAP, no_wrap=True, overflow="ellipsis")
    figures = [_figures(each, width - sum(widths) - GAP) for each in state.stages]
    if any(figures):
        table.add_column("figures", no_wrap=True)
    for row, text in zip(rows, figures, strict=True):
        table.add_row(*row, *([text] if any(figures) else []))
    return table


def _name(stage: RunState, loop: RunState) -> str:
    return stage.folder.removeprefix(loop.folder).strip("/")


def _done(stage: RunState) -> str:
    return _amount(stage) if stage.stage and (stage.total or stage.done) else ""


def _time_left(stage: RunState) -> str:
    return "" if stage.seconds_left is None else clock(max(0, stage.seconds_left))


def _figures(stage: RunState, width: int) -> str:
    """The figures that have room, at most three, each whole."""
    line = next(iter(packed([as_text(*figure) for figure in list(stage.figures.items())[:3]], width)), "")
    return line if len(line) <= width else ""
