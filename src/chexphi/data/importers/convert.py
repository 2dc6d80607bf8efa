"""`chexphi data import FORMAT`: each dataset has a module of its own."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chexphi import atomic
from chexphi.data import folder_readme
from chexphi.data.importers import mimic_vqa_cot, nih_labels, publish, vqa_rad
from chexphi.files import similar_names
from chexphi.runs.commands import own_command
from chexphi.schema import InputError, shown

FORMATS = {
    "mimic-vqa-cot": mimic_vqa_cot.convert,
    "vqa-rad": vqa_rad.convert,
    "nih-labels": nih_labels.convert,
}


EMPTY_ANSWERS = ("refuse", "none", "skip")
MISSING_FILMS = ("refuse", "skip")


def convert(
    form: str,
    source: Path,
    out: Path,
    *,
    image_root: Path | None = None,
    seed: int = 0,
    limit: int | None = None,
    empty_answer: str = "refuse",
    missing_films: str = "refuse",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Read a dataset in its own form and write it in ours.

    Args:
        form: A key of `FORMATS`.
        source: The dataset's folder or file.
        out: A folder, or a file that ends in .json, .jsonl or .parquet.
        image_root: Folder of the films, where they are not beside the source.
        seed: Seed of every draw.
        limit: Use the first rows (NIH: films) only.
        empty_answer: What happens to a row whose answer is given and empty: `refuse` stops the import,
            `none` makes the answer `none`, `skip` leaves the row out.
        missing_films: What happens to a row whose film has no file: `refuse` stops the import, `skip` leaves
            the row out.
        overwrite: Replace `out`.

    Returns:
        See `publish.publish`; also `rows_read`, and `left_out`: counts of rows by the reason.

    Raises:
        InputError: If the format or a choice is unknown, `out` exists or holds the source, or the source is
            not as expected.
    """
    for name, choice, choices in (
        ("--empty-answer", empty_answer, EMPTY_ANSWERS),
        ("--missing-films", missing_films, MISSING_FILMS),
    ):
        if choice not in choices:
            raise InputError(f"{name} is {shown(choice)}: use {', '.join(choices[:-1])} or {choices[-1]}")
    if form not in FORMATS:
        raise InputError(f"unknown format {shown(form)}: use one of {', '.join(FORMATS)}")
    if not source.exists():
        raise InputError(f"{source} does not exist{similar_names(source)}: name the dataset's folder or file")
    publish.check_not_source(source, out)
    publish.check_output(out, overwrite=overwrite)
    figures = FORMATS[form](
        source,
        out,
        image_root=image_root,
        limit=limit,
        seed=seed,
        empty_answer=empty_answer,
        missing_films=missing_films,
    )
    if out.is_dir() and not (out / folder_readme.NAME).exists():
        _write_readme(form, out, figures["files"])
    return figures


def _write_readme(form: str, out: Path, rows: Mapping[str, int]) -> None:
    command = shlex.join(own_command())
    names = {Path(file).name: count for file, count in rows.items()}
    page = folder_readme.imported(form, command, names, has_images=(out / "images").exists())
    atomic.write_text(out / folder_readme.NAME, page)
