"""Trains one network of `RexkgExtractor` on batches of labelled rows; saves its state after each epoch."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel
from transformers import get_linear_schedule_with_warmup

from chexphi import atomic
from chexphi.graph.rexkg.batch import candidate_logits
from chexphi.graph.rexkg.files import WEIGHTS
from chexphi.graph.rexkg.models import EntityModel, RelationModel
from chexphi.kg.train_rows import EpochBatches, Example
from chexphi.kg.train_settings import TrainSettings
from chexphi.runs import jsonl
from chexphi.schema import NotFiniteError

STATE = "training_state.pt"
DECAY = 0.998
"""Decay per step of the moving average of the weights (our choice)."""


def epoch_rngs(settings: TrainSettings) -> list[random.Random]:
    """One generator per epoch, so that a resumed training draws the same batches."""
    return [random.Random(f"{settings.seed} {epoch}") for epoch in range(settings.epochs)]


def train_network(
    model: EntityModel | RelationModel,
    batches_by_epoch: EpochBatches,
    folder: Path,
    settings: TrainSettings,
    pad: int,
    progress: Progress,
) -> None:
    """Train one network. Its state is saved in `folder` after each epoch, and its weights at the end.

    The weights are a moving average over the last steps, because a single step follows the noise of the
    labels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metrics = jsonl.JsonLines(folder / "metrics.jsonl")
    averaged = AveragedModel(model, avg_fn=_average)
    optimizer = _optimizer(model, settings)
    steps = sum(map(len, batches_by_epoch))
    schedule = get_linear_schedule_with_warmup(optimizer, round(settings.warmup * steps), steps)
    stateful = (model, averaged, optimizer, schedule)
    finished = _load_state(folder / STATE, *stateful)
    task = progress.add_task(folder.name, total=steps, completed=sum(map(len, batches_by_epoch[:finished])))
    for epoch, batches in enumerate(batches_by_epoch[finished:], start=finished + 1):
        torch.manual_seed(settings.seed + epoch)  # so a resumed epoch has the same dropout
        losses = []
        for batch in batches:
            losses.append(_step(model, batch, optimizer, pad))
            schedule.step()
            averaged.update_parameters(model)
            progress.update(task, advance=1)
        _check_finite(averaged.module, folder.name, epoch)
        metrics.write({"epoch": epoch, "loss": sum(losses) / len(losses)})
        _save_state(folder / STATE, epoch, *stateful)
    metrics.close()
    with atomic.whole_file(folder / WEIGHTS) as unfinished_file:
        weights = {name: value.contiguous() for name, value in averaged.module.state_dict().items()}
        save_file(weights, unfinished_file)
    (folder / STATE).unlink()


def _optimizer(model: EntityModel | RelationModel, settings: TrainSettings) -> torch.optim.Optimizer:
    head = [value for name, value in model.named_parameters() if not name.startswith("bert.")]
    return torch.optim.AdamW(
        [
            {"params": list(model.bert.parameters()), "lr": settings.encoder_rate},
            {"params": head, "lr": settings.head_rate},
        ],
        weight_decay=0.01,
    )


def _check_finite(model: torch.nn.Module, name: str, epoch: int) -> None:
    """Stop before weights with NaN or infinity are saved.

    Raises:
        NotFiniteError: If a weight is not finite.
    """
    weights = model.state_dict().items()
    not_finite = next((key for key, value in weights if not torch.isfinite(value).all()), None)
    if not_finite:
        raise NotFiniteError(
            f"kg train: {not_finite} of the {name} model is not finite after epoch {epoch}: nothing of it is "
            "saved; lower encoder_rate and head_rate"
        )


def _average(mean: Tensor, weight: Tensor, steps: Tensor | int) -> Tensor:
    """The moving average of a weight after one more step; all tensors have the shape of the weight."""
    return mean.lerp(weight, 1 - min(DECAY, (1 + int(steps)) / (10 + int(steps))))


def _step(
    model: EntityModel | RelationModel, batch: Sequence[Example], optimizer: torch.optim.Optimizer, pad: int
) -> float:
    """One step of the optimizer; the loss is the mean over all candidates of the batch."""
    model.train()
    logits = candidate_logits(model, [row for row, _ in batch], pad)  # (candidates, labels)
    labels = torch.tensor([label for _, row_labels in batch for label in row_labels], device=logits.device)
    loss = cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def _save_state(path: Path, epoch: int, *stateful: Any) -> None:
    with atomic.whole_file(path, remedy="make room, then go on with --resume") as unfinished_file:
        state = {"epoch": epoch, "parts": [component.state_dict() for component in stateful]}
        torch.save(state, unfinished_file)


def _load_state(path: Path, *stateful: Any) -> int:
    """Load the states that were saved, and return how many epochs were finished (0 if there are none)."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    for component, component_state in zip(stateful, state["parts"], strict=True):
        component.load_state_dict(component_state)
    return int(state["epoch"])
