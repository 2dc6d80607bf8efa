"""One run on several processes, as `torchrun` and `accelerate launch` start them.

The main process (rank 0) makes the run's folder, writes and speaks; the others compute their share. What is
bad input on one process ends all of them, and is said once.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from chexphi.schema import InputError

T = TypeVar("T")


def count(environment: Mapping[str, str] = os.environ) -> int:
    """How many processes the launcher started for this run."""
    return int(environment.get("WORLD_SIZE", 1)) if "RANK" in environment else 1


def rank() -> int:
    """The number of this one."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def fsdp() -> bool:
    """Whether `accelerate launch` was told to spread the weights over the processes with FSDP."""
    return os.environ.get("ACCELERATE_USE_FSDP") == "true"


def is_main() -> bool:
    """Whether this is the process that writes."""
    return rank() == 0


def check(gpus: int, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse more processes than there is room for, and a launcher that started fewer than it was asked for.

    Args:
        gpus: GPUs that this machine shows and the run uses; 0 on the CPU.
        environment: What the launcher set.

    Raises:
        InputError: For these.
    """
    here = int(environment.get("LOCAL_WORLD_SIZE", 1)) if count(environment) > 1 else 1
    room = gpus or os.cpu_count() or 1
    if here > room:
        kind = "GPU" if gpus else "CPU core"
        raise InputError(
            f"{here} processes were started on a machine with {room} {kind}{'s' if room > 1 else ''}: "
            f"start at most {room} (torchrun --nproc_per_node, accelerate launch --num_processes)"
        )
    asked = "MASTER_PORT" in environment and "ACCELERATE_USE_CPU" in environment
    if asked and "RANK" not in environment and not any(name in environment for name in MPI):
        raise InputError(
            "accelerate launch was asked for several processes and started one, for its --cpu needs mpirun: "
            "use accelerate launch --multi_gpu, which runs on the CPU as well, or torchrun"
        )


MPI = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def join() -> None:
    """Meet the other processes of this run, where there are any.

    Raises:
        InputError: As `check`.
    """
    if count() == 1 and "MASTER_PORT" not in os.environ:
        return
    import torch
    from accelerate import PartialState

    check(torch.cuda.device_count())
    PartialState(cpu=not torch.cuda.is_available())


def leave() -> None:
    """Part from the other processes; one that ends without aborts now and then in gloo's threads."""
    if _joined():
        import torch.distributed

        torch.distributed.destroy_process_group()


def _joined() -> bool:
    torch = sys.modules.get("torch")
    return count() > 1 and torch is not None and torch.distributed.is_initialized()


def gathered(value: T) -> list[T]:
    """This value of every process, in their order; all of them have to ask."""
    if not _joined():
        return [value]
    import torch.distributed

    values: list[T] = [value] * count()
    torch.distributed.all_gather_object(values, value)
    return values


@contextmanager
def agreed() -> Iterator[None]:
    """What fails inside on one process ends all: the first of those that failed says why.

    All processes come to its end together, so that what the main process made inside is there for all.
    """
    problem: Exception | None = None
    try:
        yield
    except Exception as error:
        problem = error
    code = 2 if isinstance(problem, InputError | OSError) else 1
    codes = gathered(code if problem else 0)
    if not any(codes):
        return
    first = next(number for number, code in enumerate(codes) if code)
    speaks = rank() == first if _joined() else os.environ.get("LOCAL_RANK", "0") == "0"
    if problem is not None and (speaks or count() == 1):
        raise problem
    time.sleep(1)  # a launcher ends all processes once one has ended: the sentence comes first
    raise SystemExit(max(codes))


def share(items: list[T]) -> list[T]:
    """Every N-th of these, another one for each process."""
    return items[rank() :: count()]


def own_part(path: Path) -> Path:
    """The file in place of `path` that this process writes: `path` itself for the main process."""
    return path if is_main() else path.with_name(f"{path.stem}.part{rank()}{path.suffix}")


def parts_of(path: Path) -> list[Path]:
    """The files beside `path` that other processes wrote, also those of an earlier, larger run."""
    return sorted(path.parent.glob(f"{path.stem}.part*{path.suffix}"))
