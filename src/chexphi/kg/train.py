"""Trains the two networks of `RexkgExtractor` on annotated sentences: `chexphi kg train`.

The span network is trained first, then the relation network on the annotated spans (PURE, arXiv 2010.12812).
The result has the published layout. Each epoch is saved; a resumed training gives the same weights as one
without a break.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chexphi import model_folder, ranges
from chexphi.graph.rexkg.files import WEIGHTS
from chexphi.graph.rexkg.vocabulary import Vocabulary
from chexphi.kg.annotated import AnnotatedSentence, evaluate
from chexphi.kg.train_settings import DEFAULTS, RANGES, TrainSettings
from chexphi.number_text import counted
from chexphi.ranges import SHARE
from chexphi.runs import manifest, run_folder, run_settings, terminal
from chexphi.schema import InputError, shown


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
        raise InputError(
            f"hold_out {share:g} of {counted(len(groups), 'patient')} leaves no sentence "
            "on one side: change hold_out, or add patients"
        )
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
        InputError: If the encoder or a setting cannot be used, or the run in `out` had other settings or
            sentences. Nothing is written then.
    """
    ranges.check(dataclasses.asdict(settings), RANGES, "kg train")
    if all(row.relations is None for row in rows):
        raise InputError("no sentence has relations: add data with relations, or sentences with --drawn")
    check_encoder(encoder)
    run_folder.check_folder(out, resume=resume, overwrite=overwrite)
    config = run_folder.yaml_values(settings) | {"encoder": str(encoder)}
    facts: dict[str, Any] = {"sentences_sha256": _digest(rows, held_out)}
    if resume:
        run_settings.check(out, config, facts)
    with terminal.waiting("loading libraries"):  # torch takes seconds: only after the checks
        from chexphi.graph.rexkg.extractor import RexkgExtractor
        from chexphi.kg import train_models

        bert_config, tokenizer = train_models.load_encoder(encoder)
        vocabulary = Vocabulary(tokenizer)
    batches = train_models.batches_of(rows, vocabulary, settings)
    run_folder.open_run(out, resume=resume, overwrite=overwrite)
    manifest.write(out, config=config, data=None, seed=settings.seed, stage="kg-train", **facts)
    train_models.train_networks(batches, encoder, bert_config, out, settings, pad=vocabulary.pad)
    train_models.write_tokenizers(out, tokenizer, settings.markers)
    figures: dict[str, Any] = {"out": str(out), "sentences": len(rows), "held_out": len(held_out)}
    if held_out:
        # all pairs at once, because most held-out sentences have no relations to compare
        with terminal.waiting("scoring the held-out sentences"):
            figures |= evaluate(RexkgExtractor(out, relations="approximate"), held_out).to_dict()
    run_folder.write_json(out / "summary.json", figures)
    return figures


def _digest(*sentences: Sequence[AnnotatedSentence]) -> str:
    """A hash of sentences and their annotations, which does not depend on the order inside a set."""
    digest = hashlib.sha256()
    for rows in sentences:
        for row in rows:
            relations = row.relations if row.relations is None else sorted(row.relations)
            digest.update(repr((row.text, row.tokens, sorted(row.spans), relations)).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def check_encoder(folder: Path) -> None:
    """Refuse a folder that no BERT-like encoder can be loaded from.

    Raises:
        InputError: If it does not exist, has no safetensors, or is of another kind.
    """
    config = model_folder.read_config(folder)
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"encoder {folder} has no {WEIGHTS}: convert its weights to safetensors first")
    model_folder.check(folder)
    if (kind := config.get("model_type")) != "bert":
        raise InputError(
            f"encoder {folder} is of type {shown(kind)}, and only bert can be trained: "
            "give the folder of a BERT"
        )
