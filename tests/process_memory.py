"""Figures of a process's own memory, as Linux has them in /proc/self/status. Standard library only.

`ru_maxrss` does not measure a child process: it begins at the peak of its parent.
"""

from __future__ import annotations

from pathlib import Path

STATUS = Path("/proc/self/status")


def memory_bytes(name: str) -> int:
    """A figure of this process in bytes (`VmRSS`: now, `VmHWM`: at the peak); 0 if the system has none."""
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)


def peak_bytes() -> int:
    """The most memory that this process has had."""
    return memory_bytes("VmHWM")
