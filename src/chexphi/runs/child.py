"""Commands of ours in child processes, which end together with the process that started them."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any

POLL_SECONDS = 0.5
"""Time between two looks at a child process."""
ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",  # reuses large tensors: 10 % of a step
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Environment variables of a child process; they only affect its speed."""
FOLLOW_STDIN = "CHEXPHI_FOLLOW_STDIN"
"""Environment variable that tells a child process to end when its standard input closes."""


def end_with_parent() -> None:
    """In a child process: end it as soon as its parent is gone, even by `kill -9`.

    Otherwise it would go on writing into the folder that a resumed run uses again.
    """

    def end() -> None:
        os.read(0, 1)  # returns when the parent's end of the pipe closes
        os._exit(1)

    if os.environ.pop(FOLLOW_STDIN, None):
        threading.Thread(target=end, daemon=True).start()


def start(
    argv: Sequence[str], output: IO[Any], variables: Mapping[str, str], **options: Any
) -> subprocess.Popen[bytes]:
    """Start a command of ours in a process that ends with this one, even by `kill -9`.

    Args:
        argv: The command.
        output: Open file for its output.
        variables: Further environment variables.
        options: Options of `subprocess.Popen`.
    """
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**os.environ, **ENVIRONMENT, **variables, FOLLOW_STDIN: "1"},
        **options,
    )
