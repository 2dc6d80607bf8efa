"""Extracts graphs of texts to `kg.jsonl`, and compares such files.

Every chunk of graphs is written at once, so an interrupted extraction can be resumed.
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
from chexphi.files import LINE_ADVICE, similar_names
from chexphi.graph.open import check_extractor, open_extractor
from chexphi.graph.records import from_row
from chexphi.graph.text import sentence_spans
from chexphi.graph.types import Graph
from chexphi.kg import engines
from chexphi.kg.audit import audit as audit_pairs
from chexphi.kg.audit import pairs_by_key
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
        extractor: Name of the extractor; see `open_extractor`.
        options: Options of the extractor; see `open_extractor`.
        engine: `local` processes, or actors of a `ray` cluster.
        workers: Processes or actors. None: only this process, or as many actors as fit into the cluster.
        resume: Go on after the last complete line of `out`.
        overwrite: Replace `out`.

    Raises:
        InputError: If `out` exists and neither `resume` nor `overwrite` is set, or `out` has graphs of other
            texts, or the extractor or the engine cannot be used. Nothing is written then.
    """
    if engine not in ENGINES:
        raise InputError(f"engine is {shown(engine)}: use {' or '.join(ENGINES)}")
    ranges.check({"workers": workers}, {"workers": PROCESSES}, "kg extract")
    if engine == "local":  # the machines of a cluster have folders of their own
        check_extractor(extractor, **options)
    if out is None and sys.stdout is None:
        raise InputError("--out is '-', and standard output is closed: name a file for --out")
    finished = _finished_count(rows, out, resume=resume, overwrite=overwrite) if out else 0
    remaining = rows[finished:]
    chunks = _open_engine(remaining, extractor, options, engine, workers) if remaining else iter(())
    output = sys.stdout
    with (
        redirect_stdout(sys.stderr),
        terminal.progress_bar() as progress,
    ):  # Ray prints to standard output
        task = progress.add_task("extract graphs", total=len(rows), completed=finished)
        first_chunk = next(
            chunks, []
        )  # an extractor that cannot be opened stops here, before anything is written
        for lines in _write_chunks(chain([first_chunk], chunks), out, output, new_file=not finished):
            progress.update(task, advance=lines)
    return {"texts": len(rows), "new": len(remaining)}


def _write_chunks(
    chunks: Iterable[Lines], out: Path | None, output: TextIO, *, new_file: bool
) -> Iterator[int]:
    """Write the lines chunk by chunk, and yield how many each chunk had."""
    if out is None:
        for lines in chunks:
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            with atomic.writing("standard output"):
                output.buffer.write(text.encode("utf-8", "backslashreplace"))
                output.flush()
            yield len(lines)
        return
    if new_file:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.unlink(missing_ok=True)
    lines_file = jsonl.JsonLines(out)
    for lines in chunks:
        lines_file.write(*lines)
        yield len(lines)
    lines_file.close()


def _open_engine(
    rows: Sequence[Row], extractor: str, options: dict[str, Any], engine: str, workers: int | None
) -> Iterator[Lines]:
    if engine == "ray":
        return engines.on_ray(rows, extractor, options, workers)
    if workers is not None and workers > 1:
        return engines.in_processes(rows, extractor, options, workers)
    return engines.in_this_process(rows, extractor, options)


def _finished_count(rows: Sequence[Row], out: Path, *, resume: bool, overwrite: bool) -> int:
    """How many of the texts already have a graph in `out` that is kept."""
    atomic.check_file(out, overwrite=True)
    if overwrite or not out.exists():
        return 0
    if not resume:
        raise InputError(
            f"{out} exists: go on with --resume, replace it with --overwrite, or choose another --out"
        )
    jsonl.drop_torn_line(out)
    keys = [str(row.get("doc_key")) for row in jsonl.read(out)]
    if keys != [key for key, _ in rows[: len(keys)]]:
        raise InputError(f"{out} holds graphs of other texts: choose another --out")
    return len(keys)


def bench(rows: Sequence[Row], *, extractor: str, options: dict[str, Any]) -> dict[str, float]:
    """Time an extractor on texts. The first text warms it up; equal texts are read once."""
    with terminal.loading_extractor(extractor):
        resident = open_extractor(extractor, **options)
        resident.parse([rows[0][1]])
    texts = list(dict.fromkeys(text for _, text in rows[1:])) or [rows[0][1]]
    count = len(dict.fromkeys(text[a:b] for text in texts for a, b in sentence_spans(text)))
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
    """The graphs of a `kg.jsonl` by key, in our form or the original's.

    Raises:
        InputError: If a line is not a graph, or two lines have the same key.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file{similar_names(path)}: make it with `chexphi kg extract`")
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
    """Precision, recall and F1 of predicted graphs against the references with the same keys.

    Args:
        reference: `kg.jsonl` of the references, in our form or the original's.
        prediction: `kg.jsonl` of the predictions.
        worst: How many of the worst texts to list.
        uncertain: Whether an uncertain finding differs from the same finding without doubt.

    Raises:
        InputError: If no key is in both files.
    """
    pairs, unmatched_keys = pairs_by_key(read_graphs(reference), read_graphs(prediction))
    if not pairs:
        raise InputError(f"{reference} and {prediction} share no doc_key: they are of other texts")
    if uncertain:
        pairs = [(key, gold.with_doubt(), predicted.with_doubt()) for key, gold, predicted in pairs]
    return audit_pairs(pairs, worst=worst) | {"in_one_file_only": len(unmatched_keys)}
