"""`chexphi checkpoint inspect`: the content of a folder of weights, read from the headers alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chexphi import model_folder
from chexphi.files import read_object
from chexphi.models import tensor_headers
from chexphi.models.lora_names import PREFIX
from chexphi.models.original_layout.tensor_names import ADAPTERS, lora, other_half
from chexphi.models.tensor_headers import Header
from chexphi.schema import InputError

ADAPTER = "adapter_config.json"
MODEL_TYPES = {"phi4mm": "original", "phi4_multimodal": "native"}
MODULES = {
    "language": r"model\.(layers|norm|embed_tokens)\.",
    "lm_head": r"lm_head\.",
    "vision tower": r"model\.embed_tokens_extend\.image_embed\.img_processor\.",
    "image projector": r"model\.embed_tokens_extend\.image_embed\.",
    "audio": r"model\.embed_tokens_extend\.audio_embed\.",
}
"""Pattern of the beginnings of each module's tensor names; the first that matches counts."""


def inspect(folder: Path) -> dict[str, Any]:
    """The content of a folder in the original or the native layout, or of an adapter.

    Returns:
        `layout`, `parameters` by module (without adapters), `adapters` with `rank`, `alpha` and `parameters`,
        `dtypes`, `tied` (no `lm_head` of its own), `files`, `missing` (tensors that other layers have), and
        `base` if an adapter names one.

    Raises:
        InputError: If the folder holds no Phi-4-multimodal weights, or a file cannot be read.
    """
    if (folder / ADAPTER).is_file():
        return _adapter(folder)
    config = model_folder.read_config(folder)
    layout = MODEL_TYPES.get(config.get("model_type", ""))
    if layout is None:
        readable = " or ".join(MODEL_TYPES)
        raise InputError(
            f"{folder} holds a model of type {config.get('model_type')!r}: {readable} is what is read"
        )
    tensors = tensor_headers.read(folder)
    base = {name: header for name, header in tensors.items() if lora(name) is None}
    adapters = _adapters_in_base(tensors, config) if layout == "original" else _adapter_folders(folder)
    return {
        "layout": layout,
        "parameters": _by_module(base),
        "adapters": adapters,
        "dtypes": sorted({header.dtype for header in tensors.values()}),
        "tied": "lm_head.weight" not in tensors,
        "files": len({header.file for header in tensors.values()}),
        "missing": missing(tensors, layers=int(config.get("num_hidden_layers", 0))),
    }


def _adapter(folder: Path) -> dict[str, Any]:
    """The figures of a trained policy that is an adapter: LoRA pairs, and whole modules beside them."""
    config, tensors = read_object(folder / ADAPTER), tensor_headers.read(folder)
    modules = {name.removeprefix(PREFIX): t for name, t in tensors.items() if ".lora_" not in name}
    pairs = {name.removeprefix(PREFIX): t for name, t in tensors.items() if ".lora_" in name}
    lora = {"rank": config.get("r"), "alpha": config.get("lora_alpha")}
    return {
        "layout": "adapter",
        "base": config.get("base_model_name_or_path"),
        "parameters": _by_module(modules),
        "adapters": {folder.name: lora | {"parameters": sum(header.count for header in pairs.values())}},
        "dtypes": sorted({header.dtype for header in tensors.values()}),
        "tied": "lm_head.weight" not in modules,
        "files": len({header.file for header in tensors.values()}),
        "missing": sorted({other_half(name) for name in pairs} - pairs.keys()),
    }


def missing(names: Mapping[str, object], *, layers: int) -> list[str]:
    """Tensors that are absent although another layer, or the other half of a LoRA pair, has them."""
    matches = [re.fullmatch(r"model\.layers\.(\d+)\.(.+)", name) for name in names]
    kinds = {match[2] for match in matches if match}
    kinds |= {other_half(kind) for kind in kinds}
    expected = {f"model.layers.{layer}.{kind}" for layer in range(layers) for kind in kinds}
    return sorted((expected | {"model.embed_tokens.weight", "model.norm.weight"}) - names.keys())


def _by_module(tensors: Mapping[str, Header]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for name, header in tensors.items():
        module = next((module for module, pattern in MODULES.items() if re.match(pattern, name)), "other")
        counts[module] += header.count
    return {module: counts[module] for module in (*MODULES, "other") if counts[module]}


def _adapters_in_base(tensors: Mapping[str, Header], config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The adapters whose tensors are among the base weights."""
    rows: dict[str, dict[str, Any]] = {}
    for name, header in tensors.items():
        if (adapter_and_name := lora(name)) is None:
            continue
        row = rows.setdefault(adapter_and_name[0], {"rank": None, "alpha": None, "parameters": 0})
        row["parameters"] += header.count
        if ".lora_A." in name:
            row["rank"] = header.shape[0]
    for adapter, row in rows.items():
        row["alpha"] = config.get(f"{adapter}_lora", {}).get("lora_alpha")
    return {adapter: rows[adapter] for adapter in sorted(rows, key=(*ADAPTERS, *sorted(rows)).index)}


def _adapter_folders(folder: Path) -> dict[str, dict[str, Any]]:
    """The adapters in PEFT folders beside the base weights."""
    rows = {}
    for path in sorted(folder.glob(f"*/{ADAPTER}")):
        config = read_object(path)
        count = sum(header.count for header in tensor_headers.read(path.parent).values())
        rows[path.parent.name] = {
            "rank": config.get("r"),
            "alpha": config.get("lora_alpha"),
            "parameters": count,
        }
    return rows
