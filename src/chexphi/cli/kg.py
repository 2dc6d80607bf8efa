"""`chexphi kg <verb>`: graphs of texts, no logic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from chexphi.cli.confirm import Yes, replace_run
from chexphi.cli.kg_options import (
    Cache,
    CompatOption,
    Engine,
    Field,
    Files,
    GraphsOut,
    OnePerLine,
    Pairs,
    Relations,
    SkipBad,
    Workers,
)
from chexphi.cli.options import (
    Extractor,
    Json,
    Limit,
    Ontology,
    Out,
    Overwrite,
    Resume,
    Seed,
    has_colour,
    show,
    show_table,
)
from chexphi.cli.standard_input import input_file
from chexphi.cli.standard_output import check_free
from chexphi.cli.verbs import Verbs
from chexphi.compat import is_original
from chexphi.schema import InputError, shown

if TYPE_CHECKING:
    from chexphi.kg.input_texts import Texts

MAX_FILE_NAME = 255
"""Longer texts are not asked for on the disk."""
app = Verbs(help="Graphs of texts: extract, show, compare, train.")


@app.command("extract")
def extract(
    files: Files,
    out: GraphsOut,
    extractor: Extractor = "lexicon",
    field: Field = None,
    one_per_line: OnePerLine = False,
    compat: CompatOption = None,
    relations: Relations = None,
    pairs: Pairs = None,
    engine: Engine = "local",
    workers: Workers = None,
    cache: Cache = None,
    skip_bad: SkipBad = False,
    limit: Limit = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write the graph of every text to kg.jsonl, a line each.

    A text file is one text, or with --one-per-line a text a line; a row of JSON or of a table is one text.
    """
    from chexphi.kg import extract as stage

    to_stdout = str(out) == "-"
    _check_output(files, out, resume=resume, as_json=as_json)
    texts = _read(files, field, one_per_line, skip_bad=skip_bad, verbatim=is_original(compat or "default"))
    flags = {"cache": cache and cache.resolve(), "compat": compat, "relations": relations, "pairs": pairs}
    counts = stage.extract(
        texts.rows[:limit],
        None if to_stdout else out,
        extractor=extractor,
        options={name: value for name, value in flags.items() if value is not None},
        engine=engine,
        workers=workers,
        resume=resume,
        overwrite=overwrite,
    )
    show({"out": str(out), **counts, "bad_lines": texts.bad_rows}, as_json=as_json, error=to_stdout)


def _check_output(files: list[str], out: Path, *, resume: bool, as_json: bool) -> None:
    """Refuse an `--out` that is also read, and standard output together with flags that it cannot serve."""
    if str(out) != "-":
        if any(Path(file).exists() and out.exists() and out.samefile(file) for file in files):
            raise InputError(f"{out} is both read and written: name another file for --out")
        return
    check_free(as_json=as_json)
    if resume:
        raise InputError(
            "--out is '-', where nothing is kept to go on with: leave --resume out, or name a file"
        )


def _read(
    files: list[str], field: str | None, one_per_line: bool, *, skip_bad: bool = False, verbatim: bool = False
) -> Texts:
    """The texts. How each file was read goes to standard error."""
    from chexphi.kg.input_texts import read_texts

    texts = read_texts(files, field=field, one_per_line=one_per_line, skip_bad=skip_bad, verbatim=verbatim)
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
    ontology: Ontology = "",
    as_json: Json = False,
) -> None:
    """The graph of one text, in colour."""
    from chexphi.graph.open import open_extractor
    from chexphi.graph.records import to_row
    from chexphi.kg.tables import entities_table, marked_text

    (parse,) = open_extractor(extractor, ontology=ontology).parse([_words_of(text)])
    if as_json:
        show(to_row("0", parse), as_json=True)
        return
    console = Console()
    console.print(marked_text(parse, colour=has_colour(console)))
    console.print(entities_table(parse))


@app.command("compare")
def compare_texts(
    text: Annotated[str, typer.Argument(help="The text to judge, or - for standard input.")],
    reference: Annotated[str, typer.Argument(help="The text that is right, or - for standard input.")],
    extractor: Extractor = "lexicon",
    ontology: Ontology = "",
    indication: Annotated[str, typer.Option("--indication", help="Why the film was taken.")] = "",
    as_json: Json = False,
) -> None:
    """Findings of a text against a reference: matched, missed, invented, contradicted."""
    from chexphi.graph.open import open_extractor
    from chexphi.kg import compared_findings

    if text == reference == "-":
        raise InputError("kg compare: both texts are '-': give one of them in quotes")
    match = compared_findings.compare_texts(
        _words_of(text),
        _words_of(reference),
        open_extractor(extractor, ontology=ontology),
        ontology=ontology,
        indication=indication,
    )
    if as_json:
        show(compared_findings.to_dict(match), as_json=True)
    else:
        Console().print(compared_findings.findings_table(match))


def _words_of(text: str) -> str:
    """A text of the command line; standard input for `-`.

    Raises:
        InputError: If it is the name of a file.
    """
    if len(text) < MAX_FILE_NAME and "\n" not in text and Path(text).is_file():
        raise InputError(
            f"{shown(text)} is a file: give its text in quotes, or - in its place, with the file as standard "
            "input"
        )
    return typer.get_text_stream("stdin", encoding="utf-8").read().strip() if text == "-" else text


@app.command("audit")
def audit(
    reference: Annotated[Path, typer.Argument(help="kg.jsonl of the references, or -.")],
    prediction: Annotated[Path, typer.Argument(help="kg.jsonl of the predictions, or -.")],
    worst: Annotated[int, typer.Option("--worst", help="How many of the worst texts to name.")] = 10,
    uncertain: Annotated[
        bool, typer.Option("--uncertain", help="A finding in doubt is another one than without doubt.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Precision, recall and F1 of predicted graphs, by key."""
    from chexphi.kg import extract as stage
    from chexphi.kg.tables import graph_table

    figures = stage.audit(input_file(reference), input_file(prediction), worst=worst, uncertain=uncertain)
    show_table(figures, graph_table, as_json=as_json)


@app.command("radgraph-f1")
def radgraph_f1(
    reference: Annotated[Path, typer.Argument(help="JSON that RadGraph wrote of the references, or -.")],
    prediction: Annotated[Path, typer.Argument(help="The same of the predictions, or -.")],
    as_json: Json = False,
) -> None:
    """RadGraph F1 of annotations of the library radgraph: words in any case, and as it computes it."""
    from chexphi.kg import radgraph_f1 as stage

    show_table(
        stage.radgraph_f1(input_file(reference), input_file(prediction)), stage.f1_table, as_json=as_json
    )


@app.command("eval")
def evaluate(
    data: Annotated[
        Path, typer.Argument(help="Annotated sentences (JSONL), -, or the IU reports' folder as published.")
    ],
    extractor: Extractor = "lexicon",
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Score an extractor on annotated sentences, or on the IU reports with their codes."""
    from chexphi.graph.open import check_extractor, open_extractor
    from chexphi.kg import annotated, iu_reports
    from chexphi.kg.tables import graph_table

    check_extractor(extractor)
    data = input_file(data)
    if iu_reports.is_iu(data):
        reports = iu_reports.read_reports(data)[:limit]
        figures = iu_reports.evaluate(open_extractor(extractor), reports)
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
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Train the two ReXKG networks on annotated sentences."""
    from chexphi.kg import train as stage
    from chexphi.kg import train_data
    from chexphi.kg.tables import graph_table
    from chexphi.kg.train_settings import TrainSettings

    replace_run(out, overwrite=overwrite, yes=yes)
    rows, held_out = stage.split(train_data.read_sentences(data, limit=limit), hold_out, seed=seed)
    rows += train_data.draw_sentences(drawn, seed=seed)
    settings = TrainSettings(epochs, batch_tokens, encoder_rate, head_rate, seed=seed)
    figures = stage.main(rows, encoder, out, settings, held_out=held_out, resume=resume, overwrite=overwrite)
    if held_out:
        show_table(figures, lambda rows: graph_table({"n": len(held_out)} | rows), as_json=as_json)
    else:
        show(figures, as_json=as_json)
