"""Which policy a run used: its type, the hashes of its weights, and what is stated of its base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chexphi import model_folder
from chexphi.model_card import lineage
from chexphi.models import policy_folder


def describe(folder: Path, *, with_base: bool) -> dict[str, Any]:
    """The entry `policy` of a manifest; no path is in it.

    Args:
        folder: The policy, a model or an adapter.
        with_base: Whether the base of an adapter is hashed too: that reads all of it.

    Returns:
        `kind` (the `model_type`), `weights_sha256` and `base_sha256` (file -> hash), and `base_name` and
        `license`, None where they are not stated.

    Raises:
        InputError: If it is not a policy.
    """
    folders = policy_folder.locate(folder)
    has_other_base = folders.base != folder
    return {
        "kind": folders.kind,
        "weights_sha256": model_folder.weights_sha256(folder),
        "base_sha256": model_folder.weights_sha256(folders.base) if with_base and has_other_base else {},
        "base_name": lineage.base_name(folder) or lineage.base_name(folders.base) or None,
        "license": lineage.license_of(folder) or lineage.license_of(folders.base) or None,
    }
