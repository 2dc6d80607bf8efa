"""How the command line ends: every error that a user can act on is one sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from chexphi.cli import standard_input, usage_errors
from chexphi.installation import install_line
from chexphi.rewards.checked import STOPPED_TRAINING
from chexphi.runs import library_records, run_folder, terminal
from chexphi.schema import InputError

CTRL_C = 130
"""Typer's exit code for Ctrl-C, the one that shells use."""
EXTRAS = dict.fromkeys(
    (
        *("torch", "torchvision", "transformers", "tokenizers", "trl", "peft", "accelerate", "safetensors"),
        *("datasets", "pyarrow", "pandas", "xxhash", "huggingface_hub"),
    ),
    "train",
)
EXTRAS |= dict.fromkeys(("plotly", "jinja2", "markupsafe"), "report") | {"ray": "ray"}
"""Library -> the extra that has it."""


@contextmanager
def exit_codes() -> Iterator[None]:
    """For a block that runs a verb: bad input is one sentence on standard error and exit code 2.

    Training that stopped at a value that is not finite, or at an error of a reward, is one sentence as well,
    with exit code 1. What is left is a bug, and keeps its traceback.
    """
    try:
        yield
    except usage_errors.UsageError as error:
        if usage_errors.is_request_for_help(error):
            error.show()
            sys.exit(2)
        _end(usage_errors.sentence(error), 2)
    except typer.Abort as abort:  # Ctrl-C at a question, or its input ended
        if not isinstance(abort.__context__, KeyboardInterrupt):
            _end("no answer: nothing was done; --yes answers every question", 1)
        _end_by_ctrl_c()
    except InputError as error:
        _end(standard_input.named(str(error)), 2)
    except STOPPED_TRAINING as error:
        _end(str(error), 1)
    except OSError as error:  # a path that is a folder, is a file, or may not be read or written
        if error.filename is None:
            raise
        _end(f"{error.filename}: {error.strerror}: choose another path", 2)
    except (KeyboardInterrupt, SystemExit) as interrupt:
        if isinstance(interrupt, SystemExit) and interrupt.code != CTRL_C:
            raise
        _end_by_ctrl_c()
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        _end(f"this verb needs {error.name}: {install_line(extra)}", 2)
    except Exception as error:
        run_folder.write_to_log(f"{type(error).__name__}: the terminal has its traceback")
        for line in library_records.without_log():
            typer.echo(line, err=True)
        raise


def _end_by_ctrl_c() -> NoReturn:
    terminal.show_cursor()  # a second Ctrl-C may have come before a bar was closed
    typer.echo("Ctrl-C: ended", err=True)
    sys.exit(CTRL_C)


def _end(sentence: str, code: int) -> NoReturn:
    typer.echo(f"error: {sentence}", err=True)
    sys.exit(code)
