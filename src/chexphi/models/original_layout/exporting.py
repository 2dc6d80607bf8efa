"""`chexphi checkpoint export`: a native policy back to the original layout, bit for bit.

The published remote code asks for both adapters. It is not ours to copy: put the `*.py` files of the original
beside the result to run it there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from transformers import Phi4MultimodalConfig

from chexphi import atomic, model_folder
from chexphi.files import read_object
from chexphi.models import adapter, adapter_settings, policy, tensor_headers
from chexphi.models.lora_names import PREFIX, TARGETS
from chexphi.models.original_layout.original_config import to_native, to_original
from chexphi.models.original_layout.side_files import ORIGINAL, texts
from chexphi.models.original_layout.stream import Copy, Output
from chexphi.models.original_layout.tensor_map import EMBEDDING, HEAD
from chexphi.models.original_layout.tensor_names import ADAPTERS, original, original_lora
from chexphi.models.original_layout.writing import GO_ON, JOURNAL, begin, shard_names, write_all, write_index
from chexphi.runs.run_folder import write_json
from chexphi.schema import InputError

SHARD = 5 << 30
"""Bytes of a file at most, as on the hub."""
UNSAID = (
    *("image_token_id", "audio_token_id", "transformers_version", "initializer_range", "dtype"),
    "feature_layer",  # of the audio encoder, which the native class does not read; the vision tower's is said
)
"""Settings that the original has in its code, or that change no result."""


def export(
    folder: Path, target: Path, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """Write a policy in the original layout, with the vision adapter it has and its base's speech adapter.

    Args:
        folder: A native base, or an adapter that names one.
        target: A new folder, or one that this export began.
        progress: Is told the bytes that are written and those that will be.

    Returns:
        `out`, `tensors`, `adapters`, `bytes`.

    Raises:
        InputError: If the folder is no Phi-4-multimodal policy, or a file cannot be written.
    """
    place = policy.locate(folder)
    if place.kind != "phi4_multimodal":
        raise InputError(f"{folder} is of type {place.kind!r}: only Phi-4-multimodal has an original layout")
    adapters = {"vision": place.adapter, "speech": place.base / "speech-lora"}
    folders = {name: path for name, path in adapters.items() if path is not None and path.is_dir()}
    base = tensor_headers.read(place.base)
    shapes = {name: header.shape for name, header in base.items()}
    shapes.setdefault(HEAD, shapes[EMBEDDING])  # tied: it has no tensor, but an adapter may have one
    for path in folders.values():
        adapter.check(path, shapes, TARGETS)
    native = _native_config(place.base)
    tensors = _tensors(place.base, folders)
    outputs = _shards(tensors, target)
    own_head = place.adapter is not None and PREFIX + HEAD in tensor_headers.read(place.adapter)
    config = _config(place.base, native, folders, own_head=own_head)
    begin(target, outputs)
    write_all(outputs, progress)
    with atomic.writing(target, remedy=GO_ON):
        write_index(target, outputs)
        _write_texts(place.base, target, config)
        (target / JOURNAL).unlink()
    return {
        "out": str(target),
        "tensors": len(tensors),
        "adapters": list(folders),
        "bytes": sum(output.size for output in outputs),
    }


def _tensors(base: Path, adapters: Mapping[str, Path]) -> list[Copy]:
    """All tensors under their original names; a whole module of an adapter stands in for the base's."""
    found: dict[str, Copy] = {}
    for name, header in tensor_headers.read(base).items():
        renamed = original(name, adapted=bool(adapters))
        found[renamed] = Copy(renamed, base / header.file, header)
    for which, folder in adapters.items():
        for name, header in tensor_headers.read(folder).items():
            plain = name.removeprefix(PREFIX)
            renamed = original_lora(which, name) if ".lora_" in plain else original(plain)
            found[renamed] = Copy(renamed, folder / header.file, header)
    return list(found.values())


def _shards(tensors: Iterable[Copy], target: Path) -> list[Output]:
    """Files of at most `SHARD` bytes, or of one tensor that is larger."""
    shards: list[list[Copy]] = [[]]
    size = 0
    for tensor in tensors:
        if shards[-1] and size + tensor.header.size > SHARD:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.header.size
    names = shard_names(len(shards))
    return [Output(target / name, tuple(part)) for name, part in zip(names, shards, strict=True)]


def _native_config(base: Path) -> dict[str, Any]:
    model_folder.check(base)
    with model_folder.reading(base, "the configuration of a model"):
        config = Phi4MultimodalConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    return config.to_dict()


def _write_texts(base: Path, target: Path, config: Mapping[str, Any]) -> None:
    """The original's own texts as they were imported, else the native tokenizer's; `config.json` last."""
    kept = base / ORIGINAL
    for file in texts(kept if kept.is_dir() else base):
        if file.name not in ("config.json", JOURNAL):
            shutil.copyfile(file, target / file.name)
    if kept.is_dir() and config == read_object(kept / "config.json"):
        shutil.copyfile(kept / "config.json", target / "config.json")
    else:
        write_json(target / "config.json", config)


def _config(
    base: Path, native: Mapping[str, Any], adapters: Mapping[str, Path], *, own_head: bool
) -> dict[str, Any]:
    """The original's configuration, as it was imported or a fresh one, with the adapters that are written."""
    kept = base / ORIGINAL
    loras = {name: _lora_settings(folder) for name, folder in adapters.items()}
    imported = read_object(kept / "config.json") if kept.is_dir() else _fresh_config(native, loras)
    config = {key: value for key, value in imported.items() if key.removesuffix("_lora") not in ADAPTERS}
    config |= {f"{name}_lora": imported.get(f"{name}_lora", {}) | own for name, own in loras.items()}
    config["tie_word_embeddings"] = native["tie_word_embeddings"] and not own_head
    return config


def _fresh_config(native: Mapping[str, Any], loras: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """An original's configuration from which the native one could be made again.

    Raises:
        InputError: If the original layout cannot say a setting.
    """
    config = to_original(native, loras)
    again = Phi4MultimodalConfig(**to_native(config, image_token=0, audio_token=0, ends=[])).to_dict()
    for part in ("vision_config", "audio_config"):
        for key, value in native[part].items():
            if key not in UNSAID and again[part].get(key) != value:
                raise InputError(
                    f"{part}.{key} is {value!r}, which the original layout cannot say: not exported"
                )
    return config


def _lora_settings(folder: Path) -> dict[str, Any]:
    settings = adapter_settings.read(folder)
    return {"r": settings["r"], "lora_alpha": settings["lora_alpha"], "dp": settings["lora_dropout"]}
