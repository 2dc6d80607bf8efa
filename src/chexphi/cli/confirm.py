"""Questions before something is replaced: only on a terminal, and never with `--yes`."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Annotated

import typer

from chexphi.files import read_object
from chexphi.number_text import counted
from chexphi.runs import processes
from chexphi.schema import InputError

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer every question with yes.")]
MINUTES = 10
"""A run that took longer is not replaced without a question."""


def replace_run(out: Path | str | None, *, overwrite: bool, yes: bool) -> None:
    """Ask whether `--overwrite` may replace a run that took work.

    A script is not asked: what it asked for with `--overwrite` happens.

    Raises:
        InputError: If the answer is no.
    """
    if out and overwrite and (work := work_in(Path(out))):
        _ask(f"{out} holds {work}. Replace it?", out, yes=yes)


def replace_page(out: Path, *, yes: bool) -> None:
    """Ask whether a page may be replaced; without a terminal, say that it is.

    Raises:
        InputError: If the answer is no.
    """
    if out.is_file() and not _ask(f"{out} is there already. Replace it?", out, yes=yes):
        typer.echo(f"{out} was there already and is replaced", err=True)


def _ask(question: str, out: Path | str, *, yes: bool) -> bool:
    """Whether the question was asked, and answered with yes."""
    streams = (sys.stdin, sys.stderr)
    is_terminal = all(stream is not None and stream.isatty() for stream in streams)
    if yes or not is_terminal or processes.count() > 1:
        return False
    if not typer.confirm(question, err=True):
        raise InputError(f"{out} is left as it is: choose another --out")
    return True


def work_in(out: Path) -> str | None:
    """What in a run folder would be lost, for a question; None if it is little.

    A trained model, checkpoints, or a run of more than `MINUTES`, from its manifest to its newest file.
    """
    if (out / "model").is_dir():
        return "a trained model"
    if checkpoints := len(list(out.glob("checkpoint-*"))):
        return counted(checkpoints, "checkpoint")
    try:
        started = read_object(out / "manifest.json")["started"]
        begin = datetime.datetime.fromisoformat(started).timestamp()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    minutes = (max(path.stat().st_mtime for path in out.iterdir()) - begin) / 60
    return f"{minutes:.0f} minutes of work" if minutes > MINUTES else None
