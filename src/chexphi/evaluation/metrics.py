"""Each metric of `evaluate` as one record: its key in JSON, what people read of it, how it is computed.

A new metric is one record in `METRICS`: the summary, the tables on the terminal and the report have it then.
"""

from __future__ import annotations

from chexphi.evaluation.metric import Metric, mean, micro
from chexphi.evaluation.scored_predictions import (
    clinical_figure,
    contradicts_itself,
    majority_answers,
    present_counts,
    reasoning_words,
    scene_counts,
    share_of_weights,
    wrong_findings,
    wrong_reason,
)
from chexphi.prompts import ParseStatus
from chexphi.statistics.ratio import Ratio

METRICS: tuple[Metric, ...] = (
    *micro(
        "present",
        "findings that are present",
        "all examples' findings that are claimed to be present, by name, against the reference's; what is "
        "denied does not count",
        lambda scored: [present_counts(prediction) for prediction in scored.predictions],
        label="present findings",
        on_page=True,
    ),
    Metric(
        "accuracy",
        "strict accuracy",
        "the answer, read from its tags, equals the reference as a set of labels, in a completion that is "
        "not malformed: what the answer reward pays",
        mean(lambda prediction: prediction.is_correct),
        by_group=True,
    ),
    Metric(
        "accuracy_majority",
        "commonest answer",
        "what strict accuracy would be with the commonest reference answer to each type of question",
        majority_answers,
        better="neither",
        below="accuracy",
        by_group=True,
        on_page=False,
    ),
    Metric(
        "accuracy_clinical",
        "clinical accuracy",
        "the same, but the same meaning is enough: LLL is left lower lobe, 0.5 cm is 5 mm",
        mean(lambda prediction: prediction.correct_clinical),
        on_page=False,
    ),
    Metric(
        "accuracy_no_format_gate",
        "strict accuracy, no format gate",
        "strict accuracy that also counts a right answer in a malformed completion",
        mean(lambda prediction: prediction.correct_no_format_gate),
        on_page=False,
    ),
    Metric(
        "accuracy_substring",
        "substring accuracy",
        "a reference label occurs anywhere in the text (the original's metric)",
        mean(lambda prediction: prediction.correct_substring),
        by_group=True,
        on_page=False,
    ),
    Metric(
        "graph_f1",
        "graph F1",
        "mean over examples: the entities and relations of the reasoning against the reference's",
        lambda scored: Ratio.mean(scored.graph_f1),
        by_group=True,
    ),
    *micro(
        "entity",
        "entities",
        "all examples' entities added up; a finding and its negation are two entities",
        lambda scored: [None if match is None else match.entities for match in scored.matches],
    ),
    *micro(
        "relation",
        "relations",
        "the same of relations, with the polarity of both ends",
        lambda scored: [None if match is None else match.relations for match in scored.matches],
    ),
    *micro(
        "scene",
        "findings",
        "what the reasoning states against what was really drawn, not against the reference text",
        lambda scored: [scene_counts(prediction) for prediction in scored.predictions],
        on_page=True,
    ),
    Metric(
        "clinical",
        "clinical score",
        "mean over examples: the findings of the reasoning against the reference's, each by its clinical "
        "significance; 0 is no better than saying nothing",
        mean(lambda prediction: clinical_figure(prediction, "reward")),
    ),
    Metric(
        "omission",
        "omission",
        "share of the reference's findings that the reasoning leaves out, by their significance",
        lambda scored: share_of_weights(scored, "omission"),
        better="lower",
    ),
    Metric(
        "hallucination",
        "hallucination",
        "share of the findings that the reasoning claims which the reference does not have, by significance",
        lambda scored: share_of_weights(scored, "hallucination"),
        better="lower",
    ),
    Metric(
        "wrong_findings",
        "right for the wrong reason",
        "share of right answers whose reasoning contradicts its own answer or the reference, or invents a "
        "finding",
        wrong_findings,
        better="lower",
    ),
    Metric(
        "right_for_wrong_reason",
        "right, graph F1 below 0.5",
        "share of right answers whose graph F1 lies below 0.5: the older form of the figure above",
        wrong_reason,
        better="lower",
        on_page=False,
    ),
    Metric(
        "inconsistent",
        "inconsistent",
        "share of answers that contradict their own reasoning, right or wrong",
        mean(contradicts_itself),
        better="lower",
    ),
    Metric(
        "malformed",
        "malformed",
        "completions whose reasoning or answer cannot be read, or that were cut off",
        mean(lambda prediction: prediction.parse_status != ParseStatus.ok),
        better="lower",
        on_page=False,
    ),
    Metric(
        "reasoning_words",
        "reasoning, words",
        "mean length of the reasoning",
        mean(reasoning_words),
        digits=1,
        better="neither",
        on_page=False,
    ),
)
"""All metrics, in the order of `summary.json`."""
METRIC = {metric.name: metric for metric in METRICS}
"""By name."""
