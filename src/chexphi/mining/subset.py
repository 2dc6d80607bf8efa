"""Write the examples that were selected from a scored pool: `chexphi mine select`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chexphi import atomic
from chexphi.data.forms import check_form
from chexphi.data.importers.publish import check_not_source
from chexphi.data.read import image_root_of, read_examples, write_examples
from chexphi.data.references import is_film
from chexphi.files import similar_names
from chexphi.mining.scored_row import ScoredRow, has_wrong_reason, is_hard
from chexphi.mining.select import select
from chexphi.runs import jsonl
from chexphi.schema import Example, InputError

logger = logging.getLogger(__name__)


def main(
    scored: Path,
    pool: Path,
    out: Path,
    *,
    selection: str,
    number: int,
    seed: int,
    limit: int | None = None,
    overwrite: bool = False,
    find_films: bool = True,
) -> dict[str, Any]:
    """Choose `number` examples and write them with all their fields, in the order they were drawn.

    A warning says so if a later command will not find their films by itself.

    Args:
        scored: `scored.jsonl` of `mine score`, or its run folder.
        pool: The dataset that was scored.
        out: The file to write.
        selection: See `chexphi.mining.select.SELECTIONS`.
        limit: Choose among the first rows of the pool only.
        overwrite: Replace `out`.
        find_films: Warn if the films will not be found from where `out` is.

    Raises:
        InputError: If a file is missing, the scored rows are not from the pool, or `out` exists, is one of
            the two files or cannot be written.
    """
    file = scored / "scored.jsonl" if scored.is_dir() else scored
    if not file.is_file():
        raise InputError(
            f"scored pool {file} does not exist{similar_names(file)}: run `chexphi mine score` first"
        )
    check_form(out)
    for source in (file, pool):
        check_not_source(source, out)
    atomic.check_file(out, overwrite=overwrite)
    examples = {example.id: example for example in read_examples(pool, check_images=False, limit=limit)}
    rows = [ScoredRow.from_dict(row) for row in jsonl.read(file)]
    if limit is not None:
        rows = [row for row in rows if row.id in examples]
    if strange := next((row.id for row in rows if row.id not in examples), None):
        raise InputError(f"{file}: id {strange} is not in {pool}: give the pool that was scored")
    selected_rows = select(selection, rows, number, seed=seed)
    selected_examples = [examples[row.id] for row in selected_rows]
    write_examples(out, selected_examples)
    found_in = _image_root(selected_examples, out, pool) if find_films else None
    hard = sum(map(is_hard, selected_rows))
    return {
        "out": str(out),
        "selection": selection,
        "pool": len(rows),
        "rows": len(selected_rows),
        "hard": hard,
        **_wrong_reasons(selected_rows, selection),
        "seed": seed,
        **({} if found_in is None else {"image_root": str(found_in)}),
    }


def _wrong_reasons(rows: Sequence[ScoredRow], selection: str) -> dict[str, int]:
    """How many rows are right for the wrong reason, and how many never right, where the former are wanted."""
    if selection != "hard_reasoning":
        return {}
    return {
        "right_for_wrong_reason": sum(map(has_wrong_reason, rows)),
        "never_right": sum(row.accuracy == 0 for row in rows),
    }


def _image_root(examples: Sequence[Example], out: Path, pool: Path) -> Path | None:
    """Warn if a reader of `out` needs `--image_root`; returns the folder to give, if the pool tells it."""
    refs = {ref for example in examples for ref in example.images}
    root, pool_root = image_root_of(out), image_root_of(pool)
    missing = [ref for ref in refs if not is_film(ref, root)]
    if not missing:
        return None
    in_pool = all(is_film(ref, pool_root) for ref in missing)
    advice = (
        f"--image_root {pool_root.resolve()}, where those of the pool are"
        if in_pool
        else "the --image_root that the pool was scored with"
    )
    logger.warning(
        f"{len(missing)} of the {len(refs)} films of {out} are not in {root}, where sft and grpo look for "
        f"them: give sft and grpo {advice}"
    )
    return pool_root.resolve() if in_pool else None


def select_beside(scored: Path, pool: Path, *, number: int, seed: int) -> Path:
    """Write the hard examples as `hard_uniform/<number>.json` beside the pool's folder; returns it."""
    out = pool.parent.parent / "hard_uniform" / f"{number}.json"
    main(scored, pool, out, selection="hard_uniform", number=number, seed=seed, overwrite=True)
    return out
