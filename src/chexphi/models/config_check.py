"""Whether a folder's settings describe the model of its weights; checked on headers, before it is built.

Without this, a wrong size in `config.json` is found only when memory is allocated, or not at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers.initialization import no_init_weights

from chexphi.model_folder import reading
from chexphi.models.tensor_headers import Header
from chexphi.schema import InputError

MAX_BUFFERS = 50_000_000
"""The most values of all tables that are computed and not saved (positions, rotations)."""


def check(model_class: Any, folder: Path, tensors: Mapping[str, Header]) -> None:
    """Refuse settings that describe a much larger model than the weights beside them.

    Single missing weights are named later, when the model is loaded.

    Args:
        model_class: Of the family.
        folder: With `config.json`.
        tensors: Headers of the weights in it.

    Raises:
        InputError: If they do, or if no such model can be built.
    """
    config_file = folder / "config.json"
    with reading(folder, f"a {model_class.__name__}"):
        config = model_class.config_class.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        config._attn_implementation = "eager"  # the folder's may need a package that is not installed
        with torch.device("meta"), no_init_weights(), warnings.catch_warnings(action="ignore"):
            model = model_class(config)
    if empty := next((name for name, parameter in model.named_parameters() if not parameter.numel()), None):
        raise InputError(f"{config_file} describes a model whose {empty} has no numbers: copy it again")
    described = sum(parameter.numel() for parameter in model.parameters())
    in_files = sum(header.count for header in tensors.values())
    computed = sum(buffer.numel() for buffer in model.buffers())
    if described > 2 * in_files or computed > MAX_BUFFERS:
        raise InputError(
            f"{config_file} describes a model of {described:,} numbers and tables of {computed:,}, and the "
            f"weights beside it are {in_files:,}: one of the two belongs to another model"
        )


def check_unused(model: Any, folder: Path, unused: Iterable[str]) -> None:
    """Refuse weights of more blocks than the settings count, or of a layer that has none by the settings.

    A separate module that this family does not have (another tower, a second head) is allowed.

    Args:
        model: As loaded.
        folder: Of its files, for the message.
        unused: Names of the tensors that were not loaded.

    Raises:
        InputError: With the first such name.
    """
    modules = dict(model.named_modules())
    for name in sorted(unused):
        words = name.split(".")
        depth = next(end for end in range(len(words), -1, -1) if ".".join(words[:end]) in modules)
        missing_path = words[depth:]
        if missing_path[0].isdecimal() or (depth and missing_path in (["weight"], ["bias"])):
            raise InputError(
                f"{folder} has weights that its config.json does not describe, the first of them {name!r}: "
                "one of the two belongs to another model"
            )
