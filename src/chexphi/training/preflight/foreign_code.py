"""Settings of TRL's config that would make a library run code from a model's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chexphi.schema import InputError, shown

TEMPLATES = (".jinja", ".j2")
"""Endings of a file with a chat template; TRL reads a tokenizer from anything else."""


def check(args: Any, verb: str) -> None:
    """Refuse them. The model's own folder is always loaded without its code.

    Args:
        args: TRL's config.
        verb: Of the stage, for the message.

    Raises:
        InputError: For the first such setting.
    """
    init = getattr(args, "model_init_kwargs", None)
    in_model_kwargs = init.get("trust_remote_code") if isinstance(init, dict) else False
    if getattr(args, "trust_remote_code", False) or in_model_kwargs:
        raise InputError(
            f"{verb}: trust_remote_code is true, and code of a model's folder is not run: leave it out"
        )
    template = getattr(args, "chat_template_path", None)
    if template and Path(template).exists() and not str(template).endswith(TEMPLATES):
        raise InputError(
            f"{verb}: chat_template_path is {shown(template)}, and TRL would load a tokenizer from there: "
            "name a file that ends in .jinja"
        )
