"""Whether an adapter fits its base, from the headers of its files; no torch is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from chexphi.models import adapter_settings, tensor_headers
from chexphi.models.adapter_settings import CONFIG
from chexphi.models.lora_names import PREFIX, adapter_shapes
from chexphi.models.tensor_headers import Header
from chexphi.number_text import counted
from chexphi.schema import InputError, shown

LORA = re.compile(r"(.+)\.lora_([AB])\.weight")
"""The name of half of a LoRA pair."""


def check(folder: Path, shapes: Mapping[str, tuple[int, ...]], targets: str) -> None:
    """Refuse an adapter that does not fit its base; only headers are read.

    Args:
        folder: The adapter's folder.
        shapes: Of every tensor of the base, by its native name.
        targets: Pattern of the modules that have the adapter.

    Raises:
        InputError: For a file that is missing or damaged, a tensor of a module that the base does not have, a
            missing half or layer, or a wrong shape.
    """
    config = adapter_settings.read(folder)
    tensors = {name.removeprefix(PREFIX): header for name, header in tensor_headers.read(folder).items()}
    expected = adapter_shapes(shapes, targets, config["r"])
    _check_modules(folder, tensors, config["modules_to_save"])
    for name, header in tensors.items():
        _check_tensor(folder, name, header, expected, shapes)
    if missing := sorted(expected.keys() - tensors.keys()):
        raise InputError(
            f"the adapter {folder} lacks {counted(len(missing), 'tensor')}, the first {missing[0]}: "
            "copy it again, name the base it was trained on, or, if it was trained on fewer modules, "
            "merge it "
            "into its base first"
        )


def _check_tensor(
    folder: Path,
    name: str,
    header: Header,
    expected: Mapping[str, tuple[int, ...]],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Check one tensor of an adapter: half of a LoRA pair, or of a whole module that is trained with it."""
    shape = expected.get(name) if LORA.fullmatch(name) else shapes.get(name)
    if shape is None:
        raise InputError(
            f"the adapter {folder} has {name}, for which this base has no place: it belongs to another base"
        )
    if header.shape != shape:
        raise InputError(
            f"the adapter {folder} has {name} of shape {header.shape} where its base and rank ask for "
            f"{shape}: it belongs to another base, or its config to another adapter"
        )


def _check_modules(folder: Path, names: Iterable[str], modules: Sequence[str]) -> None:
    """Check that the modules saved whole are those that the settings name."""
    saved_modules = {name.rpartition(".")[0] for name in names if not LORA.fullmatch(name)}
    for module in modules:
        if not any(name == module or name.endswith(f".{module}") for name in saved_modules):
            raise InputError(
                f"{folder / CONFIG}: modules_to_save names {shown(module)}, and the adapter has no weights "
                "of it: copy it again"
            )
    for name in sorted(saved_modules):
        if not any(name == module or name.endswith(f".{module}") for module in modules):
            raise InputError(
                f"the adapter {folder} has weights of {name}, which modules_to_save in {CONFIG} does not "
                "name: copy it again"
            )
