"""The scores whose agreement is asked for: each is a function of a candidate and a reference text."""

from __future__ import annotations

import functools
import importlib.util
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chexphi import prompts
from chexphi.graph.clinical.compare import compare
from chexphi.graph.clinical.tidy import tidy
from chexphi.graph.findings.ontology import open_ontology
from chexphi.graph.open import open_extractor
from chexphi.graph.service import Service
from chexphi.graph.types import Extractor
from chexphi.prompts import Parsed, ParseStatus
from chexphi.rewards import by_name, radeval_reward
from chexphi.rewards.checked import CheckedReward
from chexphi.rewards.reading import Reading, read
from chexphi.rewards.rules import CLINICAL, GraphRule
from chexphi.rewards.score import score_graph
from chexphi.schema import InputError, shown, type_shown

TextScore = Callable[[str, str], float]
"""The score of a candidate text (first) against its reference (second); the higher, the better."""
_ANSWER = "yes"
"""Candidate and reference have the same answer where a reward wants one: only their reasonings differ."""


def graph_score(measure: str, extractor: Extractor) -> TextScore:
    """The graph reward of a text as a reasoning, by the default rule with this measure.

    A reference without a graph has nothing to compare with. A text then earns 1 if it has none either, else
    0: a score of people's judgements has to say something of each text.
    """
    rule = GraphRule(measure)

    def score(candidate: str, reference: str) -> float:
        predicted, truth = read([candidate, reference], extractor, rule)
        parsed = Parsed(candidate, _ANSWER, ParseStatus.ok)
        value = score_graph(parsed, predicted, truth, rule, reference_reasoning=reference).value
        return float(not predicted.graph) if value is None else value

    return score


def clinical_score(extractor: Extractor) -> TextScore:
    """The clinical comparison of two reports, for reports of different patients; in (0, 1].

    The reward of training is the same comparison with silence at 0 (`ClinicalMatch.reward`).
    """
    rule = GraphRule(CLINICAL)
    ontology = open_ontology()

    def score(candidate: str, reference: str) -> float:
        said, truth = read([candidate, reference], extractor, rule)
        return compare(said.findings, truth.findings, ontology).score

    return score


def count_score(extractor: Extractor) -> TextScore:
    """(shared + 1) / (union + 1) of the concepts of what is claimed: the baseline to beat.

    Normal and absent findings, places, degrees and significance do not count.
    """
    rule = GraphRule(CLINICAL)
    ontology = open_ontology()

    def concepts(reading: Reading) -> frozenset[str]:
        return frozenset(f.concept for f in tidy(reading.findings, ontology) if f.present)

    def score(candidate: str, reference: str) -> float:
        claimed, expected = map(concepts, read([candidate, reference], extractor, rule))
        return (len(claimed & expected) + 1) / (len(claimed | expected) + 1)

    return score


SCORES: dict[str, Callable[[Extractor], TextScore]] = {
    "jaccard": functools.partial(graph_score, "jaccard"),
    "f1": functools.partial(graph_score, "f1"),
    "clinical": clinical_score,
    "counts": count_score,
}
"""Scores by name, each made with what reads graphs. A new one is one line here."""
RADEVAL = ("radeval:bleu", "radeval:rouge:rougeL")
"""Metrics of RadEval that need no weights: asked by default where the library is installed."""


def default_names() -> tuple[str, ...]:
    """All scores that can be had here without weights."""
    return (*SCORES, *(RADEVAL if importlib.util.find_spec("radeval") else ()))


def open_scores(names: Sequence[str], extractor: str = "lexicon") -> dict[str, TextScore]:
    """The scores by name, in this order.

    Args:
        names: Names in `SCORES`, `radeval:METRIC[:KEY]`, or `package.module:callable`, a reward as TRL calls
            it.
        extractor: What reads graphs; see `open_extractor`.

    Raises:
        InputError: For a name that is not known or given twice, a library or function that is not there, or
            an extractor that cannot be opened.
    """
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"--rewards names {twice} twice: name each score once")
    if unknown := next((name for name in names if name not in SCORES and ":" not in name), None):
        raise InputError(
            f"--rewards has no score {shown(unknown)}: use {', '.join(SCORES)}, radeval:METRIC or "
            "package.module:callable"
        )
    reader = open_extractor(extractor)
    if isinstance(reader, Service):
        reader.memory = 0  # a sample's time is that of sentences that were not read before
    return {name: SCORES[name](reader) if name in SCORES else _foreign_score(name) for name in names}


def _foreign_score(name: str) -> TextScore:
    if name.startswith("radeval:"):
        return _radeval_score(name)
    reward = CheckedReward(name, by_name.find_callable(name))

    def score(candidate: str, reference: str) -> float:
        completion, solution = (prompts.render(text, _ANSWER) for text in (candidate, reference))
        (value,) = reward([completion], solution=[solution], answer=[[_ANSWER]])
        if value is None:
            raise InputError(f"reward {name} cannot score a text: let it return a number for each")
        return value

    return score


def _radeval_score(name: str) -> TextScore:
    metric = radeval_reward.open_metric(name)

    def score(candidate: str, reference: str) -> float:
        has_words = [any(map(str.isalpha, text)) for text in (candidate, reference)]
        if not all(has_words):  # an empty list of findings: some metrics fail or pay for nothing
            return float(not any(has_words))
        values = list(metric(completions=[candidate], ground_truth=[reference]))
        if len(values) != 1 or not isinstance(values[0], int | float) or not math.isfinite(values[0]):
            kind = type_shown(values[0]) if len(values) == 1 else f"{len(values)} values"
            raise InputError(f"{name} returned {kind} for a text: drop this metric")
        return float(values[0])

    return score


@dataclass(frozen=True)
class Scored:
    """What a score says of texts, and how long that took."""

    values: tuple[float, ...]
    seconds: tuple[float, ...]
    """Of each text, on the clock."""


def score_texts(
    score: TextScore, pairs: Sequence[tuple[str, str]], step: Callable[[], object] = lambda: None
) -> Scored:
    """Score (candidate, reference) pairs one by one, each as if nothing was read before.

    Args:
        score: The score.
        pairs: Candidate and reference texts.
        step: Called after each pair.
    """
    values, seconds = [], []
    for candidate, reference in pairs:
        _forget_texts()
        start = time.perf_counter()
        values.append(score(candidate, reference))
        seconds.append(time.perf_counter() - start)
        step()
    return Scored(tuple(values), tuple(seconds))


def _forget_texts() -> None:
    """Empty our caches of what texts gave, so that no score profits from what another one has read.

    They are the ones with a bound; those without hold tables of terms.
    """
    for module in [module for name, module in sys.modules.items() if name.startswith("chexphi.")]:
        for function in vars(module).values():
            parameters = getattr(function, "cache_parameters", None)
            if parameters and parameters()["maxsize"] is not None:
                function.cache_clear()


def value_range(values: Sequence[float]) -> float:
    """The range of a score: 1 for one in [0, 1], else what its values span.

    >>> value_range([0.2, 0.9]), value_range([-1.0, 0.5])
    (1.0, 1.5)
    """
    low, high = min(values), max(values)
    return 1.0 if low >= 0 and high <= 1 else high - low
