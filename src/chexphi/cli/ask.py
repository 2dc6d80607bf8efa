"""`chexphi ask`: one question to a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chexphi.cli.options import Extractor, Json, Ontology, Seed, has_colour, show


def ask(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of the policy.")],
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[IMAGE...] QUESTION", help="Films, prior before current; last the question, in quotes."
        ),
    ],
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            help="Score against this: <think>REASONING</think><answer>ANSWER</answer>, or a reasoning alone.",
        ),
    ] = None,
    extractor: Extractor = "lexicon",
    ontology: Ontology = "",
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Longest reply in tokens.")
    ] = 256,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0, help="Sampling temperature; 0 is greedy.")
    ] = 0.0,
    dynamic_hd: Annotated[
        int | None, typer.Option("--dynamic-hd", min=1, help="Most crops a film is cut into.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Ask a policy one question; see reasoning, answer, graph.

    The answer comes with its probability.
    """
    from chexphi.evaluation import ask as stage
    from chexphi.evaluation.ask_view import view

    reply = stage.main(
        model,
        words,
        reference=reference,
        extractor=extractor,
        ontology=ontology,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        dynamic_hd=dynamic_hd,
        seed=seed,
    )
    if as_json:
        show(reply.to_dict(), as_json=True)
        return
    console = Console()
    for block in view(reply, colour=has_colour(console)):
        console.print(block)
