"""Train the two networks of `RexkgExtractor` on annotated sentences: `chexphi kg train`.

The span model first, then the relation model on the annotated spans (PURE, arXiv 2010.12812). The result has
the published layout. Each epoch is saved; a resumed training gives the same weights as an unbroken one.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoTokenizer, BertConfig, BertModel, get_linear_schedule_with_warmup

from chexphi import runs
from chexphi.graph.annotated import Annotated, evaluate
from chexphi.graph.rexkg.approximate import approximate_rows
from chexphi.graph.rexkg.batch import inputs
from chexphi.graph.rexkg.checkpoint import ENTITY, RELATION, TOKENIZER, WEIGHTS
from chexphi.graph.rexkg.extractor import RexkgExtractor
from chexphi.graph.rexkg.models import EntityModel, RelationModel
from chexphi.graph.rexkg.rows import MOST_PIECES, Row, entity_windows, longest_word, pair_rows
from chexphi.graph.rexkg.vocabulary import Markers, Vocabulary, marker_ids, unused_markers
from chexphi.graph.types import LABELS, RELATION_TYPES
from chexphi.schema import InputError

logger = logging.getLogger(__name__)

HEAD, WIDTH = 150, 150
"""Sizes of the entity head and of the width embedding, as published."""
STATE = "training_state.pt"
LIMIT = MOST_PIECES - 2

Example = tuple[Row, list[int]]
"""A row, and the label of each of its places."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of both networks. Rates and epochs are our choice for small encoders and data (docs/log.md)."""

    epochs: int = 8
    batch_size: int = 16
    encoder_rate: float = 5e-5
    head_rate: float = 5e-4
    """The published span model used 1e-5 and 5e-4, the relation model 5e-5, on far more data."""
    warmup: float = 0.1
    markers: Markers = "unused"
    seed: int = 0


def split(rows: Sequence[Annotated], share: float, *, seed: int) -> tuple[list[Annotated], list[Annotated]]:
    """Sentences to train on, and those of a share of the groups (patients) that is held out.

    Raises:
        InputError: If nothing is left on one side.
    """
    groups = sorted({row.group for row in rows})
    random.Random(seed).shuffle(groups)
    held = set(groups[: round(share * len(groups))])
    kept = [row for row in rows if row.group not in held]
    left = [row for row in rows if row.group in held]
    if not kept or (share and not left):
        raise InputError(f"holding out {share} of {len(groups)} patients leaves no sentence on one side")
    return kept, left


def main(
    rows: Sequence[Annotated],
    encoder: Path,
    out: Path,
    settings: Settings = Settings(),
    *,
    held_out: Sequence[Annotated] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train both networks into `out`; returns the figures on the held-out sentences.

    Raises:
        InputError: If the encoder or a setting cannot be used, before anything is written.
    """
    config, tokenizer = _encoder(encoder)
    vocabulary = Vocabulary(tokenizer)
    related = [row for row in rows if row.links is not None]
    if not related:
        raise InputError("no sentence has relations: add data that has, or drawn sentences with --drawn")
    marks = marker_ids(vocabulary, settings.markers, None)
    out = runs.open_run(out, resume=resume, overwrite=overwrite)
    runs.write_manifest(
        out,
        config=runs.plain(settings) | {"encoder": str(encoder)},
        data=None,
        seed=settings.seed,
        stage="kg-train",
    )
    torch.manual_seed(settings.seed)
    bert = BertModel.from_pretrained(encoder, local_files_only=True, use_safetensors=True)
    entity = EntityModel(config, labels=len(LABELS) + 1, head=HEAD, width=WIDTH)
    relation = RelationModel(config, labels=len(RELATION_TYPES) + 1)
    with runs.bar() as progress:
        for model, folder, examples in (
            (entity, ENTITY, [e for row in rows for e in _entity_examples(row, vocabulary)]),
            (relation, RELATION, [e for row in related for e in _relation_examples(row, vocabulary, marks)]),
        ):
            model.bert.load_state_dict(bert.state_dict())
            if not (out / folder / WEIGHTS).exists():
                fit(model, examples, out / folder, settings, vocabulary.pad, progress)
                config.save_pretrained(out / folder)
    for folder in (ENTITY, TOKENIZER):
        tokenizer.save_pretrained(out / folder)
    if settings.markers == "unused":
        runs.atomic_write(
            out / RELATION / "special_tokens.json", json.dumps(unused_markers(), indent=2) + "\n"
        )
    figures: dict[str, Any] = {"out": str(out), "sentences": len(rows), "held_out": len(held_out)}
    if held_out:
        figures |= evaluate(RexkgExtractor(out), held_out).to_dict()
    runs.atomic_write(out / "summary.json", json.dumps(figures, indent=2) + "\n")
    return figures


def _encoder(folder: Path) -> tuple[BertConfig, Any]:
    if not (folder / "config.json").is_file():
        raise InputError(f"encoder {folder} is no model folder: it has no config.json")
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"encoder {folder} has no {WEIGHTS}: convert its weights to safetensors first")
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if not isinstance(config, BertConfig):
        raise InputError(
            f"encoder {folder} is of type {config.model_type!r}: the published layout needs bert"
        )
    return config, AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _entity_examples(row: Annotated, vocabulary: Vocabulary) -> Iterator[Example]:
    labels = {(first, last): LABELS.index(label) + 1 for first, last, label in row.places}
    words = _learned(row, vocabulary)
    for found, asked in entity_windows(vocabulary.pieces(words, longest_word(LIMIT)), vocabulary, LIMIT):
        yield found, [labels.get(span, 0) for span in asked]


def _relation_examples(row: Annotated, vocabulary: Vocabulary, marks: Any) -> Iterator[Example]:
    entities = sorted(row.places)
    labels = {
        (entities.index(head), entities.index(tail)): RELATION_TYPES.index(kind) + 1
        for head, kind, tail in row.links or ()
    }
    words = _learned(row, vocabulary)
    pieces = vocabulary.pieces(words, longest_word(LIMIT))
    for rows in (pair_rows, approximate_rows):  # read either way, the model says the same
        for found, asked in rows(pieces, vocabulary, entities, marks, LIMIT):
            yield found, [labels.get(pair, 0) for pair in asked]


def _learned(row: Annotated, vocabulary: Vocabulary) -> Sequence[str]:
    words = [word.lower() for word in row.words]
    vocabulary.learn(words)
    return words


def fit(
    model: EntityModel | RelationModel,
    examples: Sequence[Example],
    folder: Path,
    settings: Settings,
    pad: int,
    progress: Progress,
) -> None:
    """Train one network; its weights stand in `folder` when it is finished, its state after each epoch."""
    folder.mkdir(parents=True, exist_ok=True)
    metrics = runs.JsonLines(folder / "metrics.jsonl")
    per_epoch = -(-len(examples) // settings.batch_size)
    head = [value for name, value in model.named_parameters() if not name.startswith("bert.")]
    optimizer = torch.optim.AdamW(
        [
            {"params": list(model.bert.parameters()), "lr": settings.encoder_rate},
            {"params": head, "lr": settings.head_rate},
        ],
        weight_decay=0.01,
    )
    steps = per_epoch * settings.epochs
    schedule = get_linear_schedule_with_warmup(optimizer, round(settings.warmup * steps), steps)
    first = _restored(folder / STATE, model, optimizer, schedule)
    task = progress.add_task(folder.name, total=steps, completed=first * per_epoch)
    for epoch in range(first, settings.epochs):
        torch.manual_seed(settings.seed + epoch)  # dropout of a resumed epoch is that of an unbroken one
        losses = []
        for batch in _shuffled(examples, settings.batch_size, seed=settings.seed + epoch):
            losses.append(_step(model, batch, optimizer, pad))
            schedule.step()
            progress.update(task, advance=1)
        metrics.write({"epoch": epoch + 1, "loss": sum(losses) / len(losses)})
        _keep(folder / STATE, epoch + 1, model, optimizer, schedule)
    metrics.close()
    temporary = folder / (WEIGHTS + ".part")
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, temporary)
    temporary.replace(folder / WEIGHTS)
    (folder / STATE).unlink()


def _shuffled(examples: Sequence[Example], size: int, *, seed: int) -> Iterator[list[Example]]:
    """Batches of rows of like length, in an order of their own each epoch."""
    rng = random.Random(seed)
    order = sorted(range(len(examples)), key=lambda at: (len(examples[at][0].ids), rng.random()))
    batches = [order[first : first + size] for first in range(0, len(order), size)]
    rng.shuffle(batches)
    for batch in batches:
        yield [examples[at] for at in batch]


def _step(
    model: EntityModel | RelationModel, batch: Sequence[Example], optimizer: torch.optim.Optimizer, pad: int
) -> float:
    model.train()
    rows = [row for row, _ in batch]
    owners = torch.tensor([at for at, row in enumerate(rows) for _ in row.places])
    places = torch.tensor([place for row in rows for place in row.places])
    labels = torch.tensor([label for _, own in batch for label in own])
    loss: Tensor = cross_entropy(model(inputs(rows, pad), owners, places), labels, reduction="sum") / len(
        rows
    )
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def _keep(path: Path, epoch: int, *parts: Any) -> None:
    temporary = path.with_name(path.name + ".part")
    torch.save({"epoch": epoch, "parts": [part.state_dict() for part in parts]}, temporary)
    temporary.replace(path)


def _restored(path: Path, *parts: Any) -> int:
    """Epochs that were finished before; the states are loaded."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    for part, saved in zip(parts, state["parts"], strict=True):
        part.load_state_dict(saved)
    return int(state["epoch"])
