"""`chexphi checkpoint merge`: a policy with its adapter merged into the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chexphi import atomic
from chexphi.model_card import write
from chexphi.models import policy_folder, tensor_headers
from chexphi.runs import run_folder, terminal
from chexphi.schema import InputError


def merge(folder: Path, target: Path) -> dict[str, Any]:
    """Write a native model without an adapter that answers as the policy does.

    A speech adapter is not copied: it was trained on the weights without the vision adapter.

    Args:
        folder: An adapter that names its base, or a base with `vision-lora/` beside it.
        target: A new folder; it appears only when everything is written.

    Returns:
        `out` and `parameters`.

    Raises:
        InputError: If there is no adapter, the target is not empty, or the disk is too small or not writable.
    """
    folders = policy_folder.check(folder)
    if folders.adapter is None:
        raise InputError(f"{folder} has no adapter: there is nothing to merge")
    run_folder.check_folder(target)
    atomic.check_place(target.absolute().parent)
    atomic.check_room(target, sum(header.size for header in tensor_headers.read(folders.base).values()))
    with terminal.waiting("loading the model"):  # torch takes seconds: only after the checks
        from chexphi.models import adapter, policy

        model, processor = policy.load(folder, device="cpu")
        model = adapter.merged(model)
    with terminal.waiting("writing the model"), atomic.whole_folder(target) as part_path:
        model.save_pretrained(part_path)
        processor.save_pretrained(part_path)
        write.converted(folder, part_path, "merge", kind=folders.kind, base=folders.base)
    return {"out": str(target), "parameters": sum(parameter.numel() for parameter in model.parameters())}
