"""The card of one film: pictures, coloured reasoning, both graphs, token confidence."""

from __future__ import annotations

import base64
import io
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chexphi import prompts
from chexphi.data.images import load_image
from chexphi.data.references import is_uri
from chexphi.evaluation.scored_predictions import graph_match, has_wrong_reason
from chexphi.graph.clinical.wording import both_phrases
from chexphi.graph.open import open_extractor
from chexphi.graph.types import LABEL_WORDS, Entity, Graph, Relation
from chexphi.report.parts import FilmExample
from chexphi.rewards.reading import compare_findings, read
from chexphi.rewards.rules import CLINICAL, GraphRule
from chexphi.schema import InputError, Prediction

DISPLAY_WIDTH = 256
"""Width of a film on the page in px (`--film-width` of `templates/style.css`); smaller films are enlarged
without smoothing."""
MAX_SIDE = 512
"""Longest side in px of a film in the page."""
UNSURE_BELOW = 0.5
"""Tokens with a lower probability are underlined."""


def embed(reference: str) -> dict[str, Any] | None:
    """A film as a PNG inside the page, decoded as for the policy; None where it cannot be read."""
    try:
        path = reference if is_uri(reference) else os.path.abspath(reference)
        film = load_image(path, Path(Path(path).anchor))
    except InputError:
        return None
    film.thumbnail((MAX_SIDE, MAX_SIDE))
    red, *other_channels = film.split()
    if all(channel.tobytes() == red.tobytes() for channel in other_channels):
        film = red  # one channel of a grey film is enough
    buffer = io.BytesIO()
    film.save(buffer, "PNG", optimize=True)
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {"uri": uri, "width": film.width, "height": film.height, "enlarged": film.width < DISPLAY_WIDTH}


def pieces(text: str, graph: Graph) -> list[dict[str, str]]:
    """The text cut at the graph's entities: `{"text", "label", "title"}`, with empty labels between them."""
    labels: dict[str, list[str]] = {}
    for entity, label in sorted(graph.entities):
        labels.setdefault(entity, []).append(label)
    if not labels:
        return [{"text": text, "label": "", "title": ""}]
    words = sorted(labels, key=len, reverse=True)
    pattern = "|".join(r"\s+".join(map(re.escape, word.split())) for word in words if word.strip())
    text_pieces: list[dict[str, str]] = []
    end = 0
    for hit in re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", text, re.IGNORECASE):
        names = labels.get(" ".join(hit[0].lower().split()), ["concept"])
        if hit.start() > end:
            text_pieces.append({"text": text[end : hit.start()], "label": "", "title": ""})
        title = " and ".join(LABEL_WORDS[name] for name in names)
        text_pieces.append({"text": hit[0], "label": names[0], "title": title})
        end = hit.end()
    return [*text_pieces, {"text": text[end:], "label": "", "title": ""}]


def _status(item: Any, reference: frozenset[Any], predicted: frozenset[Any]) -> str:
    if item in reference:
        return "matched" if item in predicted else "missed"
    return "invented"


def _chip(entity: Entity, status: str) -> dict[str, str]:
    text, label = entity
    return {"text": text, "label": label, "group": LABEL_WORDS[label], "status": status}


def graph_rows(reference: Graph, predicted: Graph) -> list[dict[str, Any]]:
    """Every relation of either graph, then the entities without a relation, as matched, missed or invented.

    Entities have a status of their own: a relation can be invented between two matched entities.
    """
    rank = {"matched": 0, "missed": 1, "invented": 2}

    def chip(entity: Entity) -> dict[str, str]:
        return _chip(entity, _status(entity, reference.entities, predicted.entities))

    def edge(relation: Relation) -> dict[str, Any]:
        head, kind, tail = relation
        status = _status(relation, reference.relations, predicted.relations)
        return {"status": status, "head": chip(head), "type": kind.replace("_", " "), "tail": chip(tail)}

    relations = reference.relations | predicted.relations
    linked_entities = {end for head, _, tail in relations for end in (head, tail)}
    edges = [edge(relation) for relation in sorted(relations)]
    lone = [
        {**chip(e), "head": chip(e), "type": "", "tail": None}
        for e in sorted((reference | predicted).entities - linked_entities)
    ]
    groups = (sorted(group, key=lambda row: rank[str(row["status"])]) for group in (edges, lone))
    return [row for group in groups for row in group]


def counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    """How many rows are matched, missed, invented."""
    return {
        status: sum(row["status"] == status for row in rows) for status in ("matched", "missed", "invented")
    }


def tokens(prediction: Prediction) -> list[dict[str, Any]]:
    """The generated tokens with their probabilities; empty where these were not recorded."""
    probabilities = prediction.token_probabilities or tuple(map(math.exp, prediction.token_logprobs))
    if len(probabilities) != len(prediction.generated_tokens):
        return []
    return [
        {"text": text, "p": p, "alpha": round(max(0.0, min(1.0, 1 - p)), 2), "unsure": p < UNSURE_BELOW}
        for text, p in zip(prediction.generated_tokens, probabilities, strict=True)
    ]


CONSISTENCY_WORDS = {
    "entails": "follows from the reasoning",
    "silent": "the reasoning is silent on it",
    "contradicts": "contradicts the reasoning",
}
"""What the badge beside an answer says."""


def finding_rows(prediction: Prediction, reasoning: str, ontology: str = "") -> list[dict[str, str]]:
    """What became of each finding of both reasonings, the worst first: `kind`, `text`, `why`, `weight`."""
    texts = (reasoning, prompts.reference_reasoning(prediction.explanation))
    claimed, expected = read(
        texts, open_extractor("lexicon", ontology=ontology), GraphRule(CLINICAL, ontology=ontology)
    )
    match = compare_findings(claimed, expected, ontology)
    if match is None:
        return []
    return [
        {
            "kind": item.kind,
            "text": both_phrases(item),
            "why": ", ".join(item.reasons),
            "weight": f"{item.weight:g}",
        }
        for item in match.worst_first
    ]


def _graph(row: Mapping[str, Any] | None) -> Graph:
    return Graph.from_dict(dict(row)) if row else Graph()


def reading(arm: str, prediction: Prediction, ontology: str = "") -> dict[str, Any]:
    """What one arm wrote about the film."""
    parsed = prompts.parse(prediction.generated_text, opened_think=prediction.opened_think)
    reference, predicted = _graph(prediction.graph_reference), _graph(prediction.graph_predicted)
    extracted = prediction.graph_reference is not None and prediction.graph_predicted is not None
    rows = graph_rows(reference, predicted) if extracted else []
    match = graph_match(prediction)
    malformed = "" if prediction.parse_status == "ok" else prediction.parse_status.replace("_", " ")
    return {
        "arm": arm,
        "right": prediction.is_correct,
        "wrong_reason": prediction.is_correct and bool(has_wrong_reason(prediction)),
        "consistency": CONSISTENCY_WORDS.get(prediction.consistency or "", ""),
        "is_inconsistent": prediction.consistency == "contradicts",
        "findings": finding_rows(prediction, parsed.think or "", ontology),
        "answer": prediction.predicted_answer or parsed.answer or "",
        "malformed": malformed,
        "raw": prediction.generated_text if malformed else "",
        "reasoning": pieces(parsed.think or "", predicted),
        "rows": rows,
        "counts": counts(rows),
        "f1": "not scorable" if match is None else f"F1 {match.f1:.2f}",
        "tokens": tokens(prediction),
    }


def card(film: FilmExample, number: int) -> dict[str, Any]:
    """Everything the template of a film needs."""
    example = next(iter(film.predictions.values()))
    reference = _graph(example.graph_reference)
    captions = ["film"] if len(film.images) == 1 else ["prior film", "current film"]
    captions += [f"film {i + 1}" for i in range(len(captions), len(film.images))]
    return {
        "number": number,
        "id": film.id,
        "kind": example.kind,
        "question_type": example.question_type,
        "images": [
            {"caption": caption, "film": embed(image)}
            for caption, image in zip(captions[: len(film.images)], film.images, strict=True)
        ],
        "question": example.question,
        "answer": ", ".join(example.answer),
        "reasoning": pieces(prompts.reference_reasoning(example.explanation), reference),
        "rows": graph_rows(reference, reference),
        "readings": [
            reading(arm, prediction, film.ontology_of_arm[arm])
            for arm, prediction in film.predictions.items()
        ],
    }
