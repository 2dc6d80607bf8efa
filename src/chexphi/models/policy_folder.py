"""The folder of a policy, judged from its small files and the headers of its weights; no torch is needed.

A stage asks `check` before it imports torch and transformers. What only they can tell (an architecture that
cannot be built, settings that do not fit each other) comes when the model is loaded.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chexphi import model_folder
from chexphi.files import read_object
from chexphi.models import adapter_settings, film_sizes, tensor_headers
from chexphi.models.adapter_settings import CONFIG
from chexphi.models.tensor_headers import Header
from chexphi.number_text import counted
from chexphi.schema import InputError, shown

logger = logging.getLogger(__name__)

VISION_ADAPTER = "vision-lora"
ATTENTION = ("sdpa", "eager", "flash_attention_2")
DTYPES = ("auto", "float32", "bfloat16")
PHI4 = "phi4_multimodal"
FAMILIES = {
    PHI4: "phi4:load",
    "qwen2_5_vl": "qwen_vl:load_2_5",
    "qwen3_vl": "qwen_vl:load_3",
    "gemma3": "gemma3:load",
}
"""Module of `families/` and function that loads a model, for each `model_type`."""
REPEATED = ("num_hidden_layers", "num_layers", "num_blocks", "depth")
"""Settings that count modules, each with tensors of its own."""


@dataclass(frozen=True, slots=True)
class PolicyFolders:
    """The folders of a policy's base, adapter and processor."""

    base: Path
    adapter: Path | None
    processor: Path
    kind: str
    """The base's `model_type`."""


def locate(folder: Path) -> PolicyFolders:
    """The base and the adapter of a policy's folder; nothing is loaded.

    Raises:
        InputError: If it is not a policy, or is one in the original layout.
    """
    is_adapter = (folder / CONFIG).is_file()
    base = base_of(folder) if is_adapter else folder
    kind = str(model_folder.read_config(base).get("model_type"))
    if kind == "phi4mm":
        raise InputError(
            f"{base} is in the original layout of Phi-4-multimodal, which must be imported first: "
            f"chexphi checkpoint import {base} DST"
        )
    processor = folder if (folder / "tokenizer.json").is_file() else base
    if is_adapter:
        return PolicyFolders(base, folder, processor, kind)
    vision_adapter = base / VISION_ADAPTER
    return PolicyFolders(base, vision_adapter if vision_adapter.is_dir() else None, processor, kind)


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
        _warn_moved(folder, base_name, base)
    return base


@cache
def _warn_moved(folder: Path, base_name: str, base: Path) -> None:
    """Once in a process: a stage looks at its policy's folder before and while the model is loaded."""
    logger.warning("the base of %s, %s, does not exist any more: using %s", folder, base_name, base)


def _base_candidates(folder: Path, base_path: Path) -> Iterator[Path]:
    """The paths where the base of an adapter in `folder` may be, the most likely first."""
    yield base_path.absolute()
    relative_paths = [base_path]
    if base_path.is_absolute():
        yield folder.parent
        relative_paths = [Path(*base_path.parts[start:]) for start in range(1, len(base_path.parts))]
    for relative_path in relative_paths:
        yield from (above / relative_path for above in (folder, *folder.parents))


def check(
    folder: Path, *, dtype: str = "auto", attn_implementation: str = "sdpa", dynamic_hd: int | None = None
) -> PolicyFolders:
    """Refuse a folder, or settings for it, from which no policy can be loaded.

    Args:
        folder: Native weights, with the adapter in `vision-lora/` if they have one; or an adapter.
        dtype: One of `DTYPES`.
        attn_implementation: One of `ATTENTION`.
        dynamic_hd: The most tiles that a film is cut into; None keeps the folder's own setting.

    Returns:
        The folders that the policy is loaded from.

    Raises:
        InputError: For the first fault.
    """
    folders = check_settings(
        folder, dtype=dtype, attn_implementation=attn_implementation, dynamic_hd=dynamic_hd
    )
    check_files(folders.kind, folders.base, folders.processor)
    if folders.adapter is not None:
        model_folder.check(folders.adapter)
        adapter_settings.read(folders.adapter)
        tensor_headers.read(folders.adapter)
    return folders


def check_settings(
    folder: Path, *, dtype: str, attn_implementation: str, dynamic_hd: int | None
) -> PolicyFolders:
    """The first half of `check`: what can be told from the settings and the `config.json`."""
    if dtype not in DTYPES:
        raise InputError(f"dtype is {shown(dtype)}: use {', '.join(DTYPES)}")
    if attn_implementation not in ATTENTION:
        raise InputError(f"attn_implementation is {shown(attn_implementation)}: use {', '.join(ATTENTION)}")
    if attn_implementation == "flash_attention_2" and importlib.util.find_spec("flash_attn") is None:
        raise InputError("flash_attention_2 needs the package flash-attn, which is not installed: use sdpa")
    folders = locate(folder)
    if folders.kind not in FAMILIES:
        raise InputError(
            f"{folders.base} holds a model of type {shown(folders.kind)}: {', '.join(FAMILIES)} are what is "
            "read"
        )
    if dynamic_hd is not None:
        _check_dynamic_hd(dynamic_hd, folders.kind)
    return folders


def _check_dynamic_hd(dynamic_hd: int, kind: str) -> None:
    if kind != PHI4:
        raise InputError(
            f"dynamic_hd is {dynamic_hd} and only Phi-4-multimodal knows it, not a {shown(kind)}"
            ": leave it out; what shapes a film there is `size` in the model's preprocessor_config.json"
        )
    film_sizes.check_crops(dynamic_hd)


def check_files(kind: str, folder: Path, processor_folder: Path) -> dict[str, Header]:
    """Refuse files that cannot be a model of this `model_type` and its processor.

    Args:
        kind: The expected `model_type`.
        folder: Of the weights.
        processor_folder: Of tokenizer and image processor.

    Returns:
        The headers of the weights.

    Raises:
        InputError: For the first fault.
    """
    tensors = tensor_headers.read(folder)
    config = folder / "config.json"
    if not config.is_file() or read_object(config).get("model_type") != kind:
        raise InputError(
            f"{folder} holds no model of type {kind!r} (its config.json is missing or another's): name the "
            "folder of one"
        )
    if (folder / CONFIG).is_file():  # the library would load the base that it names
        raise InputError(f"{folder} is a base and has an {CONFIG} of its own: move the adapter elsewhere")
    for path in {folder.absolute(), processor_folder.absolute()}:
        model_folder.check(path)
        film_sizes.check_films(path)
    _check_layers(config, tensors)
    return tensors


def _check_layers(config: Path, tensors: Mapping[str, Header]) -> None:
    """Refuse settings that count more layers than the weights have tensors."""
    for key, value in model_folder.nested_entries(read_object(config)):
        if key in REPEATED and isinstance(value, int) and value > len(tensors):
            raise InputError(
                f"{config}: {key} is {shown(value)}, and the folder has "
                f"{counted(len(tensors), 'tensor')}: copy it again"
            )
