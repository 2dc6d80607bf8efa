"""Where each part of a reward comes from, in one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chexphi.graph import claims
from chexphi.graph import match as matching
from chexphi.graph.clinical.wording import line
from chexphi.graph.match import Counts
from chexphi.graph.types import Graph
from chexphi.number_text import figure_text
from chexphi.prompts import ParseStatus
from chexphi.rewards.combine import ACCURACY, CONSISTENCY, FORMAT, GRAPH, Scheme
from chexphi.rewards.explain.evidence import Evidence
from chexphi.rewards.repetitions import repeated
from chexphi.rewards.rules import CLINICAL
from chexphi.rewards.verdicts import VALUES

MALFORMED = {
    ParseStatus.no_think: "there is no <think> section",
    ParseStatus.no_answer: "there is no <answer> section",
    ParseStatus.unclosed: "a tag lacks its partner, or sections overlap",
    ParseStatus.several_answers: "there are several <answer> sections",
    ParseStatus.empty_think: "the <think> section is empty",
    ParseStatus.truncated: "the length limit cut it",
}


SAYS = {"entails": "entails", "silent": "says nothing of", "contradicts": "contradicts"}
"""Verdicts on consistency in plain words."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A part of a reward, its value, and why."""

    reward: str
    """Its public name, or `total`."""
    value: float | None
    """None: the reference cannot be scored."""
    why: str
    factors: tuple[float, ...] = ()
    """Of the graph reward, where it is the product of: the comparison, contradictions, repetitions."""


def reasons(
    evidence: Evidence, rewards: Mapping[str, float | None], total: float | None
) -> tuple[Reason, ...]:
    """One for each part of the reward, and the total last."""
    status = evidence.parsed.status
    form = "one reasoning and one answer" if status is ParseStatus.ok else f"{status}: {MALFORMED[status]}"
    return (
        Reason(FORMAT, rewards[FORMAT], form),
        Reason(ACCURACY, rewards[ACCURACY], _answer(evidence, rewards[ACCURACY])),
        _graph(evidence, rewards[GRAPH]),
        *_consistency(rewards),
        Reason("total", total, _total(evidence.scheme, rewards)),
    )


def _answer(evidence: Evidence, value: float | None) -> str:
    rule, parsed = evidence.answer_rule, evidence.parsed
    if evidence.as_original:
        return "as the original compares answers"
    if value is None or evidence.gold is None:
        return "the reference has no answer"
    if parsed.answer is None:
        return "no answer can be read"
    if rule.format_gate and parsed.status is not ParseStatus.ok:
        return "the completion is malformed"
    verb = "is" if value == 1 else "is not" if value == 0 else "is partly"
    return f"{parsed.answer!r} {verb} {', '.join(evidence.gold)!r} ({rule.match})"


def _graph(evidence: Evidence, value: float | None) -> Reason:
    if evidence.as_original:
        return Reason(GRAPH, value, "as the original compares graphs: not explained")
    if value is None:
        return Reason(GRAPH, value, "the reference's reasoning has no graph")
    is_ok = evidence.parsed.status is ParseStatus.ok
    if not is_ok and not evidence.reference:
        return Reason(GRAPH, value, "malformed")
    if evidence.graph_rule.measure == CLINICAL:
        return _clinical(evidence, value)
    rule, predicted = evidence.graph_rule, evidence.predicted if is_ok else Graph()
    match = matching.compare(predicted, evidence.reference)
    base = match.score(rule.measure, rule.empty) or 0.0
    count_texts = [
        f"{name} {_counts(counts)}: {figure_text(counts.f1 if rule.measure == 'f1' else counts.jaccard)}"
        for name, counts in (("entities", match.entities), ("relations", match.relations))
        if not counts.empty
    ]
    lines = ["malformed: it counts as empty and earns 0"] if not is_ok else []
    lines.append(
        f"{'; '.join(count_texts) or 'both graphs are empty'}; mean {rule.measure} {figure_text(base)}"
    )
    agreement = claims.agreement(predicted, evidence.reference) if evidence.reference else 1.0
    novelty = 1 - repeated(evidence.reasoning, evidence.reference_reasoning)
    factors = [base]
    if agreement < 1 and rule.contradictions == "discount":
        factors.append(agreement)
        count = len(claims.claims(evidence.reference))
        wrong = round((1 - agreement) * count)
        lines.append(f"times {figure_text(agreement)}: {wrong} of {count} claims contradicted")
    if novelty < 1 and rule.repetitions == "discount":
        factors.append(novelty)
        lines.append(f"times {figure_text(novelty)}: a statement is repeated")
    if not is_ok:
        factors.append(0.0)
    return Reason(GRAPH, value, "\n".join(lines), tuple(factors))


def _clinical(evidence: Evidence, value: float) -> Reason:
    """One line for each finding that is not matched as it is, and the sums."""
    found = evidence.clinical
    if found is None or evidence.parsed.status is not ParseStatus.ok:
        return Reason(GRAPH, value, "malformed: it counts as empty and earns 0", (0.0,))
    lines = [line(item) for item in found.judged]
    lines.append(
        f"{figure_text(found.earned)} of {figure_text(found.possible)} earned, {figure_text(found.cost)} "
        f"invented or contradicted; {figure_text(found.reward)}"
    )
    factors = [found.reward]
    novelty = 1 - repeated(evidence.reasoning, evidence.reference_reasoning)
    if novelty < 1 and evidence.graph_rule.repetitions == "discount":
        factors.append(novelty)
        lines.append(f"times {figure_text(novelty)}: a statement is repeated")
    return Reason(GRAPH, value, "\n".join(lines), tuple(factors))


def _consistency(rewards: Mapping[str, float | None]) -> list[Reason]:
    """What the reasoning says of its own answer, where the question is known."""
    if CONSISTENCY not in rewards:
        return []
    value = rewards[CONSISTENCY]
    verdict = next((name for name, worth in VALUES.items() if worth == value), "contradicts")
    return [Reason(CONSISTENCY, value, f"the reasoning {SAYS[verdict]} its own answer")]


def _counts(counts: Counts) -> str:
    return f"{counts.tp} matched, {counts.fn} missed, {counts.fp} invented"


def _total(scheme: Scheme, rewards: Mapping[str, float | None]) -> str:
    scored = [(name, value) for name in scheme.rewards if (value := rewards[name]) is not None]
    if not scored:
        return "no reward can score this reference"
    weights = scheme.weight()
    if scheme.combine == "product":
        return "product of " + ", ".join(
            f"{name} {figure_text(value)}{_power(weights[name])}" for name, value in scored
        )
    closed_names = scheme.closed(rewards)
    paid = [(name, value) for name, value in scored if name not in closed_names]
    text = " + ".join(f"{_weight(weights[name])}{name} {figure_text(value)}" for name, value in paid)
    if not closed_names:
        return text
    return f"{text or '0'}; the gate {scheme.gate_name} is below {scheme.gate_at:g}"


def _power(weight: float) -> str:
    return "" if weight == 1 else f" ** {weight:g}"


def _weight(weight: float) -> str:
    return "" if weight == 1 else f"{weight:g} * "
