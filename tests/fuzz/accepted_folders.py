"""Folders of weights: one that is accepted has loaded every tensor of its files, bit by bit."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzz.trial import WrongError

SAME = 2
"""Last parts of a tensor's name that the library never renames."""
Known = tuple[tuple[str, ...], tuple[int, ...], bytes]


FAMILIES = ("phi4_multimodal", "qwen2_5_vl", "qwen3_vl", "gemma3")


def model(family: str, into: Path) -> Path:
    """A small model in a folder; made where it is not there."""
    folder = into / family
    if not folder.exists():
        import tiny_families

        from chexphi.models.families import tiny

        folder.mkdir(parents=True)
        build = tiny_families.BUILDERS.get(family, lambda folder, texts: tiny.build(folder, texts))
        build(folder, tiny_families.TEXTS)
    return folder


def prepare(folder: Path) -> None:
    """Make the small models, and load each; the bars and the advice of the library are no matter here."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)
    for family in FAMILIES:
        use(model(family, folder / "models"))


def use(folder: Path) -> Any:
    """Open the policy of a folder."""
    from chexphi.models import policy

    return policy.load(folder)[0]


def judge(folder: Path, model: Any) -> None:
    """Compare the model's tensors with the files, read here byte by byte.

    Raises:
        WrongError: If one of the file is not in the model, or the model has one from elsewhere.
    """
    written = Counter(_of_files(folder))
    loaded: Counter[Known] = Counter()
    for name, tensor in _distinct(model):
        loaded[_key(name), tuple(tensor.shape), _bytes(tensor)] += 1
    tied = {("lm_head", "weight"), ("embed_tokens", "weight")}
    missing = [known[0] for known in written - loaded if known[0] not in tied]
    foreign = [known[0] for known in loaded - written if known[0] not in tied]
    if missing or foreign:
        raise WrongError(
            f"{len(missing)} tensors of the files are not in the model, {len(foreign)} are only there"
        )
    heads = {known[2] for known in loaded if known[0] in tied}
    if heads - {known[2] for known in written if known[0] in tied}:
        raise WrongError("the head or the embedding is not the one of the files")


def _key(name: str) -> tuple[str, ...]:
    return tuple(name.split(".")[-SAME:])


def _distinct(model: Any) -> Iterator[tuple[str, Any]]:
    """Every parameter and saved buffer, tied ones once."""
    seen: set[int] = set()
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen or not tensor.numel():
            seen.add(tensor.data_ptr())
            yield name, tensor


def _bytes(tensor: Any) -> bytes:
    import torch

    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())


def _of_files(folder: Path) -> Iterator[Known]:
    for file in sorted(folder.glob("*.safetensors")):
        content = file.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        for name, entry in header.items():
            if name != "__metadata__":
                start, end = (8 + length + offset for offset in entry["data_offsets"])
                yield _key(name), tuple(entry["shape"]), content[start:end]
