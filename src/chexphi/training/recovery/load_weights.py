"""Load a checkpoint's weights into the model that trains: every tensor of it, exactly, or one sentence.

transformers loads the tensors whose names it knows and warns of the rest. In a family whose published names
differ from the class's (Gemma 3, Qwen2.5-VL) it loads none, and a resumed run would start from the base.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from chexphi.model_folder import reading
from chexphi.models import adapter, policy_folder, tensor_headers
from chexphi.schema import InputError

Shape = tuple[int, ...]


def check(model: Any, folder: Path) -> bool:
    """Refuse a checkpoint of another model; nothing but headers is read.

    Args:
        model: As it is trained, with its adapter if it has one.
        folder: A checkpoint of transformers or PEFT.

    Returns:
        Whether its tensors have their published names there.

    Raises:
        InputError: For another base, a tensor that the model lacks, one that is missing, or another shape.
    """
    if _has_adapter(model):
        saved_base = policy_folder.base_of(folder) if (folder / adapter.CONFIG).is_file() else None
        model_base = Path(model.peft_config[adapter.NAME].base_model_name_or_path)
        if saved_base is None or saved_base.resolve() != model_base.resolve():
            _refuse(folder, f"its base is {saved_base}, this one's is {model_base}")
    saved_shapes = {_name(model, name): header.shape for name, header in tensor_headers.read(folder).items()}
    tensors = _tensors(model)
    model_shapes: dict[str, Shape] = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if _has_published_names(saved_shapes, tensors):
        return True
    for name in sorted(saved_shapes.keys() | model_shapes.keys()):
        if saved_shapes.get(name) != model_shapes.get(name) and not _is_tied(name, saved_shapes, tensors):
            saved, expected = _describe(saved_shapes, name), _describe(model_shapes, name)
            _refuse(folder, f"its {name} is {saved}, this one's is {expected}")
    return False


def load(model: Any, folder: Path) -> None:
    """Give the model the checkpoint's values, in the types it has.

    Raises:
        InputError: For a checkpoint of another model (see `check`).
    """
    if check(model, folder):
        # float32 holds what other types do
        with reading(folder, "a checkpoint of this model"):
            saved_model = type(model).from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
            )
        model.load_state_dict(saved_model.state_dict())
        return
    tensors = _tensors(model)
    with torch.no_grad():
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, framework="pt") as saved_tensors:
                for name in saved_tensors.keys():  # noqa: SIM118
                    tensors[_name(model, name)].copy_(saved_tensors.get_tensor(name))


def _has_adapter(model: Any) -> bool:
    return hasattr(model, "peft_config")


def _name(model: Any, name: str) -> str:
    """What the model calls a tensor of the checkpoint."""
    return adapter.name_in_model(name) if _has_adapter(model) else name


def _tensors(model: Any) -> dict[str, Tensor]:
    """What a checkpoint of the model holds, by the model's names."""
    state: dict[str, Tensor] = model.state_dict()
    if not _has_adapter(model):
        return state
    return {name: tensor for name, tensor in state.items() if f".{adapter.NAME}." in name}


def _is_tied(name: str, saved_shapes: dict[str, Shape], tensors: dict[str, Tensor]) -> bool:
    """Whether a tensor that was not saved is another name of one that was."""
    return name not in saved_shapes and any(
        saved_name != name and tensor.data_ptr() == tensors[name].data_ptr()
        for saved_name, tensor in tensors.items()
        if saved_name in saved_shapes
    )


def _has_published_names(saved_shapes: dict[str, Shape], tensors: dict[str, Tensor]) -> bool:
    """Whether the model's tensors were saved under their published names."""
    if saved_shapes.keys() <= tensors.keys():
        return False
    distinct_shapes = {tensor.data_ptr(): tuple(tensor.shape) for tensor in tensors.values()}
    return Counter(saved_shapes.values()) == Counter(distinct_shapes.values())


def _describe(shapes: dict[str, Shape], name: str) -> str:
    return f"of shape {shapes[name]}" if name in shapes else "missing"


def _refuse(folder: Path, difference: str) -> None:
    raise InputError(
        f"checkpoint {folder} is of another model: {difference}: name that model, or choose another --out"
    )
