"""Trains the two networks of `RexkgExtractor` on annotated sentences: `chexphi kg train`.

The span network is trained first, then the relation network on the annotated spans (PURE, arXiv 2010.12812).
The result has the published layout. Each epoch is saved; a resumed training gives the same weights as one
without a break.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, BertConfig, BertModel

from chexphi import atomic, model_folder, ranges
from chexphi.files import read_object
from chexphi.graph.rexkg.checkpoint import ENTITY, RELATION, TOKENIZER, WEIGHTS, default_device
from chexphi.graph.rexkg.extractor import RexkgExtractor
from chexphi.graph.rexkg.models import EntityModel, RelationModel
from chexphi.graph.rexkg.vocabulary import Markers, Vocabulary, marker_ids, unused_markers
from chexphi.graph.types import LABELS, RELATION_TYPES
from chexphi.kg.annotated import AnnotatedSentence, evaluate
from chexphi.kg.train_network import DEFAULTS, RANGES, TrainSettings, epoch_rngs, train_network
from chexphi.kg.train_rows import EpochBatches, entity_batches, relation_batches
from chexphi.ranges import SHARE
from chexphi.runs import manifest, run_folder, terminal
from chexphi.schema import InputError, shown

HEAD, WIDTH = 150, 150
"""Sizes of the entity head and of the width embedding, as published."""


def split(
    rows: Sequence[AnnotatedSentence], share: float, *, seed: int
) -> tuple[list[AnnotatedSentence], list[AnnotatedSentence]]:
    """Sentences to train on, and the sentences of a share of the groups (patients), which are held out.

    Raises:
        InputError: If one of the two would be empty.
    """
    ranges.check({"hold_out": share}, {"hold_out": SHARE}, "kg train")
    groups = sorted({row.group for row in rows})
    random.Random(seed).shuffle(groups)
    held_out_groups = set(groups[: round(share * len(groups))])
    train_rows = [row for row in rows if row.group not in held_out_groups]
    held_out = [row for row in rows if row.group in held_out_groups]
    if not train_rows or (share and not held_out):
        raise InputError(f"holding out {share} of {len(groups)} patients leaves no sentence on one side")
    return train_rows, held_out


def main(
    rows: Sequence[AnnotatedSentence],
    encoder: Path,
    out: Path,
    settings: TrainSettings = DEFAULTS,
    *,
    held_out: Sequence[AnnotatedSentence] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train both networks into `out`, and return the figures on the held-out sentences.

    Raises:
        InputError: If the encoder or a setting cannot be used. Nothing is written then.
    """
    ranges.check(dataclasses.asdict(settings), RANGES, "kg train")
    config, tokenizer = _load_encoder(encoder)
    vocabulary = Vocabulary(tokenizer)
    batches = _batches(rows, vocabulary, settings)
    out = run_folder.open_run(out, resume=resume, overwrite=overwrite)
    manifest.write(
        out,
        config=run_folder.yaml_values(settings) | {"encoder": str(encoder)},
        data=None,
        seed=settings.seed,
        stage="kg-train",
    )
    _train_networks(batches, encoder, config, out, settings, pad=vocabulary.pad)
    _write_tokenizers(out, tokenizer, settings.markers)
    figures: dict[str, Any] = {"out": str(out), "sentences": len(rows), "held_out": len(held_out)}
    if held_out:
        # all pairs at once, because most held-out sentences have no relations to compare
        figures |= evaluate(RexkgExtractor(out, relations="approximate"), held_out).to_dict()
    run_folder.write_json(out / "summary.json", figures)
    return figures


def _batches(
    rows: Sequence[AnnotatedSentence], vocabulary: Vocabulary, settings: TrainSettings
) -> dict[str, EpochBatches]:
    """The batches of each network, by its folder."""
    related = [row for row in rows if row.relations is not None]
    if not related:
        raise InputError("no sentence has relations: add data with relations, or sentences with --drawn")
    marks = marker_ids(vocabulary, settings.markers, None)
    return {
        ENTITY: entity_batches(rows, vocabulary, settings.batch_tokens, epoch_rngs(settings)),
        RELATION: relation_batches(
            related, vocabulary, marks, settings.batch_tokens, epoch_rngs(settings), settings.exact_share
        ),
    }


def _train_networks(
    batches: dict[str, EpochBatches],
    encoder: Path,
    config: BertConfig,
    out: Path,
    settings: TrainSettings,
    *,
    pad: int,
) -> None:
    """Train each network that is not finished yet, starting from the encoder."""
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
                train_network(model.to(device), batches[folder], out / folder, settings, pad, progress)
                with atomic.writing(out / folder):
                    config.save_pretrained(out / folder)


def _write_tokenizers(out: Path, tokenizer: Any, markers: Markers) -> None:
    for folder in (ENTITY, TOKENIZER):
        with atomic.writing(out / folder):
            tokenizer.save_pretrained(out / folder)
    if markers == "unused":
        run_folder.atomic_write(
            out / RELATION / "special_tokens.json", json.dumps(unused_markers(), indent=2) + "\n"
        )


def _load_encoder(folder: Path) -> tuple[BertConfig, Any]:
    if not (folder / "config.json").is_file():
        raise InputError(f"encoder {folder} is not a model folder: it has no config.json")
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"encoder {folder} has no {WEIGHTS}: convert its weights to safetensors first")
    model_folder.check(folder)
    if (kind := read_object(folder / "config.json").get("model_type")) != "bert":
        raise InputError(f"encoder {folder} is of type {shown(kind)}: the published layout needs bert")
    with model_folder.reading(folder, "a BERT encoder"):
        config = BertConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return config, AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
