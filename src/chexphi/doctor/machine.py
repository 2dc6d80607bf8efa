"""Processor, memory, disk and image codecs of this machine; no name of the user or of the machine."""

from __future__ import annotations

import io
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from PIL import Image

from chexphi.data.film_files.decoders import FORMATS


def machine() -> dict[str, Any]:
    """Facts of this machine; memory and disk in GB of 10^9 bytes, None where the system does not tell."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": platform.platform(),
        "cpu": cpu_name(_text("/proc/cpuinfo")),
        "cores": os.cpu_count(),
        "usable_cores": usable,
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "memory_gb": _total_memory(),
        "free_memory_gb": free_memory(_text("/proc/meminfo")),
        "memory_limit_gb": memory_limit(_text("/sys/fs/cgroup/memory.max")),
        "free_disk_gb": shutil.disk_usage(Path.cwd()).free / 1e9,
    }


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def cpu_name(cpuinfo: str) -> str:
    """The processor's name from Linux's `/proc/cpuinfo`, or what Python says."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def free_memory(meminfo: str) -> float | None:
    """GB that a new process can have, from Linux's `/proc/meminfo`."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024 / 1e9
    return None


def memory_limit(memory_max: str) -> float | None:
    """GB that this container may use, from `memory.max`; None without a limit."""
    return int(memory_max) / 1e9 if memory_max.strip().isdigit() else None


def _total_memory() -> float | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (ValueError, OSError, AttributeError):
        return None


def codecs() -> dict[str, bool]:
    """Each image format that films are read from, and whether this Pillow writes and reads it."""
    return {form: _is_readable(form) for form in FORMATS}


def _is_readable(form: str) -> bool:
    file = io.BytesIO()
    try:
        Image.new("L", (8, 8), 128).save(file, form)
        file.seek(0)
        Image.open(file, formats=(form,)).load()
    except (OSError, KeyError):
        return False
    return True
