"""How good is a completion, given its reference? One pure function that every reward calls."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chexphi import answers, prompts, ranges
from chexphi.compat import Compat, canonical, is_original
from chexphi.graph import claims
from chexphi.graph import match as matching
from chexphi.graph.clinical.compare import ClinicalMatch
from chexphi.graph.match import GraphMatch
from chexphi.graph.ontology_terms import with_ontology
from chexphi.graph.open import open_extractor
from chexphi.graph.types import Extractor, Graph
from chexphi.prompts import Parsed, ParseStatus
from chexphi.rewards import columns, original, rules, settings
from chexphi.rewards.combine import Scheme
from chexphi.rewards.explain.evidence import Evidence
from chexphi.rewards.reading import Reading, compare_findings, read
from chexphi.rewards.repetitions import repeated
from chexphi.rewards.rules import CLINICAL, AnswerRule, GraphRule
from chexphi.rewards.scored import Score, parts_of
from chexphi.rewards.verdicts import value_of, verdict_of
from chexphi.schema import InputError, type_shown


def gold_answer(solution: str, answer: Sequence[str] | None = None) -> Sequence[str] | None:
    """The reference labels: `answer`, or without it the solution's `<answer>`; None without both."""
    if answer:
        return answer
    stated_answer = prompts.parse(solution).answer
    return [stated_answer] if stated_answer else None


def accuracy(parsed: Parsed, gold: Sequence[str] | None, rule: AnswerRule = AnswerRule()) -> float | None:  # noqa: B008 (frozen)
    """R_acc: the answer against the reference's; None where the reference has none.

    With the format gate the answer of a malformed completion earns 0, whatever its status. Without the gate
    an answer counts wherever it can be read: one closed `<answer>` is enough.
    """
    if gold is None or not answers.labels(gold):
        return None
    if parsed.answer is None or (rule.format_gate and parsed.status is not ParseStatus.ok):
        return 0.0
    return answers.score(parsed.answer, gold, rule.match)  # type: ignore[arg-type]


def is_right(parsed: Parsed, gold: Sequence[str] | None, rule: AnswerRule = AnswerRule()) -> bool | None:  # noqa: B008 (frozen)
    """Whether the answer earns the whole of R_acc; None where the reference has no answer.

    `evaluate`, `ask` and `mine score` ask here, each with its rule.
    """
    earned = accuracy(parsed, gold, rule)
    return None if earned is None else earned == 1


def reasoning(parsed: Parsed) -> str:
    """The text that the graph is read from: the think part of a well-formed completion, else empty."""
    return parsed.think or "" if parsed.status is ParseStatus.ok else ""


@dataclass(frozen=True, slots=True)
class GraphScore:
    """R_kg of one completion and the figures behind it."""

    value: float | None
    """In [0, 1]; None where the reference has nothing to compare with."""
    match: GraphMatch | None
    """Counts of the comparison; None where the reference has no graph."""
    agreement: float | None
    """Share of the reference's claims that are not contradicted; None where it has no graph."""
    clinical: ClinicalMatch | None = None
    """The comparison of both texts' findings, where the measure is `clinical`."""


def score_graph(
    parsed: Parsed,
    predicted: Reading,
    reference: Reading,
    rule: GraphRule = GraphRule(),  # noqa: B008 (frozen)
    *,
    reference_reasoning: str = "",
) -> GraphScore:
    """R_kg: the graph of the reasoning against the reference's.

    Args:
        parsed: The completion. A malformed one counts as an empty graph and earns 0 at most.
        predicted: What its reasoning says.
        reference: What the reference's reasoning says.
        rule: How the two are compared. `chexphi.graph.match.score` says what a part is worth that is empty on
            both sides, `chexphi.graph.claims` what a contradiction is, and `chexphi.rewards.repetitions` what
            a repetition is: a statement made ten times pays a tenth, unless the reference repeats it too.
            The measure `clinical` prices contradictions itself (`chexphi.graph.clinical.compare`).
        reference_reasoning: The reference's text, in which only repetitions are counted.
    """
    ok = parsed.status is ParseStatus.ok
    stated_reading = predicted if ok else Reading()
    compared = matching.compare(stated_reading.graph, reference.graph)
    agreement = claims.agreement(stated_reading.graph, reference.graph) if reference.graph else None
    findings_match = None
    if rule.measure == CLINICAL:
        findings_match = compare_findings(stated_reading, reference, rule.ontology)
        value = findings_match.reward if findings_match else None
    else:
        value = compared.score(rule.measure, rule.empty)
        if value and agreement is not None and rule.contradictions == "discount":
            value *= agreement
    if value is not None and not ok:
        value = 0.0  # also where both graphs are empty and `empty` is "one"
    if value and rule.repetitions == "discount":
        value *= 1 - repeated(reasoning(parsed), reference_reasoning)
    return GraphScore(value, compared if reference.graph else None, agreement, findings_match)


def judge(
    parsed: Parsed,
    predicted: Reading,
    reference: Reading,
    gold: Sequence[str] | None,
    *,
    answer_rule: AnswerRule = AnswerRule(),  # noqa: B008 (frozen)
    graph_rule: GraphRule = GraphRule(),  # noqa: B008 (frozen)
    reference_reasoning: str = "",
    scheme: Scheme = Scheme(),  # noqa: B008 (frozen)
    consistency: float | None = None,
    completion: str = "",
    extractor: Extractor | None = None,
) -> Score:
    """Score a completion that is parsed already and whose reasonings are read: nothing is extracted here.

    In `reference_reasoning`, the reference's text, only repetitions are counted. `consistency` is what the
    verdict on reasoning and answer is worth (`verdicts.value_of`), where the question is known. `completion`
    and `extractor` are for the explanation alone: the text with its tags, and what finds places of mentions.
    """
    accuracy_reward = accuracy(parsed, gold, answer_rule)
    graph = score_graph(parsed, predicted, reference, graph_rule, reference_reasoning=reference_reasoning)
    total = _total(scheme, parts_of(parsed.status, accuracy_reward, graph.value, consistency))
    evidence = Evidence(
        completion, parsed, gold, reference_reasoning, predicted.graph, reference.graph, answer_rule,
        graph_rule, scheme, extractor, clinical=graph.clinical,
    )  # fmt: skip
    return Score(
        parsed.status, accuracy_reward, graph.value, graph.match, graph.agreement, parsed.words, total,
        evidence, graph.clinical, consistency,
    )  # fmt: skip


@functools.cache  # one a process for each file
def _lexicon(ontology: str) -> Extractor:
    return open_extractor("lexicon", ontology=ontology)


def reader_of(extractor: Extractor | None, source: str, ontology: str = "") -> Extractor:
    """What reads the graphs: the extractor itself, or the lexicon where it is None.

    With a file of concepts, `ontology`, the lexicon also reads their terms and words.

    Raises:
        InputError: If it cannot read graphs, such as a name or a rule, where `source` begins the message; or
            if the file has a mistake.
    """
    if extractor is None:
        return _lexicon(ontology)
    if not callable(getattr(extractor, "extract", None)):
        raise InputError(
            f"{source}: its extractor is {type_shown(extractor)}: give open_extractor(NAME), or leave it out "
            "for the lexicon"
        )
    return with_ontology(extractor, ontology)


def score(
    completion: str | Sequence[dict[str, Any]],
    reference: str,
    *,
    answer: str | Sequence[str] | None = None,
    question: str | None = None,
    extractor: Extractor | None = None,
    truncated: bool = False,
    opened_think: bool = False,
    answer_rule: AnswerRule = AnswerRule(),  # noqa: B008 (frozen)
    graph_rule: GraphRule = GraphRule(),  # noqa: B008 (frozen)
    scheme: Scheme = Scheme(),  # noqa: B008 (frozen)
    compat: Compat = "default",
) -> Score:
    """Score one completion against its own reference. Any number of threads may call it.

    >>> reference = "<think>There is a small left effusion.</think><answer>yes</answer>"
    >>> score("<think>No effusion is seen.</think><answer>yes</answer>", reference).parts
    {'external_r1v_acc': 1.0, 'external_kg_jac': 0.0, 'format': 1.0}

    Args:
        completion: The generated text with its tags, or a conversation whose last message it is.
        reference: The reference explanation; a text without tags is a reasoning.
        answer: The reference labels; read from `reference` where absent.
        question: The question with its options. With it the score says whether the reasoning entails its own
            answer.
        extractor: What reads the graphs; by default the lexicon.
        truncated: Whether the completion was cut off at the length limit.
        opened_think: Whether the prompt ended in an open `<think>`, so that the completion begins inside it.
        answer_rule: When an answer is right; see `accuracy`.
        graph_rule: What a graph earns; see `score_graph`.
        scheme: Which rewards make the total, and how.
        compat: `original` computes both rewards as the original does, faults included. Then `answer`,
            `truncated` and all settings of both rules but `measure` have no effect. `seed` means the same.

    Raises:
        InputError: For an unknown value of a setting, if `scheme` names a reward that is not among the parts
            of a `Score`, or for a completion, reference or answer of a wrong type.
    """
    rules.check_rules("score", answer_rule, graph_rule)
    ranges.check_choices("score", {"compat": canonical(compat)}, settings.CHOICES)
    text = prompts.with_prompt(columns.completion_text(completion, "score"), opened_think=opened_think)
    reader = reader_of(extractor, "score", graph_rule.ontology)
    reference = columns.solution_text(reference, "score: the reference")
    labels = columns.row_labels(answer, "score: answer")
    parsed = prompts.parse(text, truncated=truncated)
    gold = gold_answer(reference, labels)
    reference_reasoning = prompts.reference_reasoning(reference)
    if is_original(compat):
        accuracy_reward = original.answer_score(text, reference)
        (graph,) = original.OriginalGraphReward(reader, graph_rule.measure)([text], [reference])
        total = _total(scheme, parts_of(parsed.status, accuracy_reward, graph))
        evidence = Evidence(
            text, parsed, gold, reference_reasoning, Graph(), Graph(), answer_rule, graph_rule, scheme,
            as_original=True,
        )  # fmt: skip
        return Score(parsed.status, accuracy_reward, graph, None, None, parsed.words, total, evidence)
    predicted, read_reference = read([reasoning(parsed), reference_reasoning], reader, graph_rule)
    return judge(
        parsed, predicted, read_reference, gold, answer_rule=answer_rule, graph_rule=graph_rule,
        reference_reasoning=reference_reasoning, scheme=scheme, completion=text, extractor=reader,
        consistency=None
        if question is None
        else value_of(verdict_of(parsed, question, reader, graph_rule.ontology)),
    )  # fmt: skip


def _total(scheme: Scheme, parts: dict[str, float | None]) -> float | None:
    if unknown_name := next((name for name in scheme.rewards if name not in parts), None):
        raise InputError(
            f"score knows no reward {unknown_name!r}: use {', '.join(parts)}, or open it by its name"
        )
    return scheme.total(parts)
