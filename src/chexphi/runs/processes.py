"""One run on several processes, as `torchrun` and `accelerate launch` start them.

The main process (rank 0) makes the run's folder, writes the files and prints; the others compute their share.
Bad input on one process ends all of them, with one message.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from chexphi.number_text import counted
from chexphi.schema import InputError

T = TypeVar("T")


def count(environment: Mapping[str, str] = os.environ) -> int:
    """How many processes the launcher started for this run."""
    return int(environment.get("WORLD_SIZE", 1)) if "RANK" in environment else 1


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def fsdp() -> bool:
    """Whether `accelerate launch` was told to split the weights between the processes with FSDP."""
    return os.environ.get("ACCELERATE_USE_FSDP") == "true"


def is_main() -> bool:
    """Whether this is the process that writes."""
    return rank() == 0


def check(gpus: int, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse more processes than GPUs or cores, and a launcher that started fewer than it was told to.

    Args:
        gpus: GPUs of this machine that the run uses; 0 on the CPU.
        environment: The variables that the launcher set.

    Raises:
        InputError: If there are too many processes or too few.
    """
    local_count = int(environment.get("LOCAL_WORLD_SIZE", 1)) if count(environment) > 1 else 1
    limit = gpus or os.cpu_count() or 1
    if local_count > limit:
        kind = "GPU" if gpus else "CPU core"
        raise InputError(
            f"{local_count} processes were started on a machine with {counted(limit, kind)}: start at "
            f"most {limit} (torchrun --nproc_per_node, accelerate launch --num_processes)"
        )
    launched_on_cpu = "MASTER_PORT" in environment and "ACCELERATE_USE_CPU" in environment
    if launched_on_cpu and "RANK" not in environment and not any(name in environment for name in MPI):
        raise InputError(
            "accelerate launch was asked for several processes and started one, because its --cpu needs "
            "mpirun: use accelerate launch --multi_gpu, which runs on the CPU as well, or torchrun"
        )


MPI = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def join() -> None:
    """Connect to the other processes of this run, if there are any.

    Raises:
        InputError: If there are more processes than GPUs or cores, or fewer than the launcher should start.
    """
    if count() == 1 and "MASTER_PORT" not in os.environ:
        return
    import torch
    from accelerate import PartialState

    check(torch.cuda.device_count())
    PartialState(cpu=not torch.cuda.is_available())


def end_quickly() -> None:
    """Spare this process Python's last look for garbage: with torch and TRL it takes seconds, for nothing."""
    atexit.register(gc.freeze)


def leave() -> None:
    """Disconnect from the other processes: without it a process sometimes aborts in gloo's threads."""
    if _connected():
        import torch.distributed

        torch.distributed.destroy_process_group()


def _connected() -> bool:
    torch = sys.modules.get("torch")
    return count() > 1 and torch is not None and torch.distributed.is_initialized()


def gather(value: T) -> list[T]:
    """The values of all processes, in the order of their ranks; all of them have to call this."""
    if not _connected():
        return [value]
    import torch.distributed

    values: list[T] = [value] * count()
    torch.distributed.all_gather_object(values, value)
    return values


@contextmanager
def fail_together() -> Iterator[None]:
    """If the block fails on one process, end all of them; the failed one of the lowest rank raises its error.

    All processes wait for each other at the end of the block, so that each can read what the main process
    wrote inside.
    """
    problem: Exception | None = None
    try:
        yield
    except Exception as error:
        problem = error
    code = 2 if isinstance(problem, InputError | OSError) else 1
    codes = gather(code if problem else 0)
    if not any(codes):
        return
    first_failed = next(number for number, code in enumerate(codes) if code)
    raises = rank() == first_failed if _connected() else os.environ.get("LOCAL_RANK", "0") == "0"
    if problem is not None and (raises or count() == 1):
        raise problem
    time.sleep(1)  # a launcher ends all processes as soon as one has ended: the message has to come first
    raise SystemExit(max(codes))


def barrier() -> None:
    """Wait until all processes of the run have come here."""
    with fail_together():
        pass


def own_share(items: list[T]) -> list[T]:
    """This process's share: every N-th item, for N processes."""
    return items[rank() :: count()]


def own_part(path: Path) -> Path:
    """The file that this process writes in place of `path`: for the main process `path` itself."""
    return path if is_main() else path.with_name(f"{path.stem}.part{rank()}{path.suffix}")


def parts_of(path: Path) -> list[Path]:
    """The files beside `path` that other processes wrote, also those of an earlier, larger run."""
    return sorted(path.parent.glob(f"{path.stem}.part*{path.suffix}"))
