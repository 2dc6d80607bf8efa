"""`chexphi watch`: follow a run from another terminal."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from chexphi.cli.options import Json
from chexphi.runs.commands import LAUNCHER
from chexphi.schema import InputError, shown
from chexphi.watch.growing_files import GrowingFiles
from chexphi.watch.run_state import FOLLOWED, state_of
from chexphi.watch.states import RunState
from chexphi.watch.view import view


def watch(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, also of one to come.")],
    once: Annotated[bool, typer.Option("--once", help="Show the present state and end.")] = False,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Between two looks.")] = 2.0,
    as_json: Json = False,
) -> None:
    """Follow a run: state, curves, time left; after its end, how it ended."""
    console, files = Console(), GrowingFiles()
    state = state_of(run, files)
    if state.stage and state.stage not in FOLLOWED:
        raise InputError(
            f"{run} holds a run of {shown(state.stage)}, which cannot be followed: name one of "
            f"{', '.join(FOLLOWED)}"
        )
    if as_json:
        typer.echo(json.dumps(state.to_dict(), indent=2))
        return
    if once or not console.is_terminal:
        console.print(view(state, width=console.width))
    else:
        state = _follow(run, state, files, console, seconds)
    if state.resume:  # in one line, however long, to be copied
        launcher = " (LAUNCHER starts the processes)" if state.resume.startswith(LAUNCHER) else ""
        typer.echo(f"\nto go on{launcher}:\n{state.resume}")


def _follow(run: Path, state: RunState, files: GrowingFiles, console: Console, seconds: float) -> RunState:
    """Show a run until it has ended; returns its last state."""
    with Live(view(state, width=console.width), console=console, auto_refresh=False) as live:
        while state.activity in ("waiting", "running"):
            time.sleep(seconds)
            state = state_of(run, files)
            live.update(view(state, width=console.width), refresh=True)
    return state
