"""`chexphi data import FORMAT`: one module a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chexphi.data import mimic_vqa_cot, nih_labels, vqa_rad
from chexphi.schema import InputError

FORMATS = {
    "mimic-vqa-cot": mimic_vqa_cot.convert,
    "vqa-rad": vqa_rad.convert,
    "nih-labels": nih_labels.convert,
}


def convert(
    form: str, source: Path, out: Path, *, seed: int = 0, limit: int | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Read a dataset in its own form and write it in ours.

    Raises:
        InputError: If the format is unknown, `out` exists, or the source is not as expected.
    """
    if form not in FORMATS:
        raise InputError(f"unknown format {form!r}: use one of {', '.join(FORMATS)}")
    taken = out.exists() and (out.is_file() or any(out.iterdir()))
    if taken and not overwrite:
        raise InputError(f"output {out} exists: replace it with --overwrite or choose another --out")
    return FORMATS[form](source, out, limit=limit, seed=seed)
