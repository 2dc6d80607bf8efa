"""One process at a time writes into a run's folder.

The lock is the operating system's: it ends when its process ends, for whatever reason. The file `run.lock`
only says which process has it. Of the processes of one run, the main one has the lock.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import struct
import sys
from pathlib import Path
from typing import IO

from chexphi.files import parse_json
from chexphi.schema import MAX_SHOWN, InputError

logger = logging.getLogger(__name__)

NAME = "run.lock"
_LOCKED_BY_ANOTHER = (errno.EACCES, errno.EAGAIN)
FLOCK = "qqihh" if sys.platform == "darwin" else "hhqqi0q"
"""Layout of the system's `struct flock`, which describes a lock."""
KIND_FIELD = FLOCK.index("h") if sys.platform == "darwin" else 0
"""Place of the kind of lock among its fields."""
_lock_files: dict[Path, IO[str]] = {}
"""The open lock files of this process, by the run's folder."""


def acquire(out: Path) -> None:
    """Lock the folder until this process ends; locking it again changes nothing.

    Raises:
        InputError: If another process has locked it; the message has its number and machine.
    """
    if _holds(out):
        return
    file = (out / NAME).open("a+", encoding="utf-8")
    _lock(file, out)
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}) + "\n")
    file.flush()
    _lock_files[out.resolve()] = file


def check(out: Path) -> None:
    """Refuse a folder that another process has locked; nothing is changed.

    Raises:
        InputError: If another process has locked it; the message has its number and machine.
    """
    if (out / NAME).exists() and not _holds(out):
        with (out / NAME).open("a+", encoding="utf-8") as file:
            _lock(file, out)


def is_locked(out: Path) -> bool:
    """Whether another process has locked the folder.

    The system is asked who would be in the way. Nothing is locked for that, so no run is refused meanwhile.
    """
    try:
        with (out / NAME).open("rb") as file:
            fields = [0] * len(FLOCK.removesuffix("0q"))  # a lock on the whole file
            fields[KIND_FIELD] = fcntl.F_WRLCK
            answer = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(FLOCK, *fields))
    except OSError:  # no such file, or a file system without locks
        return False
    return struct.unpack(FLOCK, answer)[KIND_FIELD] != fcntl.F_UNLCK


def _lock(file: IO[str], out: Path) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _LOCKED_BY_ANOTHER:
            logger.warning(
                "%s: this file system has no locks (%s): make sure that only one run writes there", out, error
            )
            return
        file.seek(0)
        raise InputError(
            f"output folder {out} is in use by {_holder(file.read())}: wait for it, end it, or choose "
            "another --out"
        ) from None


def _holds(out: Path) -> bool:
    """Whether this process has locked the folder, and not an earlier folder of the same name."""
    file, path = _lock_files.get(out.resolve()), out / NAME
    return file is not None and path.exists() and os.fstat(file.fileno()).st_ino == path.stat().st_ino


def _holder(text: str) -> str:
    try:
        owner = parse_json(text, NAME)
    except InputError:
        return "another process"
    pid, host = (owner.get("pid"), owner.get("host")) if isinstance(owner, dict) else (None, None)
    if type(pid) is not int or not isinstance(host, str) or len(host) > MAX_SHOWN:
        return "another process"
    return f"process {pid} on {host}"
