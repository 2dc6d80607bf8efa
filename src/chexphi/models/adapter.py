"""LoRA adapters in PEFT's form: checked against their base from the headers, then loaded.

A base imported from the original layout has its adapters beside it, in `vision-lora/` and `speech-lora/`; a
trained policy is a folder with an adapter that names its base. Whatever the folder, the adapter's name in the
model is `default`: TRL copies the adapter of that name as the reference policy.
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
    """The folder of the base that an adapter names; absolute.

    A relative path is looked for from the working folder, then from the adapter's folder and those above. An
    absolute one that is gone may have moved together with the adapter: what is left of it when its first
    folders are taken off is looked for there, most of it first, and so is a base around the adapter.

    Raises:
        InputError: If there is none.
    """
    named = read_object(folder / CONFIG).get("base_model_name_or_path") or ""
    if not isinstance(named, str):
        raise InputError(
            f"{folder / CONFIG}: base_model_name_or_path is {shown(named)}: write the folder of the base "
            "there"
        )
    places = _places(folder.absolute(), Path(named)) if named else ()
    found = next((place for place in places if os.path.isfile(place / "config.json")), None)
    if found is None:
        raise InputError(
            f"the adapter {folder} names its base {shown(named)}, where no model is: write the folder of the "
            f"base as base_model_name_or_path into {folder / CONFIG}"
        )
    if Path(named).is_absolute() and found != Path(named):
        logger.warning("the base of %s, %s, is not there any more: %s is taken", folder, named, found)
    return found


def _places(folder: Path, named: Path) -> Iterator[Path]:
    yield named.absolute()
    rests = [Path(*named.parts[first:]) for first in range(1, len(named.parts))]
    if named.is_absolute():
        yield folder.parent
    for rest in rests if named.is_absolute() else [named]:
        yield from (above / rest for above in (folder, *folder.parents))


def check(folder: Path, shapes: Mapping[str, tuple[int, ...]], targets: str) -> None:
    """Refuse an adapter that does not fit its base; nothing but headers is read.

    Args:
        folder: The adapter's folder.
        shapes: Of every tensor of the base, by its native name.
        targets: Pattern of the modules that carry the adapter.

    Raises:
        InputError: For a file that is missing or damaged, a tensor of no place in the base, a missing half or
            layer, or a shape that does not fit.
    """
    config = adapter_settings.read(folder)
    tensors = {name.removeprefix(PREFIX): header for name, header in tensor_headers.read(folder).items()}
    expected = adapter_shapes(shapes, targets, config["r"])
    _check_whole(folder, tensors, config["modules_to_save"])
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
    """One tensor of an adapter: a LoRA half, or a whole module trained beside it."""
    known = expected.get(name) if _LORA.fullmatch(name) else shapes.get(name)
    if known is None:
        raise InputError(
            f"the adapter {folder} has {name}, for which this base has no place: it belongs to another base"
        )
    if header.shape != known:
        raise InputError(
            f"the adapter {folder} has {name} of shape {header.shape} where its base and rank ask for "
            f"{known}: it belongs to another base, or its config to another adapter"
        )


def _check_whole(folder: Path, names: Iterable[str], modules: Sequence[str]) -> None:
    """The modules saved whole are those that the settings name."""
    whole = {name.rpartition(".")[0] for name in names if not _LORA.fullmatch(name)}
    for module in modules:
        if not any(name == module or name.endswith(f".{module}") for name in whole):
            raise InputError(
                f"{folder / CONFIG}: modules_to_save names {shown(module)}, and the adapter has no weights "
                "of it: copy it again"
            )
    for name in sorted(whole):
        if not any(name == module or name.endswith(f".{module}") for module in modules):
            raise InputError(
                f"the adapter {folder} has weights of {name}, which modules_to_save in {CONFIG} does not "
                "name: copy it again"
            )


def load(base: Any, folder: Path, *, targets: str, with_head: bool = False) -> Any:
    """The base with the folder's adapter, frozen, named as TRL needs it, in the types it was saved in.

    Args:
        base: The native model.
        folder: The adapter's folder.
        targets: Pattern of the modules that carry the adapter; the folder's own may match by suffix, which
            in Phi-4 hits the audio encoder as well.
        with_head: Give the adapter a copy of `lm_head` if it has none.

    Raises:
        InputError: As `check`.
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
    # PEFT's own loading asks for an lm_head that the adapter may not have yet, and rounds to the base's type
    state = {inside(name): value for name, value in tensors.items()}
    result = model.load_state_dict(state, strict=False, assign=True)
    assert not result.unexpected_keys, "checked above"
    model.set_adapter(NAME, inference_mode=True)
    return model


def fresh(base: Any, *, targets: str, rank: int, alpha: int, with_head: bool) -> Any:
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
        # an lm_head tied to the input embedding gets weights of its own: it is meant
        warnings.filterwarnings("ignore", message="Model with `tie_word_embeddings")
        return get_peft_model(base, config, adapter_name=NAME, autocast_adapter_dtype=False)


def inside(name: str) -> str:
    """A tensor's name in the model for its name in the adapter's file."""
    if _LORA.fullmatch(name):
        return name.removesuffix("weight") + f"{NAME}.weight"
    module, _, last = name.rpartition(".")
    return f"{module}.modules_to_save.{NAME}.{last}"


def unwrapped(model: Any) -> Any:
    """The causal model itself, with or without PEFT around it."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def save_alone(model: Any) -> None:
    """Let the model be saved without the adapter `ref`: it is made anew from the policy a run begins with."""
    model.save_pretrained = partial(model.save_pretrained, selected_adapters=[NAME])


def copy_to_reference(model: Any) -> None:
    """Make the adapter `ref` equal to `default` in values and types: PEFT makes it in the base's type."""
    for name, parameter in model.named_parameters():
        if f".{NAME}." in name:
            model.get_parameter(name.replace(f".{NAME}.", ".ref.")).data = parameter.detach().clone()


def merged(model: Any) -> Any:
    """The base with its adapter folded in; an `lm_head` of the adapter's replaces a tied one."""
    own_head = HEAD in (model.peft_config[NAME].modules_to_save or ())
    for name, parameter in model.named_parameters():
        if ".lora_" in name:  # rounded once, as a sum, and not as a product before
            parameter.data = parameter.data.float()
    base = model.merge_and_unload()
    if own_head:
        untie(base.config)
    return base


def untie(config: Any) -> None:
    """Say that `lm_head` has weights of its own; some families read it off the language model's part."""
    config.tie_word_embeddings = config.get_text_config().tie_word_embeddings = False
