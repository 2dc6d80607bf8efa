"""The settings of an adapter's `adapter_config.json` that PEFT gets from us; it sees no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chexphi.files import read_object
from chexphi.schema import InputError, shown

CONFIG = "adapter_config.json"
HEAD = "lm_head"
"""The one module that an adapter may replace as a whole."""
DEFAULTS: dict[str, Any] = {
    "r": None,
    "lora_alpha": 8,
    "lora_dropout": 0.0,
    "use_rslora": False,
    "modules_to_save": [],
}
"""The settings that are read, with PEFT's own defaults."""
UNUSED = frozenset(
    (
        *("peft_type", "peft_version", "task_type", "base_model_name_or_path", "revision", "inference_mode"),
        *("auto_mapping", "target_modules", "layers_to_transform", "layers_pattern", "exclude_modules"),
        *("ensure_weight_tying", "qalora_group_size", "megatron_core"),
    )
)
"""Settings that may have any value: the modules follow from the base, the tensors from the file."""
UNCHANGED = {"bias": ("none",), "init_lora_weights": (True, "gaussian", "orthogonal")}
"""Settings with the values for which the adapter is ordinary LoRA. PiSSA, OLoRA and others begin with parts
of the base, and remove these parts from the base when it is loaded: they are refused."""


def read(folder: Path) -> dict[str, Any]:
    """The settings of a LoRA adapter.

    Returns:
        `r`, `lora_alpha`, `lora_dropout`, `use_rslora` and `modules_to_save`.

    Raises:
        InputError: If it is not LoRA, a value is wrong, or another setting makes it more than ordinary LoRA.
    """
    path = folder / CONFIG
    settings = read_object(path)
    if settings.get("peft_type") != "LORA":
        raise InputError(f"{path} does not describe a LoRA adapter: only LoRA is read")
    values = DEFAULTS | {name: settings[name] for name in DEFAULTS if settings.get(name) is not None}
    if type(values["r"]) is not int or values["r"] < 1:
        raise InputError(f"{path}: r is {shown(values['r'])}: it is the rank, a whole number from 1")
    alpha, dropout = values["lora_alpha"], values["lora_dropout"]
    if type(alpha) not in (int, float) or not 0 < alpha < float("inf"):
        raise InputError(f"{path}: lora_alpha is {shown(alpha)}: use a number above 0")
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        raise InputError(f"{path}: lora_dropout is {shown(dropout)}: use a share from 0 to below 1")
    if type(values["use_rslora"]) is not bool:
        raise InputError(f"{path}: use_rslora is {shown(values['use_rslora'])}: use true or false")
    modules = values["modules_to_save"]
    if not isinstance(modules, list) or not all(isinstance(name, str) and name for name in modules):
        raise InputError(f"{path}: modules_to_save is {shown(modules)}: use a list of names of modules")
    for name, value in settings.items():
        if value and name not in DEFAULTS and name not in UNUSED and value not in UNCHANGED.get(name, ()):
            raise InputError(f"{path}: {name} is {shown(value)}, and only plain LoRA is read: merge it first")
    return values
