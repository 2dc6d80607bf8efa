"""Predictions made up for tests: a few questions about each of some patients, answered by a noisy reader."""

from __future__ import annotations

import dataclasses
import functools
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chexphi import prompts
from chexphi.graph.clinical.compare import compare
from chexphi.graph.clinical.sums import figures_of
from chexphi.graph.findings.ontology import open_ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.types import Entity, Graph, Relation
from chexphi.schema import Prediction

PLACES = ("left lower", "left upper", "right lower", "right upper", "right mid")
FINDINGS = ("opacity", "pleural effusion", "pneumothorax", "nodule")
KINDS = ("basic", "basic", "region", "compare")


def graph(stated: dict[str, str | None]) -> Graph:
    """The graph of findings: place where present, None where absent."""
    entities: list[Entity] = []
    relations: list[Relation] = []
    for finding, place in stated.items():
        entities.append((finding, "disorder_present" if place else "disorder_notpresent"))
        if place:
            relations.append(((finding, "disorder_present"), "located_at", ("lung", "anatomy")))
            relations.append(((place, "concept"), "modify", ("lung", "anatomy")))
    return Graph.of(entities, relations)


def prose(stated: dict[str, str | None]) -> str:
    """A sentence a finding."""
    return " ".join(
        f"There is {finding} in the {place} lung." if place else f"No {finding} is seen."
        for finding, place in stated.items()
    )


def scene(rng: random.Random) -> dict[str, str | None]:
    return {finding: rng.choice(PLACES) if rng.random() < 0.45 else None for finding in FINDINGS}


def read(rng: random.Random, truth: dict[str, str | None], skill: float) -> dict[str, str | None]:
    """What a reader of a skill in [0, 1] says of a scene: finds omitted, moved or invented."""
    said = {}
    for finding, place in truth.items():
        if rng.random() < skill:
            said[finding] = place
        elif place is None:
            said[finding] = rng.choice(PLACES) if rng.random() < 0.3 else None
        else:
            said[finding] = None if rng.random() < 0.8 else rng.choice(PLACES)
    return said


@functools.cache
def clinical_figures(reference: str, reasoning: str) -> dict[str, float]:
    """The findings of both texts, compared."""
    expected, claimed = (
        findings(parse, open_ontology()) for parse in LexiconExtractor().parse([reference, reasoning])
    )
    return figures_of(compare(claimed, expected, open_ontology()))


def prediction(
    rng: random.Random, row: int, truth: dict[str, str | None], patient: str, skill: float, **fields: Any
) -> Prediction:
    finding, kind = FINDINGS[row % len(FINDINGS)], KINDS[row % len(KINDS)]
    said = read(rng, truth, skill)
    gold = "yes" if truth[finding] else "no"
    answer = "yes" if said[finding] else "no"
    text = prompts.render(prose(said), answer)
    broken = rng.random() < 0.03
    text = text.replace("</answer>", "") if broken else text
    words = text.replace("<", " <").split(" ")[1:]
    probabilities = [round(rng.betavariate(6, 1), 4) for _ in words]
    counts = [sum(said[f] == truth[f] for f in FINDINGS), *[sum(said[f] != truth[f] for f in FINDINGS)] * 2]
    return Prediction(
        **{
            "id": f"q{row}",
            "image_ids": (f"film{row}",),
            "question": f"Is there {finding} on this film?",
            "answer": (gold,),
            "explanation": prompts.render(prose(truth), gold),
            "generated_text": text,
            "is_correct": not broken and answer == gold,
            "correct_clinical": not broken and answer == gold,
            "correct_no_format_gate": not broken and answer == gold,
            "correct_substring": gold in text.lower(),
            "parse_status": "unclosed" if broken else "ok",
            "generated_tokens": tuple(" " + word for word in words),
            "token_ids": tuple(range(len(words))),
            "token_probabilities": tuple(probabilities),
            "graph_reference": graph(truth).to_dict(),
            "graph_predicted": (Graph() if broken else graph(said)).to_dict(),
            "kind": kind,
            "question_type": "presence" if row % 2 else "location",
            "subject_id": patient,
            "predicted_answer": None if broken else answer,
            "scene_counts": tuple(counts),
            "clinical": clinical_figures(prose(truth), "" if broken else prose(said)),
            "present_findings": {
                "reference": [f for f in FINDINGS if truth[f]],
                "predicted": [] if broken else [f for f in FINDINGS if said[f]],
            },
            "consistency": None if broken else "entails",
            **fields,
        }
    )


def predictions(number: int, *, skill: float = 0.6, seed: int = 0, per_patient: int = 4) -> list[Prediction]:
    """`number` predictions; the same seed of scenes for every skill, so that arms can be paired."""
    scenes, reader = random.Random(1), random.Random(f"{seed} {skill}")
    return [prediction(reader, row, scene(scenes), f"p{row // per_patient}", skill) for row in range(number)]


def with_images(rows: Sequence[Prediction], paths: Sequence[str]) -> list[Prediction]:
    return [dataclasses.replace(row, image_paths=(paths[i % len(paths)],)) for i, row in enumerate(rows)]


def write(path: Path, rows: Sequence[Prediction]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row.to_dict()) + "\n" for row in rows), encoding="utf-8")
    return path
