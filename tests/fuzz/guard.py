"""What code does beyond reading its input: Python's audit events say it, and the attempt is refused.

Libraries in C and Rust raise no such events, so the worker also looks at what is left: files, child processes
and open sockets.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NETWORK = (
    *("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"),
    *("socket.sendto", "socket.sendmsg", "socket.bind"),
)
PROCESSES = (
    *("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn"),
    "pty.spawn",
)
CHANGES = {
    **dict.fromkeys(("os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.chown", "os.utime"), 1),
    **dict.fromkeys(("os.rename", "os.link", "os.symlink"), 2),
    "os.truncate": 1,
}
"""Events that change a folder, and how many of their first arguments are paths."""
PASSWORDS = "/etc/passwd"
"""A file of every machine that a reference may name, and none may reach."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Guard:
    """Watches one input at a time; make one a process, since Python keeps its hooks for ever."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self._own: str | None = None
        self._others: tuple[str, ...] = ()
        sys.addaudithook(self._hear)

    @contextmanager
    def watching(self, own: Path, *, others: tuple[Path, ...] = ()) -> Iterator[list[str]]:
        """Gives what is tried meanwhile.

        Args:
            own: The folder of the input, the only one that may be written to.
            others: Folders beside it of which nothing may be read.
        """
        self.attempts = []
        self._others = (PASSWORDS, *(os.path.realpath(path) for path in others))
        self._own = os.path.realpath(own)
        try:
            yield self.attempts
        finally:
            self._own = None

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self._own is None:
            return
        if event in NETWORK or event in PROCESSES:
            self._refuse(event)
        elif event == "open":
            self._opened(*args)
        elif event in CHANGES:
            for path in args[: CHANGES[event]]:
                self._changed(event, path, args[-1])
        elif event == "exec" and self._inside(getattr(args[0], "co_filename", "")):
            self._refuse("code of the folder was run")
        elif event == "pickle.find_class":
            self._refuse("a pickle was read")

    def _opened(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(path, int) or path is None:
            return
        place = os.path.realpath(os.fsdecode(path))
        if isinstance(flags, int) and flags & _WRITING:
            if not self._inside(place) and place != os.devnull:
                self._refuse(f"open for writing {place}")
        elif not self._inside(place) and place.startswith(self._others):
            self._refuse(f"open outside its folder {place}")

    def _changed(self, event: str, path: Any, folder: Any) -> None:
        if isinstance(path, int):
            return
        base = os.readlink(f"/proc/self/fd/{folder}") if isinstance(folder, int) and folder >= 0 else ""
        place = os.path.realpath(os.path.join(base, os.fsdecode(path)))
        if not self._inside(place):
            self._refuse(f"{event} {place}")

    def _inside(self, path: str) -> bool:
        return self._own is not None and (path == self._own or path.startswith(self._own + os.sep))

    def _refuse(self, what: str) -> None:
        self.attempts.append(what)
        raise PermissionError(f"refused while an input is tried: {what}")


def children() -> int:
    """Child processes of this one; 0 where the system does not say."""
    found = 0
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # of a thread that has ended
            found += len(file.read_text().split())
    return found


def sockets() -> int:
    """Open sockets of this process; 0 where the system does not say."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return 0
    found = 0
    for entry in folder.iterdir():
        with suppress(OSError):  # the one that lists the folder is closed by now
            found += os.readlink(entry).startswith("socket:")
    return found
