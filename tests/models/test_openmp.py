"""Idle OpenMP threads beside busy processes: when they come, that they go, and that they change nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from chexphi.models import openmp
from chexphi.models.openmp import BUSY, QUIET, QUIET_CHECKS, Verdict

pytestmark = pytest.mark.skipif(not openmp.TASKS.is_dir(), reason="Linux alone says how long threads wait")


def verdicts(shares: list[float]) -> list[bool]:
    found, verdict = [], Verdict()
    for share in shares:
        verdict = verdict.after(share)
        found.append(verdict.busy)
    return found


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.0, BUSY, 0.9], [False, False, True]),
        ([0.9, QUIET, QUIET], [True, True, True]),  # in between: as it was
        ([0.3, 0.3], [False, False]),
        ([0.9, *[0.1] * QUIET_CHECKS], [True] * QUIET_CHECKS + [False]),
        ([0.9, *[0.1] * (QUIET_CHECKS - 1), 0.3, 0.1], [True] * (QUIET_CHECKS + 2)),  # quiet is in a row
        ([0.9, *[0.1] * QUIET_CHECKS, 0.9], [True] * QUIET_CHECKS + [False, True]),
    ],
)
def test_when_a_machine_counts_as_busy(shares: list[float], expected: list[bool]) -> None:
    assert verdicts(shares) == expected


@pytest.mark.parametrize("cpus", [1, 2, 3, 4, 7, 64])
@pytest.mark.parametrize("threads", [2, 3, 8, 64])
def test_there_are_just_more_threads_than_cpus(cpus: int, threads: int) -> None:
    """Each idle thread adds its team, less itself, to libgomp's count."""
    number = openmp.helpers(cpus, threads)
    assert number >= 1
    assert threads + number * (threads - 1) > cpus
    assert number == 1 or threads + (number - 1) * (threads - 1) <= cpus


def test_every_thread_is_looked_at() -> None:
    found = openmp.waiting_times()
    assert str(os.getpid()) in found
    assert all(value >= 0 for value in found.values())


CODE = """
import json, os, sys, threading, time
import torch
from chexphi.models import openmp
def sums(): return [torch.rand(300, 301, generator=torch.Generator().manual_seed(n)).matmul(
    torch.rand(301, 200, generator=torch.Generator().manual_seed(-n))).sum().item() for n in range(5)]
def tasks(): return len(os.listdir("/proc/self/task"))
before, alone, seed = sums(), tasks(), torch.initial_seed()
crowd = openmp.Crowd()
until = time.monotonic() + 60
while tasks() < alone + 2 and time.monotonic() < until: time.sleep(0.01)
beside, crowded = sums(), tasks()
crowd.leave()
while tasks() > alone and time.monotonic() < until: time.sleep(0.01)
openmp.share_cpus()
openmp.share_cpus()
watched = [thread.name for thread in threading.enumerate() if thread.name == "openmp"]
same = before == beside == sums()
print(json.dumps([same, alone, crowded, tasks(), len(watched), torch.initial_seed() == seed]))
"""


def run(code: str, **variables: str) -> list[object]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, env=environment | variables, capture_output=True, text=True, check=True)
    return json.loads(found.stdout)


def test_idle_threads_come_and_go_and_change_no_result() -> None:
    same, alone, crowded, after, watched, same_seed = run(CODE, OMP_NUM_THREADS="2")
    assert same
    assert same_seed
    assert crowded >= alone + 2  # type: ignore[operator]
    assert after == alone + 1  # the watching one
    assert watched == 1


@pytest.mark.parametrize(
    "variables",
    [
        {"OMP_NUM_THREADS": "1"},
        pytest.param({"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "ACTIVE"}, marks=pytest.mark.slow),
        pytest.param({"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "7"}, marks=pytest.mark.slow),
    ],
)
def test_one_thread_or_the_users_own_settings_are_left_alone(variables: dict[str, str]) -> None:
    code = (
        "import json, threading; from chexphi.models import openmp; openmp.share_cpus(); "
        "print(json.dumps([thread.name for thread in threading.enumerate()]))"
    )
    assert run(code, **variables) == ["MainThread"]


@pytest.mark.slow
def test_a_busy_machine_is_noticed() -> None:
    """Two OpenMP threads beside more busy processes than CPUs: the idle threads come."""
    code = """
import json, threading, time
import torch
from chexphi.models import openmp
openmp.share_cpus()
values, until = torch.rand(400, 400), time.monotonic() + 60
while not any(t.name == "openmp-idle" for t in threading.enumerate()) and time.monotonic() < until:
    values = values.matmul(values).clamp(0, 1)
print(json.dumps([t.name for t in threading.enumerate() if t.name == "openmp-idle"]))
"""
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(2 * len(os.sched_getaffinity(0)))
    ]
    try:
        assert "openmp-idle" in run(code, OMP_NUM_THREADS="2")
    finally:
        for process in busy:
            process.kill()
            process.wait()
