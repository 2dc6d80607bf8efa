"""LoRA adapters in PEFT's form: checked against their base from the headers, then loaded.

A base imported from the original layout has its adapters beside it, in `vision-lora/` and `speech-lora/`. A
trained policy is a folder with an adapter that names its base. In the model, the adapter's name is always
`default`: TRL copies the adapter of that name as the reference policy.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from torch import Tensor

from chexphi.files import read_object
from chexphi.model_folder import reading
from chexphi.models import adapter_settings, tensor_headers
from chexphi.models.adapter_settings import CONFIG as CONFIG
from chexphi.models.lora_names import PREFIX, adapter_shapes
from chexphi.models.tensor_headers import Header
from chexphi.schema import InputError, shown

logger = logging.getLogger(__name__)

NAME = "default"
HEAD = "lm_head"
_LORA = re.compile(r"(.+)\.lora_([AB])\.weight")


def base_of(folder: Path) -> Path:
    """The absolute path of the base that an adapter names.

    A relative path is looked for from the working folder, then from the adapter's folder and those above it.
    An absolute path that does not exist may have moved together with the adapter. Then a base around the
    adapter is taken; else the path is looked for in the same folders without its first names, the longest
    rest first.

    Raises:
        InputError: If no base is found.
    """
    base_name = read_object(folder / CONFIG).get("base_model_name_or_path") or ""
    if not isinstance(base_name, str):
        raise InputError(
            f"{folder / CONFIG}: base_model_name_or_path is {shown(base_name)}: write the folder of the base "
            "there"
        )
    candidates = _base_candidates(folder.absolute(), Path(base_name)) if base_name else ()
    base = next((path for path in candidates if os.path.isfile(path / "config.json")), None)
    if base is None:
        raise InputError(
            f"the adapter {folder} names its base {shown(base_name)}, where no model is: write the folder of "
            f"the base as base_model_name_or_path into {folder / CONFIG}"
        )
    if Path(base_name).is_absolute() and base != Path(base_name):
        logger.warning("the base of %s, %s, does not exist any more: using %s", folder, base_name, base)
    return base


def _base_candidates(folder: Path, base_path: Path) -> Iterator[Path]:
    """The paths where the base of an adapter in `folder` may be, the most likely first."""
    yield base_path.absolute()
    relative_paths = [base_path]
    if base_path.is_absolute():
        yield folder.parent
        relative_paths = [Path(*base_path.parts[start:]) for start in range(1, len(base_path.parts))]
    for relative_path in relative_paths:
        yield from (above / relative_path for above in (folder, *folder.parents))


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
            f"the adapter {folder} lacks {len(missing)} tensors, the first {missing[0]}: copy it again, name "
            "the base it was trained on, or, if it was trained on fewer modules, merge it into its base first"
        )


def _check_tensor(
    folder: Path,
    name: str,
    header: Header,
    expected: Mapping[str, tuple[int, ...]],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Check one tensor of an adapter: half of a LoRA pair, or of a whole module that is trained with it."""
    shape = expected.get(name) if _LORA.fullmatch(name) else shapes.get(name)
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
    saved_modules = {name.rpartition(".")[0] for name in names if not _LORA.fullmatch(name)}
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


def load(base: Any, folder: Path, *, targets: str, with_head: bool = False) -> Any:
    """The base with the folder's adapter, frozen, with the name that TRL needs, in the types of the file.

    Args:
        base: The native model.
        folder: The adapter's folder.
        targets: Pattern of the modules that have the adapter. The folder's own pattern is not used: it may
            match by suffix, and in Phi-4 that matches the audio encoder as well.
        with_head: Give the adapter a copy of `lm_head` if it has none.

    Raises:
        InputError: If the adapter does not fit the base (`check`) or cannot be read.
    """
    check(folder, {name: tuple(value.shape) for name, value in base.state_dict().items()}, targets)
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
    if _LORA.fullmatch(name):
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
