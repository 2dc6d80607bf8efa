"""The files of a checkpoint in the published layout: found and checked before torch is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chexphi import model_folder
from chexphi.files import read_object, similar_names
from chexphi.schema import InputError

ENTITY, RELATION, TOKENIZER = "run_entity", "run_relation", "BiomedNLP"
CONFIG = "config.json"
WEIGHTS, PICKLE = "model.safetensors", "pytorch_model.bin"
_TOKENIZER_FILES = ("vocab.txt", "tokenizer.json")
_CONVERT = (
    "import torch; from safetensors.torch import save_file as s; s({k: v.clone().contiguous() for k, v in "
    f"torch.load('{PICKLE}', weights_only=True).items()}}, '{WEIGHTS}')"
)


def check(root: Path) -> None:
    """Refuse a folder that no checkpoint can be loaded from.

    Raises:
        InputError: If a file is missing, is damaged, or describes another kind of model.
    """
    if not root.is_dir():
        raise InputError(
            f"checkpoint folder {root} does not exist{similar_names(root)}: give one with {ENTITY}/ and "
            f"{RELATION}/"
        )
    for folder in (root / ENTITY, root / RELATION):
        model_folder.check(folder)
        read_config(folder)
        weights_file(folder)
    for folder in (root / ENTITY, relation_tokenizer(root)):
        check_tokenizer(folder)


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of one of the two models.

    Raises:
        InputError: If it is missing, or of a model that is not a BERT.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise InputError(f"{path} is missing: copy the folder {folder.name} of the checkpoint as a whole")
    values = read_object(path)
    if values.get("model_type") != "bert":
        raise InputError(
            f"{path} describes a model of type {values.get('model_type')!r}, and only bert can be "
            "read: give the folder of a published extractor, or of kg train"
        )
    return values


def weights_file(folder: Path) -> Path:
    """The file of one model's weights.

    Raises:
        InputError: If it is missing, or is a pickle.
    """
    path = folder / WEIGHTS
    if path.is_file():
        return path
    if (folder / PICKLE).is_file():
        raise InputError(
            f"{folder} holds only the pickle {PICKLE}, which may run code when opened and is not read: "
            f'if you trust it, convert it there once with python -c "{_CONVERT}"'
        )
    raise InputError(f"{path} is missing: copy the folder {folder.name} of the checkpoint as a whole")


def relation_tokenizer(root: Path) -> Path:
    """`BiomedNLP/`, else the only other folder with a tokenizer, else the folder of the relation model.

    Raises:
        InputError: If there are several other folders with one.
    """
    if _has_tokenizer(root / TOKENIZER):
        return root / TOKENIZER
    folders = [
        path for path in root.iterdir() if path.name not in (ENTITY, RELATION) and _has_tokenizer(path)
    ]
    if len(folders) > 1:
        names = ", ".join(sorted(path.name for path in folders))
        raise InputError(f"{root} has several tokenizer folders ({names}): keep only the relation model's")
    return folders[0] if folders else root / RELATION


def check_tokenizer(folder: Path) -> None:
    """Refuse a folder without the files of a tokenizer, or with damaged ones.

    Raises:
        InputError: For the first fault.
    """
    if not _has_tokenizer(folder):
        raise InputError(
            f"no tokenizer in {folder} ({' or '.join(_TOKENIZER_FILES)}): the entity model reads that of "
            f"{ENTITY}/, the relation model that of {TOKENIZER}/"
        )
    model_folder.check(folder)


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _TOKENIZER_FILES)
