"""`chexphi rewards <verb>`: what completions earn, no logic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chexphi.cli.options import Json, Limit, show

app = typer.Typer(help="Rewards without a trainer: score completions.", no_args_is_help=True)

Rewards = Annotated[
    list[str] | None,
    typer.Option(
        "--rewards",
        help="Names with commas between them, or a config of grpo; again for more. Default: both.",
    ),
]


@app.command("score")
def score(
    file: Annotated[Path, typer.Argument(help='JSONL rows {"id", "completion", "solution"[, "group"]}.')],
    rewards: Rewards = None,
    weights: Annotated[str | None, typer.Option("--weights", help="One a reward, with commas.")] = None,
    combine: Annotated[str | None, typer.Option("--combine", help="sum, product or gated.")] = None,
    match: Annotated[str | None, typer.Option("--match", help="exact, f1 or any.")] = None,
    measure: Annotated[str | None, typer.Option("--measure", help="jaccard or f1.")] = None,
    extractor: Annotated[
        str | None, typer.Option("--extractor", help="lexicon, rexkg:FOLDER or radgraph.")
    ] = None,
    compat: Annotated[
        str | None, typer.Option("--compat", help="seed: as the original has them, faults included.")
    ] = None,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """What each completion earns: every reward, the total, and what is malformed."""
    from chexphi.data import rewarded

    using = rewarded.setup(
        rewards or (), rewarded.numbers(weights),
        combine=combine, match=match, measure=measure, extractor=extractor, compat=compat,
    )  # fmt: skip
    figures = rewarded.score_rows(rewarded.read_rows(file, limit=limit), using, using.open())
    if not as_json:
        figures |= {f"mean {name}": value for name, value in figures["mean"].items()}
        figures |= {f"malformed {kind}": count for kind, count in figures["malformed"].items()}
    show(figures, as_json=as_json)
