"""Graphs of texts, and their comparison: what `chexphi kg` runs.

Graphs go to `kg.jsonl` as they are made, so an interrupted extraction goes on where it stopped.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from chexphi import atomic, ranges
from chexphi.files import LINE_ADVICE
from chexphi.graph.open import open_extractor
from chexphi.graph.records import from_row
from chexphi.graph.text import sentences
from chexphi.graph.types import Graph
from chexphi.kg import engines
from chexphi.kg.audit import audit as audit_pairs
from chexphi.kg.audit import matched
from chexphi.kg.engines import Lines, Row
from chexphi.ranges import PROCESSES
from chexphi.runs import jsonl, terminal
from chexphi.schema import InputError, shown

ENGINES = ("local", "ray")


def extract(
    rows: Sequence[Row],
    out: Path | None,
    *,
    extractor: str,
    options: dict[str, Any],
    engine: str = "local",
    workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, int]:
    """Write the graph of every text to `out`, one line each, in order.

    Args:
        rows: Texts with their keys.
        out: `kg.jsonl`; None: standard output.
        extractor: As for `open_extractor`, with its options.
        options: As for `open_extractor`.
        engine: `local` processes, or actors of a `ray` cluster.
        workers: Of the engine; None: this process alone, or as many as the cluster holds.
        resume: Go on after the last whole line of `out`.
        overwrite: Replace `out`.

    Raises:
        InputError: If `out` exists and neither `resume` nor `overwrite` is set, or it is of other texts; if
            the extractor or the engine cannot be used. Nothing is written then.
    """
    if engine not in ENGINES:
        raise InputError(f"engine is {shown(engine)}: use {' or '.join(ENGINES)}")
    ranges.check({"workers": workers}, {"workers": PROCESSES}, "kg extract")
    if out is None and sys.stdout is None:
        raise InputError("--out is '-', and standard output is closed: name a file for --out")
    done = _done(rows, out, resume=resume, overwrite=overwrite) if out else 0
    left = rows[done:]
    chunks = _started(left, extractor, options, engine, workers) if left else iter(())
    output = sys.stdout
    with (
        redirect_stdout(sys.stderr),
        terminal.progress_bar() as progress,
    ):  # where Ray would print of killed workers
        task = progress.add_task("extract graphs", total=len(rows), completed=done)
        first = next(chunks, [])  # what cannot be opened stops here
        for lines in _written(chain([first], chunks), out, output, anew=not done):
            progress.update(task, advance=lines)
    return {"texts": len(rows), "new": len(left)}


def _written(chunks: Iterable[Lines], out: Path | None, output: TextIO, *, anew: bool) -> Iterator[int]:
    """How many lines were written, chunk by chunk."""
    if out is None:
        for lines in chunks:
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            with atomic.writing("standard output"):
                output.buffer.write(text.encode("utf-8", "backslashreplace"))
                output.flush()
            yield len(lines)
        return
    if anew:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.unlink(missing_ok=True)
    written = jsonl.JsonLines(out)
    for lines in chunks:
        written.write(*lines)
        yield len(lines)
    written.close()


def _started(
    rows: Sequence[Row], extractor: str, options: dict[str, Any], engine: str, workers: int | None
) -> Iterator[Lines]:
    if engine == "ray":
        return engines.on_ray(rows, extractor, options, workers)
    if workers is not None and workers > 1:
        return engines.processes(rows, extractor, options, workers)
    return engines.here(rows, extractor, options)


def _done(rows: Sequence[Row], out: Path, *, resume: bool, overwrite: bool) -> int:
    """How many of the texts already have a graph in `out`, and keep it."""
    atomic.check_file(out, overwrite=True)
    if overwrite or not out.exists():
        return 0
    if not resume:
        raise InputError(
            f"{out} exists: go on with --resume, replace it with --overwrite, or choose another --out"
        )
    jsonl.repair(out)
    keys = [str(row.get("doc_key")) for row in jsonl.read(out)]
    if keys != [key for key, _ in rows[: len(keys)]]:
        raise InputError(f"{out} holds graphs of other texts: choose another --out")
    return len(keys)


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
    for number, row in enumerate(jsonl.read(path), 1):
        try:
            key, graph = from_row(row)
        except ValueError as error:
            raise InputError(f"{path}, line {number} is not a graph ({error}): {LINE_ADVICE}") from None
        if key in graphs:
            raise InputError(
                f"{path}, line {number}: doc_key {shown(key)} is there twice: make the keys unique"
            )
        graphs[key] = graph
    return graphs


def audit(reference: Path, prediction: Path, *, worst: int = 10, uncertain: bool = False) -> dict[str, Any]:
    """Figures of the predicted graphs against the references of the same key.

    Args:
        reference: `kg.jsonl`, ours or the original's form.
        prediction: The same of what is judged.
        worst: How many of the worst texts to name.
        uncertain: Whether a finding in doubt is another one than the same finding without doubt.

    Raises:
        InputError: If no key is in both files.
    """
    pairs, single = matched(read_graphs(reference), read_graphs(prediction))
    if not pairs:
        raise InputError(f"{reference} and {prediction} share no doc_key: they are of other texts")
    if uncertain:
        pairs = [(key, gold.with_doubt(), found.with_doubt()) for key, gold, found in pairs]
    return audit_pairs(pairs, worst=worst) | {"in_one_file_only": len(single)}
