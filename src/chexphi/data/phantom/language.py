"""What is said about drawn films: explanations and captions, each with its exact graph.

The content follows from the perceived scene and the question alone; only the wording is drawn.
So a reader of the film can reach the reference graph without guessing words. An explanation has:

* statements that answer the question;
* then up to two other findings that are present: the same finding elsewhere first, then in the order of
  `FINDINGS`;
* then what is normal or absent, in the order of `FINDINGS`, starting after the finding in question.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chexphi import prompts
from chexphi.data.phantom.facts import union, zone_name
from chexphi.data.phantom.frames import Wording
from chexphi.data.phantom.perceive import perturb
from chexphi.data.phantom.questions import Question, ask, ask_caption
from chexphi.data.phantom.scene import DEVICES, FINDINGS, ZONED, Finding, Scene
from chexphi.data.phantom.statements import Speaker, Statement
from chexphi.data.phantom.targets import DISORDERS, in_zone, statuses
from chexphi.data.phantom.truth import scene_graph, scene_match
from chexphi.graph.types import Graph

__all__ = ["Explanation", "ask", "caption", "explain", "perturb", "scene_graph", "scene_match"]

MAX_PRESENT = 3
"""Most sentences about what is present, before what is absent or normal."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Reasoning, answer, and the graph of the reasoning, exact by construction."""

    think: str
    answer: tuple[str, ...]
    graph: Graph

    @property
    def text(self) -> str:
        """`<think>…</think><answer>…</answer>`"""
        return prompts.render(self.think, ", ".join(self.answer))


@dataclass(frozen=True, slots=True)
class _DirectAnswer:
    """The statements that answer the question, the findings that they cover, and the answer."""

    statements: list[Statement]
    answer: tuple[str, ...]
    mentioned_keys: frozenset[tuple[str, str, str]] = frozenset()
    """Keys of the findings that the statements name as present or resolved."""
    denied: frozenset[str] = frozenset()
    """Names that the statements call absent or normal."""


def explain(rng: random.Random, question: Question, scenes: Sequence[Scene], wording: Wording) -> Explanation:
    """Answer a question from the perceived films.

    Args:
        rng: Draws the wording, never the content.
        question: From `ask`; the scenes may differ from those it was drawn for (see `perturb`).
        scenes: One perceived film, or the prior and the current one.
        wording: Which frames to draw the words from.
    """
    speaker = Speaker(rng, wording)
    direct_answer = _direct_answer(speaker, question, scenes)
    current = scenes[-1]
    name = question.target.finding
    unsaid = [f for f in current.findings if f.key not in direct_answer.mentioned_keys]
    most_further = 1 if len(direct_answer.statements) > 1 else 2
    further_findings = sorted(unsaid, key=lambda f: (f.name != name, f.order))[:most_further]
    if len(direct_answer.mentioned_keys) >= MAX_PRESENT:
        further_findings = []
    statements = direct_answer.statements + _also_present(
        speaker, further_findings, also=bool(direct_answer.mentioned_keys)
    )
    present_names = {key[0] for key in direct_answer.mentioned_keys} | {f.name for f in current.findings}
    covered = direct_answer.denied | present_names
    statements += _absent_or_normal(speaker, name, covered, len(statements))
    return _explanation(statements, direct_answer.answer)


def caption(rng: random.Random, scene: Scene, wording: Wording) -> tuple[str, Explanation]:
    """A request for a report and the complete report: everything present, then everything absent."""
    speaker = Speaker(rng, wording)
    statements = _listing(speaker, scene.findings)
    absent = [name for name in FINDINGS if not scene.has(name)]
    if "cardiomegaly" in absent:
        statements.append(speaker.normal_heart())
        absent.remove("cardiomegaly")
    for group in ([n for n in absent if n not in DEVICES], [n for n in absent if n in DEVICES]):
        if group:
            statements.append(speaker.absent_list(group) if len(group) > 1 else speaker.absent(group[0]))
    present = tuple(name for name in FINDINGS if scene.has(name))
    return ask_caption(rng, wording).text, _explanation(statements, present or ("none",))


def _explanation(statements: Iterable[Statement], answer: tuple[str, ...]) -> Explanation:
    sentences = list(statements)
    return Explanation(
        " ".join(sentence.text for sentence in sentences),
        answer,
        union(sentence.graph for sentence in sentences),
    )


def _also_present(speaker: Speaker, findings: Sequence[Finding], *, also: bool) -> list[Statement]:
    if len(findings) == 2:
        return [speaker.pair(*findings, also=also)]
    return [speaker.present(finding, also=also) for finding in findings]


def _listing(speaker: Speaker, findings: Sequence[Finding]) -> list[Statement]:
    """Two findings in a sentence while more than two remain, then one in each."""
    statements: list[Statement] = []
    remaining = list(findings)
    while remaining:
        size = 2 if len(remaining) > 2 else 1
        statements += _also_present(speaker, remaining[:size], also=bool(statements))
        remaining = remaining[size:]
    return statements


def _absent_or_normal(
    speaker: Speaker, name: str, covered: frozenset[str], sentence_count: int
) -> list[Statement]:
    """Statements about what is absent or normal: more of them after fewer sentences."""
    start = FINDINGS.index(name) + 1 if name else 0
    absent = [n for n in (*FINDINGS[start:], *FINDINGS[:start]) if n not in covered]
    heart = "cardiomegaly" in absent
    absent_names = [n for n in absent if n != "cardiomegaly"]
    if sentence_count >= 3:
        return [speaker.absent(absent_names[0])] if absent_names else []
    sentences = (
        [speaker.absent_list(absent_names[:2])]
        if len(absent_names) > 1
        else [speaker.absent(n) for n in absent_names]
    )
    if sentence_count == 1 and heart:
        sentences.append(speaker.normal_heart())
    elif sentence_count == 1 and len(absent_names) > 2:
        sentences.append(speaker.absent(absent_names[2]))
    return sentences


def _direct_answer(speaker: Speaker, question: Question, scenes: Sequence[Scene]) -> _DirectAnswer:
    kind, about = question.kind, question.question_type
    if kind == "compare":
        return _answer_change(speaker, question, scenes)
    if kind == "region":
        return _answer_region(speaker, question, scenes[0])
    if about in ("findings", "devices"):
        return _answer_list(
            speaker, [n for n in FINDINGS if (n in DEVICES) == (about == "devices")], scenes[0]
        )
    return _answer_finding(speaker, question, scenes[0])


def _answer_finding(speaker: Speaker, question: Question, scene: Scene) -> _DirectAnswer:
    """Answer questions of the types presence, side, size, zone and location."""
    target, about = question.target, question.question_type
    findings = [f for f in scene.findings if f.name == target.finding and target.side in ("", f.side)]
    mentioned_keys = frozenset(f.key for f in findings)
    if not findings:
        answer = {"presence": "no", "size": "normal"}.get(about, "not seen")
        if about == "size":
            return _DirectAnswer(
                [speaker.normal_heart()], (answer,), mentioned_keys, frozenset({target.finding})
            )
        return _DirectAnswer(
            [speaker.absent(target.finding, target.side)],
            (answer,),
            mentioned_keys,
            frozenset({target.finding}),
        )
    statements = [speaker.inferred(finding) for finding in findings]
    answers = {
        "presence": ["yes"],
        "size": ["enlarged"],
        "side": [f.side for f in findings],
        "zone": [f.zone for f in findings],
        "location": [zone_name(f.side, f.zone) if f.name in ZONED else f.side for f in findings],
    }[about]
    return _DirectAnswer(statements, tuple(dict.fromkeys(answers)), mentioned_keys)


def _answer_list(speaker: Speaker, names: Sequence[str], scene: Scene) -> _DirectAnswer:
    findings = [f for f in scene.findings if f.name in names]
    if findings:
        labels = tuple(dict.fromkeys(f.name for f in findings))
        return _DirectAnswer(_listing(speaker, findings), labels, frozenset(f.key for f in findings))
    if names[0] in DEVICES:
        return _DirectAnswer([speaker.absent_list(names)], ("none",), denied=frozenset(names))
    return _DirectAnswer([speaker.clear_lungs()], ("none",))


def _answer_region(speaker: Speaker, question: Question, scene: Scene) -> _DirectAnswer:
    target = question.target
    findings = in_zone(scene, target.side, target.zone)
    if target.finding:
        findings = [finding for finding in findings if finding.name == target.finding]
        if not findings:
            statement = speaker.not_in_box(target.finding, target.side, target.zone)
            return _DirectAnswer([statement], ("no",), denied=frozenset({target.finding}))
    names = tuple(finding.name for finding in findings)
    statement = speaker.in_box(names, target.side, target.zone)
    return _DirectAnswer(
        [statement], ("yes",) if target.finding else names or ("none",), frozenset(f.key for f in findings)
    )


def _answer_change(speaker: Speaker, question: Question, scenes: Sequence[Scene]) -> _DirectAnswer:
    target, about = question.target, question.question_type
    if not target.finding:
        names = FINDINGS if about == "new" else DISORDERS
        changes = [(f, s) for f, s in statuses(scenes, names) if s == about]
        answer = tuple(dict.fromkeys(f.name for f, _ in changes)) or ("none",)
        nothing = [] if changes else [speaker.nothing_changed(about)]
    else:
        changes = statuses(scenes, [target.finding], target.side)
        statuses_found = tuple(dict.fromkeys(s for _, s in changes))
        is_status = ("yes" if about in statuses_found else "no",)
        answer = (statuses_found or ("not seen",)) if about == "change" else is_status
        nothing = [] if changes else [speaker.absent(target.finding, target.side)]
    mentioned_keys = frozenset(f.key for f, _ in changes)
    denied = frozenset() if changes or not target.finding else frozenset({target.finding})
    return _DirectAnswer(
        [speaker.changed(f, s) for f, s in changes] or nothing, answer, mentioned_keys, denied
    )
