"""Write the examples that a selection policy chose from a scored pool: `chexphi mine select`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chexphi import atomic
from chexphi.data.forms import check_form
from chexphi.data.importers.publish import check_not_source
from chexphi.data.read import read_examples, write_examples
from chexphi.mining.select import ScoredRow, is_hard, select
from chexphi.runs import jsonl
from chexphi.schema import InputError


def main(
    scored: Path,
    pool: Path,
    out: Path,
    *,
    policy: str,
    number: int,
    seed: int,
    limit: int | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Choose `number` examples and write them with all their fields, in the order they were drawn.

    Args:
        scored: `scored.jsonl` of `mine score`, or its run folder.
        pool: The dataset that was scored.
        out: The file to write.
        policy: See `chexphi.mining.select.POLICIES`.
        limit: Choose among the first rows of the pool only.

    Raises:
        InputError: If a file is missing, the scored rows are not from the pool, or `out` exists, is one of
            the two files or cannot be written.
    """
    file = scored / "scored.jsonl" if scored.is_dir() else scored
    if not file.is_file():
        raise InputError(f"scored pool {file} does not exist: run `chexphi mine score` first")
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
    selected_rows = select(policy, rows, number, seed=seed)
    write_examples(out, [examples[row.id] for row in selected_rows])
    hard = sum(map(is_hard, selected_rows))
    return {
        "out": str(out),
        "policy": policy,
        "pool": len(rows),
        "rows": len(selected_rows),
        "hard": hard,
        "seed": seed,
    }


def select_beside(scored: Path, pool: Path, *, number: int, seed: int) -> Path:
    """Write the hard examples as `hard_uniform/<number>.json` beside the pool's folder; returns it."""
    out = pool.parent.parent / "hard_uniform" / f"{number}.json"
    main(scored, pool, out, policy="hard_uniform", number=number, seed=seed, overwrite=True)
    return out
