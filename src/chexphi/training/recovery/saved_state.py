"""Whether a checkpoint's files have what a run needs beside the weights, before they are loaded.

transformers loads the optimiser, the schedule and the random states with torch's reader of tensors. That runs
no code, and ends with a traceback at anything else. Only the structure is read here: tensors stay on disk.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chexphi.files import read_json
from chexphi.model_folder import reason
from chexphi.models import tensor_headers
from chexphi.schema import InputError, shown

STATE = "trainer_state.json"
COUNTS = ("global_step", "max_steps")
KINDS: Mapping[str, Any] = {
    "epoch": int | float,
    "log_history": list,
    "stateful_callbacks": dict,
}
"""Entries of the Trainer's state that may be missing, and their types."""
KEYS: Mapping[str, frozenset[str]] = {
    "optimizer.pt": frozenset({"state", "param_groups"}),
    "scheduler.pt": frozenset({"last_epoch"}),
    "rng_state": frozenset({"python", "numpy", "cpu"}),
}
"""Start of a file's name -> keys that it must have."""
SHARDED = ("global_step", "optimizer_", "optimizer.bin", "pytorch_model_fsdp")
"""Names begin so where DeepSpeed or FSDP save the optimiser; they check those files themselves."""


UNREADABLE = (
    *(pickle.UnpicklingError, RuntimeError, OSError, EOFError),
    *(ValueError, KeyError, TypeError, AttributeError, IndexError),
)
"""What torch raises for a file that it did not write."""


def trainer_state(folder: Path) -> dict[str, Any] | str:
    """The Trainer's state in a checkpoint, or why it is not one."""
    try:
        state = read_json(folder / STATE, nan=True)  # a reward that scores no row of a step is logged as NaN
    except InputError:
        state = None
    if not isinstance(state, dict):
        return f"its {STATE} is damaged"
    for name in COUNTS:
        if type(state.get(name)) is not int or state[name] < 0:
            return f"its {STATE} has {shown(state.get(name))} for {name}"
    for name, kind in KINDS.items():
        value = state.get(name)
        if isinstance(value, bool) or not isinstance(value, kind | None):
            return f"its {STATE} has {shown(value)} for {name}"
    best, run = state.get("best_model_checkpoint"), folder.parent.resolve()
    if best is not None and not (isinstance(best, str) and Path(best).parent.resolve() == run):
        return f"its {STATE} names the checkpoint {shown(best)}, which is outside the run"
    return state


def why_unreadable(folder: Path, names: list[str]) -> str | None:
    """Why a run cannot resume from a checkpoint's files; None if it can.

    Args:
        folder: The checkpoint.
        names: Of its files, relative to it.
    """
    is_sharded = any(name.startswith(SHARDED) for name in names)
    for start, keys in KEYS.items():
        files = [name for name in names if name.startswith(start)]
        if not files and not is_sharded:
            return f"it has no {start}"
        for problem in filter(None, (_why_no_state(folder / name, keys) for name in files)):
            return problem
    try:
        if any(folder.glob("*.safetensors")):
            tensor_headers.read(folder)
    except InputError as error:
        return str(error)
    return None


def _why_no_state(path: Path, keys: frozenset[str]) -> str | None:
    """Why torch cannot read a file, or the Trainer cannot use its content; None if they can."""
    import torch  # slow to import, and not needed to see whether a run is finished
    from transformers.trainer_pt_utils import safe_globals

    load: Callable[..., Any] = torch.load
    try:
        with safe_globals():
            content = load(path, map_location="cpu", weights_only=True, mmap=True)
    except UNREADABLE as error:
        return f"its {path.name} is not a file of tensors ({reason(error)})"
    if not isinstance(content, dict) or not keys <= content.keys():
        return f"its {path.name} is of another kind (it lacks {', '.join(sorted(keys))})"
    return None
