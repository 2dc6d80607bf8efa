"""The bar of a stage and the plain lines in its place: what they show, when, and in how many columns."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from chexphi.runs import terminal
from chexphi.runs.metric_figures import as_text, graph_f1, seconds_left, series
from chexphi.runs.progress_display import GAP, ProgressDisplay, is_due, packed

ROW = {
    "step": 38, "loss": 0.01234, "grad_norm": 2.0, "reward": 1.53,
    "rewards/external_r1v_acc/mean": 0.52, "rewards/external_kg_jac/mean": 0.49,
    "rewards/external_kg_jac/std": 0.1, "graph/entity_precision": 0.5, "graph/entity_recall": 1.0,
    "graph/relation_precision": 0.0, "graph/relation_recall": 0.0, "tokens_per_second": 1812.4,
    "completions/mean_length": 31.4, "kl": float("nan"),
}  # fmt: skip
FIGURES = {name: as_text(name, value) for name, value in series(ROW).items()}


def console(width: int, *, terminal: bool, quiet: bool = False) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=terminal, width=width, color_system=None, quiet=quiet), file


def test_figures_of_a_row_in_the_order_of_their_importance() -> None:
    assert list(FIGURES.values()) == [
        "loss 0.0123", "reward 1.530", "answer 0.520", "graph 0.490", "graph F1 0.333", "length 31",
        "1,812 tokens/s",
    ]  # fmt: skip
    assert series({"step": 1, "loss": float("inf"), "reward": True}) == {}


@pytest.mark.parametrize(
    ("entity", "relation", "f1"),
    [
        ((0.5, 0.5), (0.25, 0.25), 0.375),
        ((1.0, 0.5), (0.0, 0.0), 1 / 3),  # F1 of nothing in common is 0
        ((0.5, 0.5), None, 0.5),
        (None, None, None),
        ((float("nan"), 0.5), (0.5, 0.5), 0.5),
    ],
)
def test_graph_f1_is_the_mean_of_both_f1s(
    entity: tuple[float, float] | None, relation: tuple[float, float] | None, f1: float | None
) -> None:
    row = {}
    for kind, pair in (("entity", entity), ("relation", relation)):
        if pair is not None:
            row |= {f"graph/{kind}_precision": pair[0], f"graph/{kind}_recall": pair[1]}
    assert graph_f1(row) == (None if f1 is None else pytest.approx(f1))


def test_the_time_left_is_that_of_the_steps_to_come() -> None:
    rows = [{"step": step, "run_seconds": 10.0 + 3 * step, "total_steps": 20} for step in (4, 6, 10)]
    assert seconds_left(rows) == 30.0
    assert seconds_left(rows[:1]) is None
    assert seconds_left([]) is None


@pytest.mark.parametrize(
    ("done", "last", "seconds", "due"),
    [
        (0.04, 0.0, 60, False),
        (0.05, 0.0, 60, True),
        (0.05, 0.0, 9, False),  # a short run is not a page of lines
        (0.001, 0.0, 600, True),  # and a long one not silent for an hour
        (1.0, 0.99, 0, True),
        (1.0, 1.0, 900, False),
    ],
)
def test_when_a_plain_line_is_due(done: float, last: float, seconds: float, due: bool) -> None:
    assert is_due(done, last, seconds) is due


@given(st.lists(st.text("ab 1", min_size=1, max_size=20), max_size=12), st.integers(1, 60))
def test_packed_figures_fit_and_none_is_lost(figures: list[str], width: int) -> None:
    lines = packed(figures, width)
    assert all(len(line) <= width or line in figures for line in lines)
    assert GAP.join(lines) == GAP.join(figures)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_bar_shows_every_figure_in_any_width(width: int) -> None:
    shown_by, file = console(width, terminal=True)
    with ProgressDisplay("grpo", 1000, "steps", completed=100, console=shown_by) as display:
        assert "100/1,000" in file.getvalue()  # a resumed run goes on where it was
        display.update(138, FIGURES)
    last_frame = file.getvalue().split("\x1b[2K")[-1]
    lines = last_frame.replace("\x1b[?25h", "").splitlines()
    assert all(len(line.rstrip()) <= width for line in lines)
    assert "138/1,000 steps" in lines[0]
    assert "left" in lines[0]
    assert all(figure in last_frame for figure in FIGURES.values())


def test_a_bar_at_its_end_says_what_it_took() -> None:
    shown_by, file = console(80, terminal=True)
    with ProgressDisplay("sft", 9, "steps", console=shown_by) as display:
        display.update(9, FIGURES)
    assert "9/9 steps took 0:0" in file.getvalue()


def test_a_bar_gives_the_cursor_back_after_an_error() -> None:
    shown_by, file = console(80, terminal=True)
    with pytest.raises(ZeroDivisionError), ProgressDisplay("sft", 9, "steps", console=shown_by):
        raise ZeroDivisionError
    assert file.getvalue().rstrip().endswith("\x1b[?25h")


def test_a_pipe_gets_plain_lines() -> None:
    shown_by, file = console(80, terminal=False)
    with ProgressDisplay(
        "evaluate", 8, "questions", completed=4, console=shown_by, show_rate=True
    ) as display:
        display.update(6, {"accuracy": "accuracy 0.500"})
        display.update(8, {"accuracy": "accuracy 0.750"})
        display.update(8)
    (line,) = file.getvalue().splitlines()
    assert line.startswith("evaluate 8/8 questions, ")
    assert line.endswith(" questions/s, accuracy 0.750")
    assert "\x1b" not in file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_other_processes_show_nothing(terminal: bool) -> None:
    shown_by, file = console(80, terminal=terminal, quiet=True)
    with ProgressDisplay("sft", 2, "steps", console=shown_by) as display:
        display.update(2, FIGURES)
    assert file.getvalue() == ""


GOES_ON = """
from chexphi.runs import terminal
from chexphi.runs.progress_display import ProgressDisplay
with ProgressDisplay("sft", 2, "steps") as display:
    display.update(1)
    display.update(2)
terminal.console().print("a table")
print("goes on", flush=True)
"""


@pytest.mark.parametrize("reader", ["gone", "full"])
def test_a_run_outlives_its_standard_error(reader: str) -> None:
    """A log on a full disk, or `tee` that was killed, must not end a training."""
    code = GOES_ON if reader == "gone" else GOES_ON.replace('terminal.console().print("a table")', "")
    descriptor = os.open("/dev/full", os.O_WRONLY) if reader == "full" else _without_reader()
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=descriptor, check=False
    )
    os.close(descriptor)
    assert done.stdout == b"goes on\n"


def _without_reader() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def test_only_an_extractor_that_takes_time_is_said_to_be_loaded(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("lexicon", "rexkg:folder"):
        with terminal.loading_extractor(name):
            pass
    assert capfd.readouterr().err == "loading the extractor\n"
