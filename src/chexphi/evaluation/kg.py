"""Graphs of texts, and their comparison: what `chexphi kg` runs.

Texts come as plain lines, as JSONL rows with `id` and `text` (or another field), or as `predictions.jsonl`;
graphs go to `kg.jsonl` as they are made, so an interrupted extraction goes on where it stopped.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from chexphi import prompts, runs
from chexphi.graph.audit import audit as audit_pairs
from chexphi.graph.audit import matched
from chexphi.graph.open import open_extractor
from chexphi.graph.records import from_row, to_row
from chexphi.graph.text import sentences
from chexphi.graph.types import Graph
from chexphi.schema import InputError

FIELDS = ("text", "generated_text", "explanation")
"""Where a row's text is looked for when no field is named."""
CHUNK = 64
"""Texts of one call."""

Row = tuple[str, str]
"""(key, text)"""


def read_texts(
    source: Path | None, *, field: str | None = None, skip_bad: bool = False
) -> tuple[list[Row], int]:
    """Texts with their keys (a row's `id`, or the line's number), and how many bad lines were left out.

    Of a text with `<think>` only the reasoning is read: graphs compare reasoning with reasoning.

    Args:
        source: A file, or None for standard input.
        field: The field of a JSONL row that holds the text.
        skip_bad: Leave lines out that are no object or have no text, instead of stopping.

    Raises:
        InputError: For a bad line, a key that stands twice, or a source without texts.
    """
    name = str(source) if source else "standard input"
    if source and not source.is_file():
        raise InputError(f"{name} is no file: name a file of texts, or - for standard input")
    rows: dict[str, str] = {}
    bad = 0
    with source.open(encoding="utf-8") if source else nullcontext(sys.stdin) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                key, text = _row(line, number, field)
            except (ValueError, KeyError) as error:
                if not skip_bad:
                    raise InputError(f"{name}, line {number}: {error.args[0]}, or use --skip-bad") from None
                bad += 1
                continue
            if key in rows:
                raise InputError(f"{name}, line {number}: id {key!r} stands twice: make the ids unique")
            rows[key] = text
    if not rows:
        raise InputError(f"{name} has no text: give at least one line")
    return list(rows.items()), bad


def _row(line: str, number: int, field: str | None) -> Row:
    if not line.lstrip().startswith("{") and field is None:
        return str(number), line.strip()
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        raise ValueError("no JSON object; repair the line") from None
    if not isinstance(row, dict):
        raise ValueError("no JSON object; repair the line")
    name = field or next((name for name in FIELDS if name in row), FIELDS[0])
    if not isinstance(row.get(name), str):
        raise ValueError(f"no text in field {name!r}; name another with --field")
    return str(row.get("id", number)), prompts.reference_reasoning(row[name])


def extract(
    rows: Sequence[Row],
    out: Path,
    *,
    extractor: str,
    options: dict[str, Any],
    workers: int = 1,
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, int]:
    """Write the graph of every text to `out`, one line each, in order.

    Raises:
        InputError: If `out` exists and neither `resume` nor `overwrite` is set, or it is of other texts.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}: use at least 1")
    _resident(extractor, tuple(sorted(options.items())))  # what cannot be opened stops here
    done = _begun(rows, out, resume=resume, overwrite=overwrite)
    left = rows[done:]
    written = runs.JsonLines(out)
    with runs.bar() as progress, _pool(workers) as pool:
        task = progress.add_task("extract graphs", total=len(rows), completed=done)
        for lines in _parsed(pool, left, extractor, options, workers):
            written.write(*lines)
            progress.update(task, advance=len(lines))
    written.close()
    return {"texts": len(rows), "new": len(left)}


def _begun(rows: Sequence[Row], out: Path, *, resume: bool, overwrite: bool) -> int:
    """How many of the texts already have a graph in `out`."""
    if overwrite or not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        out.unlink(missing_ok=True)
        return 0
    if not resume:
        raise InputError(
            f"{out} exists: go on with --resume, replace it with --overwrite, or choose another --out"
        )
    runs.repair(out)
    keys = [str(row.get("doc_key")) for row in runs.read_jsonl(out)]
    if keys != [key for key, _ in rows[: len(keys)]]:
        raise InputError(f"{out} holds graphs of other texts: choose another --out")
    return len(keys)


def _pool(workers: int) -> Any:
    """Processes of their own, not copies of this one: torch's threads do not survive a fork."""
    return ProcessPoolExecutor(workers, get_context("spawn")) if workers > 1 else nullcontext()


def _parsed(
    pool: Executor | None, rows: Sequence[Row], extractor: str, options: dict[str, Any], workers: int
) -> Iterator[list[dict[str, Any]]]:
    """Lines of each chunk in order; at most a few chunks a worker are under way."""
    chunks = (rows[first : first + CHUNK] for first in range(0, len(rows), CHUNK))
    if pool is None:
        yield from (_lines(chunk, extractor, options) for chunk in chunks)
        return
    waiting = [pool.submit(_lines, chunk, extractor, options) for chunk in islice(chunks, 4 * workers)]
    while waiting:
        yield waiting.pop(0).result()
        waiting += [pool.submit(_lines, chunk, extractor, options) for chunk in islice(chunks, 1)]


def _lines(rows: Sequence[Row], extractor: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    resident = _resident(extractor, tuple(sorted(options.items())))
    texts = [text for _, text in rows]
    if options.get("compat") == "seed":
        graphs = resident.extract_seed(texts)
        return [graph | {"doc_key": key} for (key, _), graph in zip(rows, graphs, strict=True)]
    return [to_row(key, parse) for (key, _), parse in zip(rows, resident.parse(texts), strict=True)]


@cache
def _resident(extractor: str, options: tuple[tuple[str, Any], ...]) -> Any:
    """The extractor of this process."""
    return open_extractor(extractor, **dict(options))


def bench(rows: Sequence[Row], *, extractor: str, options: dict[str, Any]) -> dict[str, float]:
    """Time an extractor on texts; the first text warms it up, and no sentence is read twice."""
    resident = open_extractor(extractor, **options)
    resident.parse([rows[0][1]])
    texts = list(dict.fromkeys(text for _, text in rows[1:])) or [rows[0][1]]
    count = len(dict.fromkeys(text[a:b] for text in texts for a, b in sentences(text)))
    start = time.perf_counter()
    resident.parse(texts)
    seconds = time.perf_counter() - start
    return {
        "texts": len(texts),
        "sentences": count,
        "seconds": seconds,
        "sentences_per_second": count / seconds,
    }


def read_graphs(path: Path) -> dict[str, Graph]:
    """Graphs by key, from `kg.jsonl` (ours or the original's form).

    Raises:
        InputError: For a line that is no graph, or a key that stands twice.
    """
    if not path.is_file():
        raise InputError(f"{path} is no file: make it with `chexphi kg extract`")
    graphs: dict[str, Graph] = {}
    for number, row in enumerate(runs.read_jsonl(path), 1):
        try:
            key, graph = from_row(row)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(
                f"{path}, line {number} is no graph ({error!r}): repair or remove the line"
            ) from None
        if key in graphs:
            raise InputError(f"{path}, line {number}: doc_key {key!r} stands twice")
        graphs[key] = graph
    return graphs


def audit(reference: Path, prediction: Path, *, worst: int = 10) -> dict[str, Any]:
    """Figures of the predicted graphs against the references of the same key.

    Raises:
        InputError: If no key is in both files.
    """
    pairs, single = matched(read_graphs(reference), read_graphs(prediction))
    if not pairs:
        raise InputError(f"{reference} and {prediction} share no doc_key: they are of other texts")
    return audit_pairs(pairs, worst=worst) | {"in_one_file_only": len(single)}
