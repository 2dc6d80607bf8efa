"""A checkpoint's weights into the model that trains: every tensor in its place, exactly, or one sentence.

transformers loads what has a known name and warns of the rest. Of a family whose published names differ from
the class's (Gemma 3, Qwen2.5-VL) that is nothing at all, and a resumed run would begin from the base again.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from chexphi.model_folder import reading
from chexphi.models import adapter, tensor_headers
from chexphi.schema import InputError

Shape = tuple[int, ...]


def check(model: Any, folder: Path) -> bool:
    """Refuse a checkpoint of another model; nothing but headers is read.

    Args:
        model: As it is trained, with its adapter if it has one.
        folder: A checkpoint of transformers or PEFT.

    Returns:
        Whether its tensors stand there under published names.

    Raises:
        InputError: For another base, a tensor without a place, one that is missing, or another shape.
    """
    if _adapted(model):
        there = adapter.base_of(folder) if (folder / adapter.CONFIG).is_file() else None
        here = Path(model.peft_config[adapter.NAME].base_model_name_or_path)
        if there is None or there.resolve() != here.resolve():
            _refuse(folder, f"its base is {there}, this one's is {here}")
    found = {_name(model, name): header.shape for name, header in tensor_headers.read(folder).items()}
    own = _tensors(model)
    expected: dict[str, Shape] = {name: tuple(tensor.shape) for name, tensor in own.items()}
    if _renamed(found, own):
        return True
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name) and not _tied(name, found, own):
            _refuse(folder, f"its {name} is {_said(found, name)}, this one's is {_said(expected, name)}")
    return False


def load(model: Any, folder: Path) -> None:
    """Give the model the checkpoint's values, in the types it has.

    Raises:
        InputError: As `check`.
    """
    if check(model, folder):
        # float32 holds what other types do
        with reading(folder, "a checkpoint of this model"):
            again = type(model).from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
            )
        model.load_state_dict(again.state_dict())
        return
    own = _tensors(model)
    with torch.no_grad():
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118
                    own[_name(model, name)].copy_(tensors.get_tensor(name))


def _adapted(model: Any) -> bool:
    return hasattr(model, "peft_config")


def _name(model: Any, name: str) -> str:
    """What the model calls a tensor of the checkpoint."""
    return adapter.name_in_model(name) if _adapted(model) else name


def _tensors(model: Any) -> dict[str, Tensor]:
    """What a checkpoint of the model holds, by the model's names."""
    state: dict[str, Tensor] = model.state_dict()
    if not _adapted(model):
        return state
    return {name: tensor for name, tensor in state.items() if f".{adapter.NAME}." in name}


def _tied(name: str, found: dict[str, Shape], own: dict[str, Tensor]) -> bool:
    """Whether a tensor is another name of one that is there."""
    return name not in found and any(
        other != name and tensor.data_ptr() == own[name].data_ptr()
        for other, tensor in own.items()
        if other in found
    )


def _renamed(found: dict[str, Shape], own: dict[str, Tensor]) -> bool:
    """Whether the same tensors stand there under published names."""
    if found.keys() <= own.keys():
        return False
    distinct = {tensor.data_ptr(): tuple(tensor.shape) for tensor in own.values()}
    return Counter(found.values()) == Counter(distinct.values())


def _said(shapes: dict[str, Shape], name: str) -> str:
    return f"of shape {shapes[name]}" if name in shapes else "missing"


def _refuse(folder: Path, difference: str) -> None:
    raise InputError(
        f"checkpoint {folder} is of another model: {difference}: name that model, or choose another --out"
    )
