"""A mistyped verb, flag or value of a verb as one sentence; the command line's library draws a box."""

from __future__ import annotations

import re
from typing import Any

import typer

from chexphi.cli.foreign_flags import normal, owners

UsageError: Any = typer.BadParameter.__bases__[0]
"""What the library raises for a command line that it cannot read; it has no public name."""


def sentence(error: Any) -> str:
    """What is wrong, and the page that lists what there is.

    Args:
        error: A `UsageError`.
    """
    message = " ".join(error.format_message().split()).rstrip(".")
    option = getattr(error, "option_name", None)  # of an option that the verb does not have
    verbs = owners(error.ctx.find_root().command, normal(option)) if option and error.ctx else None
    if verbs:
        message = f"{option} is a setting of {verbs}: leave it out"
    message = message.replace(". Did you", ": did you")
    message = re.sub(r" \(Possible options: (.*)\)$", r": did you mean \1?", message)
    path = error.ctx.command_path if error.ctx else "chexphi"
    verb = path.removeprefix("chexphi").strip()
    return f"{f'{verb}: ' if verb else ''}{message[:1].lower()}{message[1:]} (see `{path} --help`)"


def is_request_for_help(error: Any) -> bool:
    """Whether a verb with verbs below it was typed alone: its help is the answer, as the library shows it."""
    return type(error).__name__ == "NoArgsIsHelpError"
