"""LoRA adapters in PEFT's form: checked against their base from the headers, then loaded.

A base imported from the original layout has its adapters beside it, in `vision-lora/` and `speech-lora/`. A
trained policy is a folder with an adapter that names its base. In the model, the adapter's name is always
`default`: TRL copies the adapter of that name as the reference policy.
"""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from torch import Tensor

from chexphi.model_folder import reading
from chexphi.models import adapter_check, adapter_settings
from chexphi.models.adapter_check import LORA
from chexphi.models.adapter_settings import CONFIG as CONFIG
from chexphi.models.adapter_settings import HEAD as HEAD

NAME = "default"


def load(base: Any, folder: Path, *, targets: str, with_head: bool = False) -> Any:
    """The base with the folder's adapter, frozen, with the name that TRL needs, in the types of the file.

    Args:
        base: The native model.
        folder: The adapter's folder.
        targets: Pattern of the modules that have the adapter. The folder's own pattern is not used: it may
            match by suffix, and in Phi-4 that matches the audio encoder as well.
        with_head: Give the adapter a copy of `lm_head` if it has none.

    Raises:
        InputError: If the adapter does not fit the base (`adapter_check.check`) or cannot be read.
    """
    adapter_check.check(
        folder, {name: tuple(value.shape) for name, value in base.state_dict().items()}, targets
    )
    values = adapter_settings.read(folder)
    saved = sorted({*values.pop("modules_to_save"), *((HEAD,) if with_head else ())})
    config = LoraConfig(
        **values, modules_to_save=saved or None, target_modules=targets, task_type="CAUSAL_LM"
    )
    config.base_model_name_or_path = base.name_or_path
    tensors: dict[str, Tensor] = {}
    with reading(folder, "an adapter of its base"):
        model = _wrapped(base, config)
        for file in sorted(folder.glob("*.safetensors")):
            tensors |= load_file(file)
    # PEFT's own loading needs an lm_head that the adapter may not have yet, and rounds to the base's type
    state = {name_in_model(name): value for name, value in tensors.items()}
    result = model.load_state_dict(state, strict=False, assign=True)
    assert not result.unexpected_keys, "checked above"
    model.set_adapter(NAME, inference_mode=True)
    return model


def with_new_lora(base: Any, *, targets: str, rank: int, alpha: int, with_head: bool) -> Any:
    """The base with a new adapter that changes nothing yet (B is zero)."""
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=targets,
        modules_to_save=[HEAD] if with_head else None,
        task_type="CAUSAL_LM",
    )
    return _wrapped(base, config)


def _wrapped(base: Any, config: LoraConfig) -> Any:
    with warnings.catch_warnings():
        # an lm_head tied to the input embedding gets weights of its own: that is intended
        warnings.filterwarnings("ignore", message="Model with `tie_word_embeddings")
        return get_peft_model(base, config, adapter_name=NAME, autocast_adapter_dtype=False)


def name_in_model(name: str) -> str:
    """The name in the model of a tensor with this name in the adapter's file."""
    if LORA.fullmatch(name):
        return name.removesuffix("weight") + f"{NAME}.weight"
    module, _, parameter = name.rpartition(".")
    return f"{module}.modules_to_save.{NAME}.{parameter}"


def unwrapped(model: Any) -> Any:
    """The causal model itself, with or without PEFT around it."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def save_alone(model: Any) -> None:
    """Save the model without the adapter `ref`: each run copies it from the policy that it begins with."""
    model.save_pretrained = partial(model.save_pretrained, selected_adapters=[NAME])


def copy_to_reference(model: Any) -> None:
    """Copy the values and types of the adapter `default` to `ref`: PEFT makes `ref` in the base's type."""
    for name, parameter in model.named_parameters():
        if f".{NAME}." in name:
            model.get_parameter(name.replace(f".{NAME}.", ".ref.")).data = parameter.detach().clone()


def merged(model: Any) -> Any:
    """The base with its adapter merged into it; an `lm_head` of the adapter replaces a tied one."""
    own_head = HEAD in (model.peft_config[NAME].modules_to_save or ())
    for name, parameter in model.named_parameters():
        if ".lora_" in name:  # in fp32 the product of A and B is not rounded before it is added
            parameter.data = parameter.data.float()
    base = model.merge_and_unload()
    if own_head:
        untie(base.config)
    return base


def untie(config: Any) -> None:
    """Set in a configuration that `lm_head` has its own weights; some families read that in its text part."""
    config.tie_word_embeddings = config.get_text_config().tie_word_embeddings = False
