"""`chexphi checkpoint export`: a native policy back to the original layout, bit for bit.

The published remote code needs both adapters. We may not copy that code: to run the result there, put the
`*.py` files of the original beside it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from chexphi import atomic, model_folder
from chexphi.files import read_object
from chexphi.model_card import write
from chexphi.models import adapter_check, adapter_settings, policy_folder, tensor_headers
from chexphi.models.lora_names import PREFIX, TARGETS
from chexphi.models.original_layout.original_config import to_native, to_original
from chexphi.models.original_layout.stream import Copy, Output
from chexphi.models.original_layout.tensor_map import EMBEDDING, HEAD
from chexphi.models.original_layout.tensor_names import ADAPTERS, original, original_lora
from chexphi.models.original_layout.text_files import ORIGINAL, texts
from chexphi.models.original_layout.writing import (
    GO_ON,
    JOURNAL,
    begin,
    check_target,
    shard_names,
    write_all,
    write_index,
)
from chexphi.runs import terminal
from chexphi.runs.run_folder import write_json
from chexphi.schema import InputError

SHARD = 5 << 30
"""The most bytes of a file, as on the hub."""
NOT_IN_ORIGINAL = (
    *("image_token_id", "audio_token_id", "transformers_version", "initializer_range", "dtype"),
    "feature_layer",  # of the audio encoder: the native class does not read it; the vision tower's is kept
)
"""Settings that the original has in its code, or that change no result."""


def export(
    folder: Path, target: Path, *, progress: Callable[[int, int], None] = lambda completed, total: None
) -> dict[str, Any]:
    """Write a policy in the original layout, with its vision adapter and its base's speech adapter.

    Args:
        folder: A native base, or an adapter that names one.
        target: A new folder, or one that this export began.
        progress: Called with the bytes written so far and the bytes in all.

    Returns:
        `out`, `tensors`, `adapters`, `bytes`.

    Raises:
        InputError: If the folder is not a Phi-4-multimodal policy, or a file cannot be written.
    """
    folders = policy_folder.locate(folder)
    if folders.kind != "phi4_multimodal":
        raise InputError(
            f"{folder} is of type {folders.kind!r}: only Phi-4-multimodal has an original layout"
        )
    check_target(target)
    adapters = _adapter_folders(folders)
    tensors = _tensors(folders.base, adapters)
    outputs = _shards(tensors, target)
    with terminal.waiting("loading libraries"):  # transformers takes seconds: only after the checks
        native = _native_config(folders.base)
    own_head = folders.adapter is not None and PREFIX + HEAD in tensor_headers.read(folders.adapter)
    config = _config(folders.base, native, adapters, own_head=own_head)
    begin(target, outputs)
    write_all(outputs, progress)
    with atomic.writing(target, remedy=GO_ON):
        write_index(target, outputs)
        write.converted(folder, target, "export", kind=folders.kind, base=folders.base)
        _write_texts(folders.base, target, config)
        (target / JOURNAL).unlink()
    return {
        "out": str(target),
        "tensors": len(tensors),
        "adapters": list(adapters),
        "bytes": sum(output.size for output in outputs),
    }


def _adapter_folders(folders: policy_folder.PolicyFolders) -> dict[str, Path]:
    """The folders of the adapters `vision` and `speech` that exist, checked against the base."""
    candidates = {"vision": folders.adapter, "speech": folders.base / "speech-lora"}
    adapters = {name: path for name, path in candidates.items() if path is not None and path.is_dir()}
    shapes = {name: header.shape for name, header in tensor_headers.read(folders.base).items()}
    shapes.setdefault(HEAD, shapes[EMBEDDING])  # tied: the base has no tensor for it, an adapter may have one
    for path in adapters.values():
        adapter_check.check(path, shapes, TARGETS)
    return adapters


def _tensors(base: Path, adapters: Mapping[str, Path]) -> list[Copy]:
    """All tensors under their original names; a whole module of an adapter replaces the base's."""
    copies: dict[str, Copy] = {}
    for name, header in tensor_headers.read(base).items():
        renamed = original(name, adapted=bool(adapters))
        copies[renamed] = Copy(renamed, base / header.file, header)
    for adapter_name, folder in adapters.items():
        for name, header in tensor_headers.read(folder).items():
            base_name = name.removeprefix(PREFIX)
            renamed = original_lora(adapter_name, name) if ".lora_" in base_name else original(base_name)
            copies[renamed] = Copy(renamed, folder / header.file, header)
    return list(copies.values())


def _shards(tensors: Iterable[Copy], target: Path) -> list[Output]:
    """Files of at most `SHARD` bytes each; a larger tensor has a file of its own."""
    shards: list[list[Copy]] = [[]]
    size = 0
    for tensor in tensors:
        if shards[-1] and size + tensor.header.size > SHARD:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.header.size
    names = shard_names(len(shards))
    return [Output(target / name, tuple(shard)) for name, shard in zip(names, shards, strict=True)]


def _native_config(base: Path) -> dict[str, Any]:
    from transformers import Phi4MultimodalConfig

    model_folder.check(base)
    with model_folder.reading(base, "the configuration of a model"):
        config = Phi4MultimodalConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    return config.to_dict()


def _write_texts(base: Path, target: Path, config: Mapping[str, Any]) -> None:
    """The original's own texts if the base was imported, else the native tokenizer's; `config.json` last."""
    imported = base / ORIGINAL
    for file in texts(imported if imported.is_dir() else base):
        if file.name not in ("config.json", JOURNAL):
            shutil.copyfile(file, target / file.name)
    if imported.is_dir() and config == read_object(imported / "config.json"):
        shutil.copyfile(imported / "config.json", target / "config.json")
    else:
        write_json(target / "config.json", config)


def _config(
    base: Path, native: Mapping[str, Any], adapters: Mapping[str, Path], *, own_head: bool
) -> dict[str, Any]:
    """The original's configuration with the written adapters: the imported one, or one made from `native`."""
    imported = base / ORIGINAL
    loras = {name: _lora_settings(folder) for name, folder in adapters.items()}
    source = read_object(imported / "config.json") if imported.is_dir() else _new_config(native, loras)
    config = {key: value for key, value in source.items() if key.removesuffix("_lora") not in ADAPTERS}
    config |= {f"{name}_lora": source.get(f"{name}_lora", {}) | lora for name, lora in loras.items()}
    config["tie_word_embeddings"] = native["tie_word_embeddings"] and not own_head
    return config


def _new_config(native: Mapping[str, Any], loras: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """An original's configuration from which an import makes the same native one.

    Raises:
        InputError: If the original layout has no setting for a value.
    """
    from transformers import Phi4MultimodalConfig

    config = to_original(native, loras)
    imported = Phi4MultimodalConfig(**to_native(config, image_token=0, audio_token=0, ends=[])).to_dict()
    for section in ("vision_config", "audio_config"):
        for key, value in native[section].items():
            if key not in NOT_IN_ORIGINAL and imported[section].get(key) != value:
                raise InputError(
                    f"{section}.{key} is {value!r}, which the original layout does not have: use the native "
                    "folder as it is"
                )
    return config


def _lora_settings(folder: Path) -> dict[str, Any]:
    settings = adapter_settings.read(folder)
    return {"r": settings["r"], "lora_alpha": settings["lora_alpha"], "dp": settings["lora_dropout"]}
