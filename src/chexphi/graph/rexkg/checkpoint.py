"""Loads a checkpoint in the published layout: `run_entity/`, `run_relation/`, and the relation tokenizer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import BertConfig, BertTokenizer

from chexphi.files import read_object
from chexphi.graph.rexkg import files
from chexphi.graph.rexkg.files import CONFIG, ENTITY, RELATION, WEIGHTS
from chexphi.graph.rexkg.models import EntityModel, RelationModel
from chexphi.graph.types import LABELS, RELATION_TYPES
from chexphi.model_folder import reading
from chexphi.number_text import counted
from chexphi.schema import InputError

Model = TypeVar("Model", bound=nn.Module)
_BUFFERS = frozenset({"bert.embeddings.position_ids", "bert.embeddings.token_type_ids"})
"""Constants that older writers saved among the weights."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Both models in evaluation mode, each with its tokenizer: the two vocabularies may differ."""

    entity: EntityModel
    relation: RelationModel
    entity_tokenizer: Any
    relation_tokenizer: Any
    special_tokens: dict[str, str] | None
    """Marker -> piece, where the relation model's training wrote `special_tokens.json`."""


def load(
    folder: str | Path, *, device: str | torch.device | None = None, dtype: str | torch.dtype | None = None
) -> Checkpoint:
    """Load a checkpoint. The state of random number generators does not change.

    Args:
        folder: Checkpoint in the published layout.
        device: None: the GPU of this rank if there is one, else the CPU.
        dtype: None: fp32.

    Raises:
        InputError: If a file is missing or does not fit the others.
    """
    root, torch_dtype, target_device = Path(folder), _torch_dtype(dtype), device or default_device()
    files.check(root)
    with torch.random.fork_rng(devices=[]):
        entity, relation = (
            _load_model(root / ENTITY, _build_entity_model),
            _load_model(root / RELATION, _build_relation_model),
        )
    special_tokens_path = root / RELATION / "special_tokens.json"
    return Checkpoint(
        entity.to(target_device, torch_dtype),
        relation.to(target_device, torch_dtype),
        _load_tokenizer(root / ENTITY, entity.bert.config.vocab_size),
        _load_tokenizer(files.relation_tokenizer(root), relation.bert.config.vocab_size),
        read_object(special_tokens_path) if special_tokens_path.is_file() else None,
    )


def _torch_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    torch_dtype = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype or torch.float32
    if not isinstance(torch_dtype, torch.dtype) or not torch_dtype.is_floating_point:
        raise InputError(f"unknown dtype {dtype!r}: use float32, bfloat16 or float16")
    return torch_dtype


def default_device() -> str:
    """The GPU of this rank, or the CPU."""
    if not torch.cuda.is_available():
        return "cpu"
    rank = int(os.environ.get("LOCAL_RANK", -1))
    return f"cuda:{rank if 0 <= rank < torch.cuda.device_count() else torch.cuda.current_device()}"


def digest(folder: str | Path) -> str:
    """A hash of both models' weights."""
    weights_hash = hashlib.sha256()
    for name in (ENTITY, RELATION):
        with (Path(folder) / name / WEIGHTS).open("rb") as file:
            weights_hash.update(hashlib.file_digest(file, "sha256").digest())
    return weights_hash.hexdigest()[:16]


def _load_model(folder: Path, build: Callable[[Path, BertConfig, Mapping[str, Tensor]], Model]) -> Model:
    config, weights = _load_config(folder), _load_weights(folder)
    if config.num_hidden_layers > len(weights):
        raise InputError(
            f"{folder / CONFIG} describes {config.num_hidden_layers} layers, and {WEIGHTS} has "
            f"{counted(len(weights), 'tensor')}: take all files from the same model"
        )
    with reading(folder, "a BERT"), torch.device("meta"):  # compare sizes before they take memory
        expected_shapes = {
            name: tuple(value.shape) for name, value in build(folder, config, weights).state_dict().items()
        }
    _check_shapes(folder, weights, expected_shapes)
    with reading(folder, "a BERT"):
        model = build(folder, config, weights)
        model.load_state_dict(weights)
    return model.eval()


def _check_shapes(
    folder: Path, weights: Mapping[str, Tensor], expected_shapes: Mapping[str, tuple[int, ...]]
) -> None:
    missing = sorted(expected_shapes.keys() - weights.keys())
    unknown = sorted(weights.keys() - expected_shapes.keys())
    if missing or unknown:
        problem, name = ("lacks", missing[0]) if missing else ("has the unknown weight", unknown[0])
        raise InputError(f"{folder / WEIGHTS} {problem} {name}: take a checkpoint of the {folder.name} model")
    for name, shape in expected_shapes.items():
        if tuple(weights[name].shape) != shape:
            raise InputError(
                f"{folder / WEIGHTS} has {name} of shape {tuple(weights[name].shape)}, but {shape} follows "
                "from config.json and the other weights: take all files from the same model"
            )


def _build_entity_model(folder: Path, config: BertConfig, weights: Mapping[str, Tensor]) -> EntityModel:
    scores = _matrix_shape(folder, weights, "ner_classifier.1.weight")
    widths = _matrix_shape(folder, weights, "width_embedding.weight")
    _check_labels(folder, scores[0], ("none", *LABELS))
    return EntityModel(config, labels=scores[0], head=scores[1], width=widths[1])


def _build_relation_model(folder: Path, config: BertConfig, weights: Mapping[str, Tensor]) -> RelationModel:
    scores = _matrix_shape(folder, weights, "classifier.weight")
    _check_labels(folder, scores[0], ("no_relation", *RELATION_TYPES))
    return RelationModel(config, labels=scores[0])


def _matrix_shape(folder: Path, weights: Mapping[str, Tensor], name: str) -> tuple[int, int]:
    """(rows, columns) of a weight from which sizes of the model are read."""
    if name not in weights or weights[name].ndim != 2:
        raise InputError(f"{folder / WEIGHTS} lacks {name}: take a checkpoint of the {folder.name} model")
    rows, columns = weights[name].shape
    return rows, columns


def _check_labels(folder: Path, label_count: int, labels: tuple[str, ...]) -> None:
    if label_count != len(labels):
        raise InputError(
            f"{folder / WEIGHTS} has {label_count} labels, and {len(labels)} are needed "
            f"({', '.join(labels)}): take a model trained on this scheme"
        )


def _load_config(folder: Path) -> BertConfig:
    values = files.read_config(folder)
    with reading(folder, "the configuration of a BERT"):
        return BertConfig(**values)


def _load_weights(folder: Path) -> dict[str, Tensor]:
    path = files.weights_file(folder)
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path} is not a whole safetensors file ({error}): copy it again") from error
    return {name: value for name, value in tensors.items() if name not in _BUFFERS}


def _load_tokenizer(folder: Path, piece_count: int) -> Any:
    with reading(folder, "a BERT tokenizer"):
        tokenizer = BertTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, do_lower_case=True
        )
    if len(tokenizer) > piece_count:
        raise InputError(
            f"the tokenizer in {folder} has {len(tokenizer)} pieces and its model only {piece_count}: "
            "take both from the same model"
        )
    return tokenizer
