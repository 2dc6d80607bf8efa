"""Graphs of texts, and their comparison: what `chexphi kg` runs.

Texts come as plain lines, as JSONL rows with `id` and `text` (or another field), or as `predictions.jsonl`;
graphs go to `kg.jsonl` as they are made, so an interrupted extraction goes on where it stopped.
"""

from __future__ import annotations

import codecs
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, redirect_stdout
from itertools import chain
from pathlib import Path
from typing import Any

from chexphi import jsonl, prompts, runs
from chexphi.evaluation import kg_engines
from chexphi.evaluation.kg_engines import Lines, Row
from chexphi.graph.audit import audit as audit_pairs
from chexphi.graph.audit import matched
from chexphi.graph.open import open_extractor
from chexphi.graph.records import from_row
from chexphi.graph.text import sentences
from chexphi.graph.types import Graph
from chexphi.schema import InputError

FIELDS = ("text", "generated_text", "explanation")
"""Where a row's text is looked for when no field is named."""

ENGINES = ("local", "ray")


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
    bad, objects = 0, bool(field) or (source is not None and source.suffix == ".jsonl")
    with source.open("rb") if source else nullcontext(sys.stdin.buffer) as lines:
        for number, line in enumerate(lines, 1):
            line = line.removeprefix(codecs.BOM_UTF8).strip()
            if not line:
                continue
            objects = objects or (not rows and line.startswith(b"{"))
            try:
                key, text = _object(line, number, field) if objects else (str(number), line.decode())
            except ValueError as error:
                if not skip_bad:
                    raise InputError(f"{name}, line {number}: {_words(error)}, or use --skip-bad") from None
                bad += 1
                continue
            if key in rows:
                raise InputError(f"{name}, line {number}: id {key!r} stands twice: make the ids unique")
            rows[key] = text
    if not rows:
        raise InputError(f"{name} has no text: give at least one line")
    return list(rows.items()), bad


def _object(line: bytes, number: int, field: str | None) -> Row:
    row = json.loads(line.decode())
    if not isinstance(row, dict):
        raise ValueError("no JSON object; repair the line")
    name = field or next((name for name in FIELDS if name in row), FIELDS[0])
    if not isinstance(row.get(name), str):
        raise ValueError(f"no text in field {name!r}; name another with --field")
    opened_think = name in ("generated_text", "completion") and bool(row.get("opened_think"))
    return str(row.get("id", number)), prompts.reference_reasoning(row[name], opened_think=opened_think)


def _words(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "no UTF-8; save it as UTF-8"
    return "no JSON object; repair the line" if isinstance(error, json.JSONDecodeError) else str(error)


def extract(
    rows: Sequence[Row],
    out: Path,
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
        out: `kg.jsonl`.
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
        raise InputError(f"engine is {engine!r}: use {' or '.join(ENGINES)}")
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}: use at least 1")
    done = _done(rows, out, resume=resume, overwrite=overwrite)
    left = rows[done:]
    chunks = _started(left, extractor, options, engine, workers) if left else iter(())
    with redirect_stdout(sys.stderr), runs.bar() as progress:  # where Ray would print of killed workers
        task = progress.add_task("extract graphs", total=len(rows), completed=done)
        first = next(chunks, [])  # what cannot be opened stops here
        if not done:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.unlink(missing_ok=True)
        written = jsonl.JsonLines(out)
        for lines in chain([first], chunks):
            written.write(*lines)
            progress.update(task, advance=len(lines))
        written.close()
    return {"texts": len(rows), "new": len(left)}


def _started(
    rows: Sequence[Row], extractor: str, options: dict[str, Any], engine: str, workers: int | None
) -> Iterator[Lines]:
    if engine == "ray":
        return kg_engines.on_ray(rows, extractor, options, workers)
    if workers is not None and workers > 1:
        return kg_engines.processes(rows, extractor, options, workers)
    return kg_engines.here(rows, extractor, options)


def _done(rows: Sequence[Row], out: Path, *, resume: bool, overwrite: bool) -> int:
    """How many of the texts already have a graph in `out`, and keep it."""
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
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(
                f"{path}, line {number} is no graph ({error!r}): repair or remove the line"
            ) from None
        if key in graphs:
            raise InputError(f"{path}, line {number}: doc_key {key!r} stands twice")
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
