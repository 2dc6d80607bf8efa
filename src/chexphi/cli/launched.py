"""The command line under a launcher of several processes: which verbs run there, and which process prints."""

from __future__ import annotations

import logging
import os
import sys
import warnings

from chexphi.runs import processes
from chexphi.schema import InputError

SHARED = ("sft", "grpo", "evaluate", "mine score")
"""Verbs that divide their work between processes."""


def quiet() -> None:
    """Turn off all output of this process: only the main one of several prints."""
    from transformers.utils import logging as native

    logging.getLogger().setLevel(logging.ERROR)
    native.set_verbosity_error()
    native.disable_progress_bar()
    warnings.simplefilter("ignore")
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def check_verb(words: list[str]) -> None:
    """Refuse a verb that does not divide its work between processes.

    Raises:
        InputError: Under a launcher of several processes, for such a verb.
    """
    verb = " ".join(words[:2]) if words[:1] == ["mine"] else "".join(words[:1])
    if processes.count() > 1 and verb not in SHARED and not {"-h", "--help"} & {*words}:
        raise InputError(
            f"chexphi {verb} runs in one process: start it without torchrun or accelerate launch, which are "
            f"for {', '.join(SHARED)}"
        )
