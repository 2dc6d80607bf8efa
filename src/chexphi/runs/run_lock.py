"""One process at a time writes into a run's folder.

The lock is the operating system's: it ends with its process, however that ends, and `run.lock` only says who
has it. Of the processes of one run the main one holds it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
from pathlib import Path
from typing import IO

from chexphi.files import parse_json
from chexphi.schema import MAX_SHOWN, InputError

logger = logging.getLogger(__name__)

NAME = "run.lock"
_TAKEN = (errno.EACCES, errno.EAGAIN)
_held: dict[Path, IO[str]] = {}


def acquire(out: Path) -> None:
    """Take the folder until this process ends; twice is once.

    Raises:
        InputError: If another process has it, which is named.
    """
    if _holds(out):
        return
    file = (out / NAME).open("a+", encoding="utf-8")
    _lock(file, out)
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}) + "\n")
    file.flush()
    _held[out.resolve()] = file


def check(out: Path) -> None:
    """Refuse a folder that another process has; nothing is touched.

    Raises:
        InputError: As `acquire`.
    """
    if (out / NAME).exists() and not _holds(out):
        with (out / NAME).open("a+", encoding="utf-8") as file:
            _lock(file, out)


def _lock(file: IO[str], out: Path) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _TAKEN:
            logger.warning(
                "%s: its disk has no locks (%s): make sure that only one run writes there", out, error
            )
            return
        file.seek(0)
        raise InputError(
            f"output folder {out} is in use by {_holder(file.read())}: wait for it, end it, or choose "
            "another --out"
        ) from None


def _holds(out: Path) -> bool:
    """Whether this process has the folder, and not one that stood there before."""
    file, path = _held.get(out.resolve()), out / NAME
    return file is not None and path.exists() and os.fstat(file.fileno()).st_ino == path.stat().st_ino


def _holder(text: str) -> str:
    try:
        who = parse_json(text, NAME)
    except InputError:
        return "another process"
    pid, host = (who.get("pid"), who.get("host")) if isinstance(who, dict) else (None, None)
    if type(pid) is not int or not isinstance(host, str) or len(host) > MAX_SHOWN:
        return "another process"
    return f"process {pid} on {host}"
