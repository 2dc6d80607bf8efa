"""`chexphi kg <verb>`: graphs of texts, no logic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from chexphi.cli.options import (
    Extractor,
    Json,
    Limit,
    Out,
    Overwrite,
    Resume,
    Seed,
    has_colour,
    show,
    show_table,
)
from chexphi.compat import is_original
from chexphi.schema import InputError

if TYPE_CHECKING:
    from chexphi.kg.input_texts import Texts

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
    typer.Option(
        "--one-per-line", "--one_per_line", help="A text file has a text a line, else it is one text."
    ),
]

app = typer.Typer(help="Knowledge graphs of texts: extract, show, compare, train.", no_args_is_help=True)


@app.command("extract")
def extract(
    files: Files,
    out: Annotated[Path, typer.Option("--out", help="kg.jsonl, or - for standard output.")],
    extractor: Extractor = "lexicon",
    field: Field = None,
    one_per_line: OnePerLine = False,
    compat: Annotated[
        str | None,
        typer.Option("--compat", help="rexkg: `original` writes the original's graphs, faults included."),
    ] = None,
    relations: Annotated[
        str | None, typer.Option("--relations", help="rexkg: exact, mixed (faster), approximate (fastest).")
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Option("--pairs", help="rexkg: all, or scheme: those whose labels can have a relation."),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="local, or ray: actors of a Ray cluster (extra `ray`).")
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", help="Processes or actors; without it one process, or all that the cluster holds."
        ),
    ] = None,
    cache: Annotated[Path | None, typer.Option("--cache", help="File of a cache that runs share.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad lines out and count them.")] = False,
    limit: Limit = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write the graph of every text to kg.jsonl, a line each.

    A text file is one text, or with --one-per-line a text a line; a row of JSON or of a table is one text.
    """
    from chexphi.kg import extract as stage

    printed = str(out) == "-"
    if printed and as_json:
        raise InputError(
            "--out is '-', and graphs go to standard output, where --json has its object: name a file for "
            "--out, or leave --json out"
        )
    if printed and resume:
        raise InputError(
            "--out is '-', where nothing is kept to go on with: leave --resume out, or name a file"
        )
    if not printed and any(Path(file).exists() and out.exists() and out.samefile(file) for file in files):
        raise InputError(f"{out} is both read and written: name another file for --out")
    texts = _read(files, field, one_per_line, skip_bad=skip_bad, whole=is_original(compat or "default"))
    given = {"cache": cache and cache.resolve(), "compat": compat, "relations": relations, "pairs": pairs}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    counts = stage.extract(
        texts.rows[:limit],
        None if printed else out,
        extractor=extractor,
        options=options,
        engine=engine,
        workers=workers,
        resume=resume,
        overwrite=overwrite,
    )
    show({"out": str(out), **counts, "bad_lines": texts.bad}, as_json=as_json, error=printed)


def _read(
    files: list[str], field: str | None, one_per_line: bool, *, skip_bad: bool = False, whole: bool = False
) -> Texts:
    """The texts; how they were read is said on standard error."""
    from chexphi.kg.input_texts import read_texts

    texts = read_texts(files, field=field, one_per_line=one_per_line, skip_bad=skip_bad, whole=whole)
    for note in texts.notes:
        typer.echo(note, err=True)
    return texts


@app.command("bench")
def bench(
    files: Files,
    extractor: Extractor = "lexicon",
    field: Field = None,
    one_per_line: OnePerLine = False,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Sentences a second of an extractor on your texts, nothing cached."""
    from chexphi.kg import extract as stage

    rows = _read(files, field, one_per_line).rows
    show(stage.bench(rows[:limit], extractor=extractor, options={}), as_json=as_json)


@app.command("show")
def show_text(
    text: Annotated[str, typer.Argument(help="A text, or - for standard input.")],
    extractor: Extractor = "lexicon",
    as_json: Json = False,
) -> None:
    """The graph of one text, in colour."""
    from chexphi.graph.open import open_extractor
    from chexphi.graph.records import to_row
    from chexphi.kg.tables import entities_table, marked

    if text == "-":
        text = typer.get_text_stream("stdin", encoding="utf-8").read().strip()
    (parse,) = open_extractor(extractor).parse([text])
    if as_json:
        show(to_row("0", parse), as_json=True)
        return
    console = Console()
    console.print(marked(parse, colour=has_colour(console)))
    console.print(entities_table(parse))


@app.command("audit")
def audit(
    reference: Annotated[Path, typer.Argument(help="kg.jsonl of the references.")],
    prediction: Annotated[Path, typer.Argument(help="kg.jsonl of the predictions.")],
    worst: Annotated[int, typer.Option("--worst", help="How many of the worst texts to name.")] = 10,
    uncertain: Annotated[
        bool, typer.Option("--uncertain", help="A finding in doubt is another one than without doubt.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Precision, recall and F1 of predicted graphs, by key."""
    from chexphi.kg import extract as stage
    from chexphi.kg.tables import graph_table

    figures = stage.audit(reference, prediction, worst=worst, uncertain=uncertain)
    show_table(figures, graph_table, as_json=as_json)


@app.command("radgraph-f1")
def radgraph_f1(
    reference: Annotated[Path, typer.Argument(help="JSON that RadGraph wrote of the references.")],
    prediction: Annotated[Path, typer.Argument(help="The same of the predictions.")],
    as_json: Json = False,
) -> None:
    """RadGraph F1 of annotations of the library radgraph: words in any case, and as it computes it."""
    from chexphi.kg import radgraph_f1 as stage

    show_table(stage.radgraph_f1(reference, prediction), stage.f1_table, as_json=as_json)


@app.command("eval")
def evaluate(
    data: Annotated[
        Path, typer.Argument(help="Annotated sentences (JSONL), or the IU reports' folder as published.")
    ],
    extractor: Extractor = "lexicon",
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Score an extractor on annotated sentences, or on the IU reports with their codes."""
    from chexphi.graph.open import open_extractor
    from chexphi.kg import annotated, iu_reports
    from chexphi.kg.tables import graph_table

    if iu_reports.is_iu(data):
        figures = iu_reports.evaluate(open_extractor(extractor), iu_reports.read_reports(data)[:limit])
    else:
        rows = annotated.read_annotated(data)[:limit]
        figures = {"n": len(rows)} | annotated.evaluate(open_extractor(extractor), rows).to_dict()
    show_table(figures, graph_table, as_json=as_json)


@app.command("train")
def train(
    data: Annotated[list[Path], typer.Argument(metavar="DATA...", help="Annotated sentences (JSONL).")],
    encoder: Annotated[Path, typer.Option("--encoder", help="Folder of a BERT-like encoder.")],
    out: Out,
    hold_out: Annotated[
        float, typer.Option("--hold-out", min=0, max=0.9, help="Share of patients to score on.")
    ] = 0.0,
    drawn: Annotated[int, typer.Option("--drawn", min=0, help="Sentences of drawn films to add.")] = 0,
    epochs: Annotated[int, typer.Option("--epochs", min=1)] = 6,
    batch_tokens: Annotated[
        int, typer.Option("--batch-tokens", min=1, help="Tokens a step, padding counted.")
    ] = 512,
    encoder_rate: Annotated[
        float, typer.Option("--encoder-rate", help="Learning rate of the encoder.")
    ] = 1e-4,
    head_rate: Annotated[float, typer.Option("--head-rate", help="Learning rate of the rest.")] = 1e-3,
    seed: Seed = 0,
    limit: Limit = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Train the two ReXKG networks on annotated sentences."""
    from chexphi.kg import train as kg
    from chexphi.kg import train_data
    from chexphi.kg.tables import graph_table

    rows, held_out = kg.split(train_data.read(data, limit=limit), hold_out, seed=seed)
    rows += train_data.drawn(drawn, seed=seed)
    settings = kg.Settings(epochs, batch_tokens, encoder_rate, head_rate, seed=seed)
    figures = kg.main(rows, encoder, out, settings, held_out=held_out, resume=resume, overwrite=overwrite)
    if held_out:
        show_table(figures, lambda rows: graph_table({"n": len(held_out)} | rows), as_json=as_json)
    else:
        show(figures, as_json=as_json)
