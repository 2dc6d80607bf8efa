"""The neural extractor in one reward call against the bare forward passes of the same rows. One table.

`python bench/rexkg.py [CHECKPOINT [SENTENCES.jsonl]]`: with a trained checkpoint also how fast the
mixed and the approximate reading are and how they agree with the exact one, on annotated sentences or on the
made ones.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import logging
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from transformers import BertConfig

from chexphi.graph.rexkg.batch import batches, model_inputs
from chexphi.graph.rexkg.extractor import RexkgExtractor
from chexphi.graph.rexkg.models import EntityModel, RelationModel
from chexphi.graph.rexkg.rows import Row
from chexphi.kg.annotated import read_annotated

TEXTS, WORDS_A_TEXT, ENTITIES_A_SENTENCE = 9, 100, 3.0
BUDGETS = (512, 1024, 2048)
"""Tokens of a batch, from which the bare passes take the best."""
PAD = 0
PARTS = (
    ("There is", "We see", "The film shows", "Compared with the last film there is", "No sign of"),
    ("a small", "a large", "a new", "an unchanged", "a mild", "some patchy"),
    ("opacity", "pleural effusion", "consolidation", "atelectasis", "nodule", "pneumothorax"),
    ("in the", "along the", "at the", "close to the"),
    ("left", "right", "upper left", "lower right", "middle"),
    ("lung", "lobe", "base", "apex", "hemithorax"),
    ("", "with some edema", "consistent with pneumonia", "beside the tip of the tube"),
)


def text(rng: random.Random) -> str:
    """About a hundred words in sentences of about ten."""
    sentences: list[str] = []
    while sum(len(sentence.split()) for sentence in sentences) < WORDS_A_TEXT:
        sentences.append(" ".join(part for group in PARTS if (part := rng.choice(group))) + ".")
    return " ".join(sentences)


def write_base(folder: Path, texts: list[str]) -> None:
    """Random weights of BERT-base's size in the published layout."""
    words = sorted({word for part in texts for word in part.lower().replace(".", " .").split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    config = BertConfig(vocab_size=len(vocabulary))
    torch.manual_seed(0)
    models = {
        "run_entity": EntityModel(config, labels=9, head=150, width=150),
        "run_relation": RelationModel(config, labels=4),
    }
    for name, model in models.items():
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(config.to_dict()))
        (folder / name / "vocab.txt").write_text("\n".join(vocabulary))
        save_file(
            {key: value.contiguous() for key, value in model.state_dict().items()},
            folder / name / "model.safetensors",
        )


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


@contextmanager
def recorded(extractor: RexkgExtractor) -> Iterator[dict[Any, list[tuple[Row, int]]]]:
    """What the two encoders read meanwhile: rows, and how many pairs each stands for."""
    seen: dict[Any, list[tuple[Row, int]]] = {}

    def note(model: Any, arguments: tuple[Any, ...]) -> None:
        batch, owners, _ = arguments
        lengths = (batch["input_ids"] != PAD).sum(-1).tolist()
        counts = torch.bincount(owners, minlength=len(lengths)).tolist()
        for ids, length, count in zip(batch["input_ids"].tolist(), lengths, counts, strict=True):
            seen.setdefault(model, []).append((Row(tuple(ids[:length])), count))

    models = (extractor._entity, extractor._relation)
    handles = [model.register_forward_pre_hook(note) for model in models]
    yield seen
    for handle in handles:
        handle.remove()


@torch.inference_mode()
def forward(bert: Any, rows: list[Row], budget: int) -> None:
    """The bare passes: sorted by length, no padding beyond a batch."""
    for batch in batches([len(row.ids) for row in rows], budget):
        bert(**model_inputs([rows[position] for position in batch], PAD))


def few_entities(extractor: RexkgExtractor, texts: list[str]) -> None:
    """Raise the score of "no entity" until random weights find as many entities as real ones."""
    scores: list[torch.Tensor] = []
    handle = extractor._entity.register_forward_hook(lambda model, given, out: scores.append(out.clone()))
    last = extractor._entity.ner_classifier[1]
    last.bias.data[0] = 100.0
    extractor.extract(texts)
    handle.remove()
    margins = torch.cat([score[:, 1:].amax(-1) - (score[:, 0] - 100.0) for score in scores])
    sentences = {part for whole in texts for part in whole.split(". ")}
    wanted = int(ENTITIES_A_SENTENCE * len(sentences))
    last.bias.data[0] = margins.sort(descending=True).values[wanted].item()


def against_forward(table: Table, folder: Path, texts: list[str]) -> None:
    extractor = RexkgExtractor(folder)
    few_entities(extractor, texts)
    with recorded(extractor) as seen:
        extractor.extract(texts)
    calls, bare = [], []
    for budget in BUDGETS:  # by turns: what else runs on the machine hits both
        bare.append(
            sum(seconds(lambda m=m, r=r, b=budget: forward(m.bert, r, b)) for m, r in rows_of(seen).items())
        )
        calls.append(seconds(lambda: extractor.extract(texts)))
    table.add_row("reward call", f"{min(calls):.2f}", "s")
    table.add_row("bare passes of the same rows, best batch size", f"{min(bare):.2f}", "s")
    table.add_row("[b]reward call / bare passes[/b] (bar: 1.25)", f"{min(calls) / min(bare):.2f}", "")
    three = seconds(lambda: extractor.extract(texts[:3]))
    nine = seconds(lambda: extractor.extract([*texts[:3]] * 3))
    table.add_row("nine texts of which three differ / these three", f"{nine / three:.2f}", "")
    together = RexkgExtractor(folder, relations="approximate")
    together._entity.load_state_dict(extractor._entity.state_dict())
    with recorded(together) as fewer:
        took = seconds(lambda: together.extract(texts))
    table.add_row("exact call / approximate call", f"{min(calls) / took:.2f}", "")
    pairs = seen[extractor._relation]
    for name, tokens in (
        ("a row a pair", sum(len(row.ids) * count for row, count in pairs)),
        ("rows shared by both directions (exact)", sum(len(row.ids) for row, _ in pairs)),
        (
            "all pairs of a sentence (approximate)",
            sum(len(row.ids) for row, _ in fewer[together._relation]),
        ),
    ):
        table.add_row(f"relation pass, {name}", f"{tokens:,}", "tokens")


def rows_of(seen: dict[Any, list[tuple[Row, int]]]) -> dict[Any, list[Row]]:
    return {model: [row for row, _ in rows] for model, rows in seen.items()}


def readings(table: Table, folder: Path, texts: list[str]) -> None:
    """Time of the three readings of a trained checkpoint, and how they agree with the exact one."""
    times, found, judged = {}, {}, 0
    for name in ("exact", "mixed", "approximate"):
        extractor = RexkgExtractor(folder, relations=name)
        with recorded(extractor) as seen:
            found[name] = relations(extractor, texts)
        times[name] = min(seconds(lambda e=extractor: e.parse(texts)) for _ in range(2))
        read = seen[extractor._relation]
        judged = judged or sum(count for _, count in read)
        table.add_section()
        table.add_row(f"{name}: relation pass", f"{sum(len(row.ids) for row, _ in read):,}", "tokens")
        table.add_row("exact call / this call (bar: 6)", f"{times['exact'] / times[name]:.1f}", "")
        one, other = found["exact"], found[name]
        differ = sum(one.get(pair) != other.get(pair) for pair in one.keys() | other.keys())
        same = sum(other.get(pair) == kind for pair, kind in one.items())
        table.add_row(f"of {judged:,} pairs, judged alike", f"{1 - differ / judged:.4f}", "")
        table.add_row(
            f"relations ({len(one):,}), F1 against exact (bar: 0.98)",
            f"{2 * same / (len(one) + len(other)):.3f}",
            "",
        )


def relations(extractor: RexkgExtractor, texts: list[str]) -> dict[tuple[int, int, int], str]:
    parses = extractor.parse(texts)
    return {(number, head, tail): kind for number, p in enumerate(parses) for head, kind, tail in p.edges}


def main() -> None:
    logging.getLogger("chexphi").setLevel(logging.ERROR)
    rng = random.Random(0)
    texts = [text(rng) for _ in range(TEXTS)]
    table = Table(
        "part",
        "figure",
        "unit",
        title=f"{TEXTS} texts of {WORDS_A_TEXT} words, {os.environ['OMP_NUM_THREADS']} thread(s)",
    )
    with tempfile.TemporaryDirectory() as folder:
        write_base(Path(folder), texts)
        against_forward(table, Path(folder), texts)
    if len(sys.argv) > 1:
        given = sys.argv[2:3]
        real = list(dict.fromkeys(row.text for row in read_annotated(Path(given[0])))) if given else texts
        readings(table, Path(sys.argv[1]), real)
    Console().print(table)


if __name__ == "__main__":
    main()
