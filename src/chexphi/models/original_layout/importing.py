"""`chexphi checkpoint import`: the original layout to the native one.

Bytes are copied from file to file under new names, so that no tensor changes and little memory is used. Every
tensor of the source has a native name or a reason to be dropped, and every tensor of the target has a source.
`config.json` is written last: only a folder that has it is complete. The same command goes on after a stop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chexphi import atomic, model_folder
from chexphi.model_card import write
from chexphi.models import tensor_headers
from chexphi.models.original_layout import pickles, stream
from chexphi.models.original_layout.original_config import to_native
from chexphi.models.original_layout.stream import Copy, Output
from chexphi.models.original_layout.tensor_map import EMBEDDING, HEAD, Plan, make_plan
from chexphi.models.original_layout.tensor_names import ADAPTERS
from chexphi.models.original_layout.text_files import check_tokenizer
from chexphi.models.original_layout.writing import (
    GO_ON,
    begin,
    check_target,
    shard_names,
    write_all,
    write_index,
)
from chexphi.models.tensor_headers import Header
from chexphi.runs import terminal
from chexphi.runs.run_folder import write_json
from chexphi.schema import InputError

ADAPTER_FILE = "adapter_model.safetensors"


def convert(
    source: Path,
    target: Path,
    *,
    allow_pickle: bool = False,
    progress: Callable[[int, int], None] = lambda completed, total: None,
) -> dict[str, Any]:
    """Write the native base, `vision-lora/`, `speech-lora/` and the processor of a checkpoint.

    Args:
        source: A folder in the original layout.
        target: A new folder, or one that this import began.
        allow_pickle: Read `*.bin` files, with torch's `weights_only`, if there are no safetensors.
        progress: Called with the bytes written so far and the bytes in all.

    Returns:
        `out`, `tensors` (of the base), `adapters` (tensors of each), `dropped` with reasons, `tied`, `bytes`.

    Raises:
        InputError: Before anything is written, if the source is damaged or of another kind, or the disk too
            small; later if a file cannot be written.
    """
    original, ranks = _check(source, target, allow_pickle=allow_pickle)
    with terminal.waiting("loading libraries"):  # torch takes seconds: only after the checks
        from chexphi.models.original_layout import side_files

        tokenizer = side_files.read_tokenizer(source)
    image, audio, *ends = tokenizer.convert_tokens_to_ids(
        [side_files.IMAGE, side_files.AUDIO, *side_files.ENDS]
    )
    config = to_native(original, image_token=image, audio_token=audio, ends=ends)
    with pickles.as_safetensors(source, target, allow=allow_pickle) as weights:
        tensors = tensor_headers.read(weights)
        with terminal.waiting("reading the shapes of the model"):
            plan = make_plan(tensors, native_shapes(config), ranks)
        config["tie_word_embeddings"] = _tied(original, tensors, weights)
        base = _base_outputs(plan, tensors, weights, target)
        adapters = _adapter_outputs(plan, tensors, weights, target)
        begin(target, [*base, *adapters], dropped=plan.dropped)
        write_all([*base, *adapters], progress)
    with atomic.writing(target, remedy=GO_ON):
        for name in plan.adapters:
            side_files.write_adapter_config(target / f"{name}-lora", original[f"{name}_lora"])
        side_files.write(source, target, tokenizer, config)
        write_index(target, base)
        write.converted(source, target, "import", kind=config["model_type"], base=source)
        write_json(target / "config.json", config)
    return {
        "out": str(target),
        "tensors": len(plan.base),
        "adapters": {name: len(names) for name, names in plan.adapters.items()},
        "dropped": plan.dropped,
        "tied": config["tie_word_embeddings"],
        "bytes": sum(output.size for output in (*base, *adapters)),
    }


def _check(source: Path, target: Path, *, allow_pickle: bool) -> tuple[dict[str, Any], dict[str, int]]:
    """The original's `config.json` and the rank of each adapter; all that needs no torch is checked."""
    original = read_original(source)
    ranks = _ranks(original)
    check_tokenizer(source)
    check_target(target)
    if not pickles.check(source, allow=allow_pickle):
        tensor_headers.read(source)
    return original, ranks


def read_original(source: Path) -> dict[str, Any]:
    """The original's `config.json`.

    Raises:
        InputError: If the folder is not a model in the original layout.
    """
    config = model_folder.read_config(source)
    if config.get("model_type") == "phi4_multimodal":
        raise InputError(f"{source} is in the native layout: use it as it is, there is nothing to import")
    if config.get("model_type") != "phi4mm":
        raise InputError(
            f"{source} holds a model of type {config.get('model_type')!r}: only 'phi4mm', the original "
            "layout of Phi-4-multimodal, is imported"
        )
    return config


def _ranks(original: Mapping[str, Any]) -> dict[str, int]:
    """The rank of each adapter, from the original's configuration; all settings of adapters are checked."""
    ranks: dict[str, int] = {}
    for name in (name for name in ADAPTERS if f"{name}_lora" in original):
        settings = original[f"{name}_lora"]
        values = settings if isinstance(settings, dict) else {}
        rank, alpha, dropout = values.get("r"), values.get("lora_alpha"), values.get("dp", 0.0)
        numbers = type(alpha) in (int, float) and type(dropout) in (int, float)
        if type(rank) is not int or rank < 1 or not numbers:
            raise InputError(
                f"config.json: {name}_lora has no r, lora_alpha and dp that are numbers: copy it again"
            )
        ranks[name] = rank
    return ranks


def native_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of the native model, which is built without memory.

    Raises:
        InputError: If no model can be built from the configuration.
    """
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from transformers import Phi4MultimodalConfig, Phi4MultimodalForCausalLM

    try:
        with torch.device("meta"):
            model = Phi4MultimodalForCausalLM(Phi4MultimodalConfig(**config))
    except (ValueError, TypeError, StrictDataclassError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"config.json describes no model that can be built ({reason}): copy it again"
        ) from None
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _tied(original: Mapping[str, Any], tensors: Mapping[str, Header], weights: Path) -> bool:
    """Whether `lm_head` is the input embedding: it has no tensor of its own, or the same bytes."""
    ties_in_config = bool(original.get("tie_word_embeddings", True))
    if HEAD not in tensors:
        if not ties_in_config:
            raise InputError(f"config.json unties lm_head, but {HEAD} is missing: copy the files again")
        return True
    head, embedding = (Copy(name, weights / tensors[name].file, tensors[name]) for name in (HEAD, EMBEDDING))
    return ties_in_config and stream.equal(head, embedding)


def _base_outputs(plan: Plan, tensors: Mapping[str, Header], weights: Path, target: Path) -> list[Output]:
    """One native file for each file of the source."""
    shards: dict[str, list[Copy]] = {}
    for name, native_name in plan.base.items():
        header = tensors[name]
        shards.setdefault(header.file, []).append(Copy(native_name, weights / header.file, header))
    names = shard_names(len(shards))
    return [
        Output(target / name, tuple(shards[file])) for name, file in zip(names, sorted(shards), strict=True)
    ]


def _adapter_outputs(plan: Plan, tensors: Mapping[str, Header], weights: Path, target: Path) -> list[Output]:
    return [
        Output(
            target / f"{adapter}-lora" / ADAPTER_FILE,
            tuple(
                Copy(peft_name, weights / tensors[name].file, tensors[name])
                for name, peft_name in names.items()
            ),
        )
        for adapter, names in plan.adapters.items()
    ]
