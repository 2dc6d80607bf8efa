"""OpenMP's threads on a machine with other busy processes.

libgomp's threads spin while they wait for each other. On a quiet machine that makes two threads much faster
than one. Beside another busy process, the thread that the others wait for may not be running: then two
threads are many times slower than one. The environment (OMP_WAIT_POLICY, GOMP_SPINCOUNT) fixes the behaviour
for a whole run. But while there are more OpenMP threads than CPUs, libgomp spins only a hundred times, and
then sleeps (its manual, GOMP_SPINCOUNT). So while this process's threads have to wait for a CPU, idle threads
are started to get there. No result changes: each operation keeps its number of threads.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""If the user set one of these, nothing is done here."""
CHECK_SECONDS = 0.5
BUSY, QUIET = 0.35, 0.2
"""Seconds a second that all threads wait for a CPU: above, others are busy; below, quiet (`docs/log.md`)."""
QUIET_CHECKS = 6
"""Checks in a row that have to be quiet."""
PARALLEL_SIZE = 1 << 17
"""Elements of a tensor that torch divides between threads."""
TASKS = Path("/proc/self/task")


def share_cpus(environment: Mapping[str, str] = os.environ) -> None:
    """Watch this process from now on, if it has OpenMP threads and Linux says how long they wait."""
    if _WATCHED.is_set() or torch.get_num_threads() == 1 or any(name in environment for name in SETTINGS):
        return
    if (TASKS / str(threading.get_native_id()) / "schedstat").exists():
        _WATCHED.set()
        watcher = threading.Thread(target=_watch, name="openmp", daemon=True)
        watcher.start()
        atexit.register(_stop, watcher)


_WATCHED, _STOPPED = threading.Event(), threading.Event()
STOP_SECONDS = 5.0
"""How long the end of the process waits for its idle threads."""


def _stop(watcher: threading.Thread) -> None:
    """End the watcher: a thread that is inside torch while the interpreter ends aborts the process."""
    _STOPPED.set()
    watcher.join(STOP_SECONDS)


def helpers(cpus: int, threads: int) -> int:
    """How many idle threads, each with a team of `threads`, make more OpenMP threads than CPUs.

    >>> helpers(2, 2), helpers(16, 2), helpers(16, 16)
    (1, 15, 1)
    """
    return math.ceil(max(1, cpus + 1 - threads) / (threads - 1))


def waiting_times() -> dict[str, int]:
    """Nanoseconds that each thread of this process was ready to run and waited for a CPU."""
    nanoseconds = {}
    for task in TASKS.iterdir():
        with contextlib.suppress(OSError):  # it has ended since
            nanoseconds[task.name] = int((task / "schedstat").read_text().split()[1])
    return nanoseconds


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether others use the machine, judged by how long this process's threads waited for a CPU."""

    busy: bool = False
    quiet_checks: int = 0

    def after(self, share: float) -> Verdict:
        """The verdict after one more check, in which threads waited for this share of the time.

        >>> Verdict().after(0.5).busy, Verdict().after(0.3).busy, Verdict(busy=True).after(0.1).busy
        (True, False, True)
        """
        quiet_checks = self.quiet_checks + 1 if share < QUIET else 0
        return Verdict(share > BUSY or (self.busy and quiet_checks < QUIET_CHECKS), quiet_checks)


class Crowd:
    """Idle threads with OpenMP teams of their own, until they `leave`."""

    def __init__(self) -> None:
        self._end = threading.Event()
        count = helpers(len(os.sched_getaffinity(0)), torch.get_num_threads())
        self._threads = [
            threading.Thread(target=self._wait, name="openmp-idle", daemon=True) for _ in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def _wait(self) -> None:
        torch.zeros(PARALLEL_SIZE).add_(1)  # starts the team, which ends with this thread
        self._end.wait()

    def leave(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(STOP_SECONDS)


def _watch() -> None:
    crowd: Crowd | None = None
    verdict, earlier_waits, earlier_time = Verdict(), waiting_times(), time.monotonic()
    while not _STOPPED.wait(CHECK_SECONDS):
        waits, time_now = waiting_times(), time.monotonic()
        nanoseconds = sum(total - earlier_waits.get(name, 0) for name, total in waits.items())
        verdict = verdict.after(nanoseconds / 1e9 / (time_now - earlier_time))
        earlier_waits, earlier_time = waits, time_now
        if verdict.busy and crowd is None:
            crowd = Crowd()
        elif crowd is not None and not verdict.busy:
            crowd.leave()
            crowd = None
    if crowd is not None:
        crowd.leave()
