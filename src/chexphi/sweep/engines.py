"""Where the runs of a sweep are carried out: processes of this machine, or tasks of a Ray cluster.

Each engine starts commands, reports how they ended, and stops those that still run. A run ends together with
the process that started it, even by `kill -9` (see `runs.child`).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chexphi.runs import child
from chexphi.schema import InputError

KILLED = -9
"""Exit code, as `subprocess` gives it, of a run whose worker is gone."""
ANSWER_SECONDS = 5.0
"""How long a Ray cluster may take to answer."""
STOP_SECONDS = 60.0
"""How long the runs on a Ray cluster may take to end after they are asked to."""


class Engine(Protocol):
    """What the loop of a sweep needs of an engine."""

    @property
    def workers(self) -> int:
        """Most runs at a time."""

    def start(self, argv: Sequence[str], log: Path) -> Any:
        """Start a command that appends its output to `log`; returns the job."""

    def ended(self, job: Any) -> int | None:
        """The exit code of a job; None while it runs."""

    def stop(self, jobs: Sequence[Any]) -> None:
        """Ask jobs to end (SIGTERM) and wait for them."""

    def close(self) -> None:
        """Release the engine's resources."""


def assign_devices(workers: int, devices: Sequence[str]) -> list[str | None]:
    """The GPU of each worker, shared evenly; None without GPUs.

    >>> assign_devices(3, ["0", "1"]), assign_devices(2, [])
    (['0', '1', '0'], [None, None])
    """
    return [devices[number % len(devices)] if devices else None for number in range(workers)]


def visible_devices() -> list[str]:
    """The GPUs that this process may use, named as in CUDA_VISIBLE_DEVICES."""
    import torch

    count, device_names = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    return (device_names.split(",") if device_names else [str(number) for number in range(count)])[:count]


def runs_that_fit(machine: Mapping[str, float], needs: Mapping[str, float]) -> int:
    """How many runs a machine has room for.

    >>> runs_that_fit({"CPU": 8, "GPU": 2}, {"CPU": 2, "GPU": 1})
    2
    >>> runs_that_fit({"CPU": 8}, {"CPU": 1, "GPU": 1})
    0
    """
    return int(min(machine.get(kind, 0) // count for kind, count in needs.items() if count))


@dataclass(frozen=True, slots=True)
class Job:
    """A process of this machine and its GPU."""

    process: subprocess.Popen[bytes]
    device: str | None


class Local:
    """Processes of this machine, `workers` at a time, each with one GPU if there are any."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._free = assign_devices(workers, visible_devices())
        self._threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // workers))

    def start(self, argv: Sequence[str], log: Path) -> Job:
        device = self._free.pop(0)
        extra = {"OMP_NUM_THREADS": self._threads}
        extra |= {"CUDA_VISIBLE_DEVICES": device} if device is not None else {}
        return Job(_popen(argv, log, extra), device)

    def ended(self, job: Job) -> int | None:
        code = job.process.poll()
        if code is not None:
            self._free.append(job.device)
        return code

    def stop(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            job.process.terminate()
        for job in jobs:
            job.process.wait()

    def close(self) -> None:
        """Do nothing: there are no resources to release."""


class OnRay:
    """Tasks of a Ray cluster: the one at `address` or of this machine, else one that is started here.

    Every machine must have this environment and the working folder under the same paths. Ray assigns GPUs.

    Raises:
        InputError: If there is no cluster at the address, or a run fits on none of its machines.
        ModuleNotFoundError: Without Ray (extra `ray`).
    """

    def __init__(self, address: str, *, workers: int | None, num_cpus: float, num_gpus: float | None) -> None:
        import ray

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine unless asked
        check_answers(address)
        self._most_workers, self._ray, self._started_cluster = workers, ray, not ray.is_initialized()
        try:
            ray.init(
                address or None, ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR
            )
        except (ConnectionError, ValueError) as error:
            raise InputError(f"sweep: no Ray cluster answers at {address}: {error}".splitlines()[0]) from None
        gpu = float("GPU" in ray.cluster_resources()) if num_gpus is None else num_gpus
        self._needs = {"CPU": num_cpus, "GPU": gpu}
        if not self._capacity():
            self.close()
            raise InputError(
                f"sweep: a run needs num_cpus {num_cpus:g} and num_gpus {gpu:g}, and no machine of the "
                "cluster has them: set both"
            )
        # The sweep itself starts failed runs again, after a look at the checkpoint.
        self._task = ray.remote(num_cpus=num_cpus, num_gpus=gpu, max_retries=0)(run_to_end)

    def _capacity(self) -> int:
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return sum(runs_that_fit(machine, self._needs) for machine in machines)

    @property
    def workers(self) -> int:
        """The number the user chose, else how many runs fit on the present machines, but at least one."""
        return self._most_workers or max(1, self._capacity())

    def start(self, argv: Sequence[str], log: Path) -> Any:
        return self._task.remote(list(argv), str(log.resolve()), os.getcwd())

    def ended(self, job: Any) -> int | None:
        finished_jobs, _ = self._ray.wait([job], timeout=0)
        if not finished_jobs:
            return None
        errors = self._ray.exceptions
        try:
            return self._ray.get(job)
        except errors.RayTaskError:
            raise
        except errors.RayError:  # the worker was killed, or its machine is gone
            return KILLED

    def stop(self, jobs: Sequence[Any]) -> None:
        for job in jobs:
            self._ray.cancel(job)
        if jobs:
            self._ray.wait(list(jobs), num_returns=len(jobs), timeout=STOP_SECONDS)

    def close(self) -> None:
        if self._started_cluster:
            self._ray.shutdown()


def check_answers(address: str) -> None:
    """Refuse a `host:port` that does not answer: Ray itself would try for many minutes.

    Raises:
        InputError: If nothing listens there.
    """
    host, _, port = address.rpartition(":")
    if not host or "://" in address or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise InputError(f"sweep: no Ray cluster answers at {address} ({error}): correct address") from None


def run_to_end(argv: Sequence[str], log: str, folder: str) -> int:
    """In a worker of the cluster: run a command; returns its exit code.

    Ray cancels a task in the way SIGINT would. If a background job of a shell started the cluster, its
    workers ignore SIGINT and would go on: so the handler is set here.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    process = _popen(argv, Path(log), {}, folder)
    try:
        while process.poll() is None:
            time.sleep(child.POLL_SECONDS)  # Ray cancels a task between two steps of Python code
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    return process.returncode


def _popen(
    argv: Sequence[str], log: Path, extra: Mapping[str, str], folder: str | None = None
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        # a session of its own: Ctrl-C reaches the sweep only, which asks its runs to save
        return child.start(argv, output, extra, cwd=folder, start_new_session=True)
