"""Train the two networks of `RexkgExtractor` on annotated sentences: `chexphi kg train`.

The span model first, then the relation model on the annotated spans (PURE, arXiv 2010.12812). The result has
the published layout. Each epoch is saved; a resumed training gives the same weights as an unbroken one.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel
from transformers import AutoTokenizer, BertConfig, BertModel, get_linear_schedule_with_warmup

from chexphi import atomic, model_folder, ranges
from chexphi.files import read_object
from chexphi.graph.rexkg.batch import candidate_logits
from chexphi.graph.rexkg.checkpoint import ENTITY, RELATION, TOKENIZER, WEIGHTS, default_device
from chexphi.graph.rexkg.extractor import RexkgExtractor
from chexphi.graph.rexkg.models import EntityModel, RelationModel
from chexphi.graph.rexkg.vocabulary import Markers, Vocabulary, marker_ids, unused_markers
from chexphi.graph.types import LABELS, RELATION_TYPES
from chexphi.kg.annotated import Annotated, evaluate
from chexphi.kg.train_rows import Example, Plan, entity_plan, relation_plan
from chexphi.ranges import COUNT, NOT_NEGATIVE, SEED, SHARE
from chexphi.runs import jsonl, run_folder, terminal
from chexphi.schema import InputError, shown

HEAD, WIDTH = 150, 150
"""Sizes of the entity head and of the width embedding, as published."""
STATE = "training_state.pt"
DECAY = 0.998
"""Of the mean of the weights, a step (our choice)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of both networks. Rates and epochs are our choice for small encoders and data (docs/log.md)."""

    epochs: int = 6
    batch_tokens: int = 512
    encoder_rate: float = 1e-4
    head_rate: float = 1e-3
    """The published span model used 1e-5 and 5e-4, the relation model 5e-5, on far more data."""
    warmup: float = 0.1
    exact_share: float = 0.25
    """Of the relation model's rows of one pair, drawn anew each epoch; it reads all pairs of a sentence in
    one row besides, which is an eighth of the work."""
    markers: Markers = "unused"
    seed: int = 0


RANGES = {
    "epochs": COUNT,
    "batch_tokens": COUNT,
    "encoder_rate": NOT_NEGATIVE,
    "head_rate": NOT_NEGATIVE,
    "warmup": SHARE,
    "exact_share": SHARE,
    "seed": SEED,
}


def split(rows: Sequence[Annotated], share: float, *, seed: int) -> tuple[list[Annotated], list[Annotated]]:
    """Sentences to train on, and those of a share of the groups (patients) that is held out.

    Raises:
        InputError: If nothing is left on one side.
    """
    ranges.check({"hold_out": share}, {"hold_out": SHARE}, "kg train")
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
    ranges.check(dataclasses.asdict(settings), RANGES, "kg train")
    config, tokenizer = _encoder(encoder)
    vocabulary = Vocabulary(tokenizer)
    related = [row for row in rows if row.links is not None]
    if not related:
        raise InputError("no sentence has relations: add data that has, or drawn sentences with --drawn")
    marks = marker_ids(vocabulary, settings.markers, None)
    out = run_folder.open_run(out, resume=resume, overwrite=overwrite)
    run_folder.write_manifest(
        out,
        config=run_folder.yaml_values(settings) | {"encoder": str(encoder)},
        data=None,
        seed=settings.seed,
        stage="kg-train",
    )
    plans = {
        ENTITY: entity_plan(rows, vocabulary, settings.batch_tokens, rngs(settings)),
        RELATION: relation_plan(
            related, vocabulary, marks, settings.batch_tokens, rngs(settings), settings.exact_share
        ),
    }
    torch.manual_seed(settings.seed)
    device = default_device()
    with model_folder.reading(encoder, "a BERT encoder"):
        bert = BertModel.from_pretrained(
            encoder, local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
    entity = EntityModel(config, labels=len(LABELS) + 1, head=HEAD, width=WIDTH)
    relation = RelationModel(config, labels=len(RELATION_TYPES) + 1)
    with terminal.progress_bar() as progress:
        for folder, model in ((ENTITY, entity), (RELATION, relation)):
            model.bert.load_state_dict(bert.state_dict())
            if not (out / folder / WEIGHTS).exists():
                fit(model.to(device), plans[folder], out / folder, settings, vocabulary.pad, progress)
                with atomic.writing(out / folder):
                    config.save_pretrained(out / folder)
    _write_tokenizers(out, tokenizer, settings.markers)
    figures: dict[str, Any] = {"out": str(out), "sentences": len(rows), "held_out": len(held_out)}
    if held_out:
        # all pairs at once: of the held-out sentences most have no relations to compare
        figures |= evaluate(RexkgExtractor(out, relations="approximate"), held_out).to_dict()
    run_folder.write_json(out / "summary.json", figures)
    return figures


def _write_tokenizers(out: Path, tokenizer: Any, markers: Markers) -> None:
    for folder in (ENTITY, TOKENIZER):
        with atomic.writing(out / folder):
            tokenizer.save_pretrained(out / folder)
    if markers == "unused":
        run_folder.atomic_write(
            out / RELATION / "special_tokens.json", json.dumps(unused_markers(), indent=2) + "\n"
        )


def _encoder(folder: Path) -> tuple[BertConfig, Any]:
    if not (folder / "config.json").is_file():
        raise InputError(f"encoder {folder} is no model folder: it has no config.json")
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"encoder {folder} has no {WEIGHTS}: convert its weights to safetensors first")
    model_folder.check(folder)
    if (kind := read_object(folder / "config.json").get("model_type")) != "bert":
        raise InputError(f"encoder {folder} is of type {shown(kind)}: the published layout needs bert")
    with model_folder.reading(folder, "a BERT encoder"):
        config = BertConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return config, AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def rngs(settings: Settings) -> list[random.Random]:
    """One an epoch."""
    return [random.Random(f"{settings.seed} {epoch}") for epoch in range(settings.epochs)]


def fit(
    model: EntityModel | RelationModel,
    plan: Plan,
    folder: Path,
    settings: Settings,
    pad: int,
    progress: Progress,
) -> None:
    """Train one network; its weights stand in `folder` when it is finished, its state after each epoch.

    The weights are averaged over the last steps: a single step follows the noise of the labels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metrics = jsonl.JsonLines(folder / "metrics.jsonl")
    averaged = AveragedModel(model, avg_fn=_average)
    head = [value for name, value in model.named_parameters() if not name.startswith("bert.")]
    optimizer = torch.optim.AdamW(
        [
            {"params": list(model.bert.parameters()), "lr": settings.encoder_rate},
            {"params": head, "lr": settings.head_rate},
        ],
        weight_decay=0.01,
    )
    steps = sum(map(len, plan))
    schedule = get_linear_schedule_with_warmup(optimizer, round(settings.warmup * steps), steps)
    parts = (model, averaged, optimizer, schedule)
    first = _restored(folder / STATE, *parts)
    task = progress.add_task(folder.name, total=steps, completed=sum(map(len, plan[:first])))
    for epoch, batches in enumerate(plan[first:], start=first + 1):
        torch.manual_seed(settings.seed + epoch)  # dropout of a resumed epoch is that of an unbroken one
        losses = []
        for batch in batches:
            losses.append(_step(model, batch, optimizer, pad))
            schedule.step()
            averaged.update_parameters(model)
            progress.update(task, advance=1)
        _check_finite(averaged.module, folder.name, epoch)
        metrics.write({"epoch": epoch, "loss": sum(losses) / len(losses)})
        _keep(folder / STATE, epoch, *parts)
    metrics.close()
    with atomic.whole_file(folder / WEIGHTS) as part:
        save_file({k: value.contiguous() for k, value in averaged.module.state_dict().items()}, part)
    (folder / STATE).unlink()


def _check_finite(model: torch.nn.Module, name: str, epoch: int) -> None:
    """Stop before weights with NaN or infinity are saved.

    Raises:
        FloatingPointError: If there are some.
    """
    bad = next((key for key, value in model.state_dict().items() if not torch.isfinite(value).all()), None)
    if bad:
        raise FloatingPointError(
            f"kg train: {bad} of the {name} model is not finite after epoch {epoch}: nothing of it is saved; "
            "lower encoder_rate and head_rate"
        )


def _average(mean: Tensor, new: Tensor, steps: Tensor | int) -> Tensor:
    return mean.lerp(new, 1 - min(DECAY, (1 + int(steps)) / (10 + int(steps))))


def _step(
    model: EntityModel | RelationModel, batch: Sequence[Example], optimizer: torch.optim.Optimizer, pad: int
) -> float:
    model.train()
    logits = candidate_logits(model, [row for row, _ in batch], pad)
    labels = torch.tensor([label for _, own in batch for label in own], device=logits.device)
    loss = cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def _keep(path: Path, epoch: int, *parts: Any) -> None:
    with atomic.whole_file(path, remedy="make room, then go on with --resume") as part:
        torch.save({"epoch": epoch, "parts": [one.state_dict() for one in parts]}, part)


def _restored(path: Path, *parts: Any) -> int:
    """Epochs that were finished before; the states are loaded."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    for part, saved in zip(parts, state["parts"], strict=True):
        part.load_state_dict(saved)
    return int(state["epoch"])
