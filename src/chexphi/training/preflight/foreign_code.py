"""Settings of TRL's config with which a library would run the code of somebody's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chexphi.schema import InputError, shown

TEMPLATES = (".jinja", ".j2")
"""What a file with a chat template ends in; TRL reads a tokenizer from anything else."""


def check(args: Any, verb: str) -> None:
    """Refuse them; the model's own folder is loaded without code whatever they say.

    Args:
        args: TRL's config.
        verb: Of the stage, for the message.

    Raises:
        InputError: For the first such setting.
    """
    init = getattr(args, "model_init_kwargs", None)
    within = init.get("trust_remote_code") if isinstance(init, dict) else False
    if getattr(args, "trust_remote_code", False) or within:
        raise InputError(
            f"{verb}: trust_remote_code is true, and code of a model's folder is not run: leave it out"
        )
    template = getattr(args, "chat_template_path", None)
    if template and Path(template).exists() and not str(template).endswith(TEMPLATES):
        raise InputError(
            f"{verb}: chat_template_path is {shown(template)}, and TRL would load a tokenizer from there: "
            "name a file that ends in .jinja"
        )
