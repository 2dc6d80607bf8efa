"""The table of drafts in a checkpoint: it changes no sample, only how the last bits are rounded."""

from __future__ import annotations

import hashlib
import logging
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from chexphi import atomic
from chexphi.models.rollout.drafting import Drafter

logger = logging.getLogger(__name__)

_TABLE = ("contexts", "tokens", "votes")


def file_of(checkpoint: Path, process: int) -> Path:
    """Where a process keeps its table."""
    return checkpoint / f"drafts_{process}.npz"


def vocabulary_digest(tokenizer: Any) -> str:
    """Tells tokenizers apart: a table holds ids."""
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return hashlib.sha256(repr(words).encode("utf-8", "surrogatepass")).hexdigest()


def keep_table(drafter: Drafter, path: Path, vocabulary: str) -> None:
    """Write the table and what the drafter has learnt.

    Args:
        drafter: Of this process.
        path: The file.
        vocabulary: `vocabulary_digest` of the policy's tokenizer.
    """
    arrays = {name: getattr(drafter.table, name) for name in _TABLE}
    with atomic.whole_file(path) as part_path, part_path.open("wb") as file:
        np.savez(file, share_right=drafter.share_right, vocabulary=vocabulary, **arrays)


def load_table(drafter: Drafter, path: Path, vocabulary: str) -> None:
    """Go on with a saved table. Where it does not fit, a warning says that drafts begin anew.

    Arguments are those of `keep_table`.
    """
    if not path.is_file():
        return
    try:
        with np.load(path, allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in (*_TABLE, "share_right", "vocabulary")}
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):
        arrays = {}
    reason = _why_unfit(drafter, arrays, vocabulary)
    if reason:
        logger.warning("%s %s: drafts begin anew, and the samples stay the same", path, reason)
        return
    for name in _TABLE:
        setattr(drafter.table, name, arrays[name])
    drafter.share_right = float(arrays["share_right"])


def _why_unfit(drafter: Drafter, arrays: dict[str, Any], vocabulary: str) -> str:
    """Why a saved table cannot be used; empty if it can."""
    if not arrays:
        return "is damaged"
    if str(arrays["vocabulary"]) != vocabulary:
        return "is of another tokenizer"
    sizes = {arrays[name].shape for name in _TABLE}
    kinds = {name: arrays[name].dtype == getattr(drafter.table, name).dtype for name in _TABLE}
    if sizes != {(drafter.table.size,)}:
        return "is of another size than draft_slots says"
    is_share = arrays["share_right"].shape == () and 0 <= float(arrays["share_right"]) <= 1
    return "" if all(kinds.values()) and is_share else "is damaged"
