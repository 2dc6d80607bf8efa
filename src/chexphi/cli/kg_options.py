"""Options of `chexphi kg`: what is read, and how its graphs are extracted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chexphi.cli.options import one_of

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...|-",
        help="Text files or folders of them, JSON, JSONL, CSV, TSV, Parquet; - is standard input.",
    ),
]
Field = Annotated[
    str | None,
    typer.Option("--field", help="Field or column with the text (default: text, report, findings, ...)."),
]
OnePerLine = Annotated[
    bool,
    typer.Option("--one-per-line", help="A text file has a text a line, else it is one text."),
]
GraphsOut = Annotated[Path, typer.Option("--out", help="kg.jsonl, or - for standard output.")]
CompatOption = Annotated[
    str | None,
    typer.Option(
        "--compat",
        autocompletion=one_of("original"),
        help="rexkg: `original` writes the original's graphs, faults included.",
    ),
]
Relations = Annotated[
    str | None,
    typer.Option(
        "--relations",
        autocompletion=one_of("exact", "mixed", "approximate"),
        help="rexkg: exact, mixed (faster), approximate (fastest).",
    ),
]
Pairs = Annotated[
    str | None,
    typer.Option(
        "--pairs",
        autocompletion=one_of("all", "scheme"),
        help="rexkg: all, or scheme: those whose labels can have a relation.",
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        autocompletion=one_of("local", "ray"),
        help="local, or ray: actors of a Ray cluster (extra `ray`).",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", help="Processes or actors; without it one process, or all that the cluster holds."
    ),
]
Cache = Annotated[Path | None, typer.Option("--cache", help="File of a cache that runs share.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave bad lines out and count them.")]
