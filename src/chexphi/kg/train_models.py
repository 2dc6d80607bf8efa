"""The two networks of `chexphi kg train`: made from an encoder, trained and saved. Needs torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, BertConfig, BertModel

from chexphi import atomic, model_folder
from chexphi.graph.rexkg.checkpoint import default_device
from chexphi.graph.rexkg.files import ENTITY, RELATION, TOKENIZER, WEIGHTS
from chexphi.graph.rexkg.models import EntityModel, RelationModel
from chexphi.graph.rexkg.options import Markers
from chexphi.graph.rexkg.vocabulary import Vocabulary, marker_ids, unused_markers
from chexphi.graph.types import LABELS, RELATION_TYPES
from chexphi.kg.annotated import AnnotatedSentence
from chexphi.kg.train_network import epoch_rngs, train_network
from chexphi.kg.train_rows import EpochBatches, entity_batches, relation_batches
from chexphi.kg.train_settings import TrainSettings
from chexphi.runs import run_folder, terminal

HEAD, WIDTH = 150, 150
"""Sizes of the entity head and of the width embedding, as published."""


def batches_of(
    rows: Sequence[AnnotatedSentence], vocabulary: Vocabulary, settings: TrainSettings
) -> dict[str, EpochBatches]:
    """The batches of each network, by its folder."""
    related = [row for row in rows if row.relations is not None]
    marks = marker_ids(vocabulary, settings.markers, None)
    return {
        ENTITY: entity_batches(rows, vocabulary, settings.batch_tokens, epoch_rngs(settings)),
        RELATION: relation_batches(
            related, vocabulary, marks, settings.batch_tokens, epoch_rngs(settings), settings.exact_share
        ),
    }


def train_networks(
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


def write_tokenizers(out: Path, tokenizer: Any, markers: Markers) -> None:
    for folder in (ENTITY, TOKENIZER):
        with atomic.writing(out / folder):
            tokenizer.save_pretrained(out / folder)
    if markers == "unused":
        run_folder.atomic_write(
            out / RELATION / "special_tokens.json", json.dumps(unused_markers(), indent=2) + "\n"
        )


def load_encoder(folder: Path) -> tuple[BertConfig, Any]:
    """The configuration and the tokenizer of a folder that `train.check_encoder` accepts."""
    with model_folder.reading(folder, "a BERT encoder"):
        config = BertConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return config, AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
