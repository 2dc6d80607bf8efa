"""What is said about drawn films: explanations and captions, each with its exact graph.

The content follows from what is perceived and from the question alone; only the wording is drawn.
So a reader of the film can reach the reference graph without guessing words:
statements on what was asked, then up to two other findings that are present (the same finding
elsewhere first, then in the order of `FINDINGS`), then what is normal or absent, starting after the
finding asked about and going round in the order of `FINDINGS`.
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
"""Sentences about what is present, before what is absent or normal."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Reasoning, answer, and the graph of the reasoning by construction."""

    think: str
    answer: tuple[str, ...]
    graph: Graph

    @property
    def text(self) -> str:
        """`<think>…</think><answer>…</answer>`"""
        return prompts.render(self.think, ", ".join(self.answer))


@dataclass(frozen=True, slots=True)
class _Asked:
    """The statements on what was asked, which findings they cover, and the answer."""

    statements: list[Statement]
    answer: tuple[str, ...]
    said: frozenset[tuple[str, str, str]] = frozenset()
    """Keys of the findings that were named as present, or as gone."""
    denied: frozenset[str] = frozenset()
    """Names that were said to be absent or normal."""


def explain(rng: random.Random, question: Question, scenes: Sequence[Scene], wording: Wording) -> Explanation:
    """Answer a question from what is perceived on the films.

    Args:
        rng: Draws the wording, never the content.
        question: From `ask`; the scenes need not be those it was asked about (see `perturb`).
        scenes: One perceived film, or the prior and the current one.
        wording: Which frames to draw the words from.
    """
    speaker = Speaker(rng, wording)
    asked = _asked(speaker, question, scenes)
    current = scenes[-1]
    name = question.target.finding
    unsaid = [f for f in current.findings if f.key not in asked.said]
    others = sorted(unsaid, key=lambda f: (f.name != name, f.order))[: 1 if len(asked.statements) > 1 else 2]
    if len(asked.said) >= MAX_PRESENT:
        others = []
    statements = asked.statements + _others(speaker, others, also=bool(asked.said))
    covered = asked.denied | {key[0] for key in asked.said} | {f.name for f in current.findings}
    statements += _closing(speaker, name, covered, len(statements))
    return _joined(statements, asked.answer)


def caption(rng: random.Random, scene: Scene, wording: Wording) -> tuple[str, Explanation]:
    """A request for a report and the complete report: all that is present, then all that is not."""
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
    return ask_caption(rng, wording).text, _joined(statements, present or ("none",))


def _joined(statements: Iterable[Statement], answer: tuple[str, ...]) -> Explanation:
    parts = list(statements)
    return Explanation(" ".join(part.text for part in parts), answer, union(part.graph for part in parts))


def _others(speaker: Speaker, findings: Sequence[Finding], *, also: bool) -> list[Statement]:
    if len(findings) == 2:
        return [speaker.pair(*findings, also=also)]
    return [speaker.present(finding, also=also) for finding in findings]


def _listing(speaker: Speaker, findings: Sequence[Finding]) -> list[Statement]:
    """Two findings a sentence while there are more than two left, then one each."""
    statements: list[Statement] = []
    left = list(findings)
    while left:
        size = 2 if len(left) > 2 else 1
        statements += _others(speaker, left[:size], also=bool(statements))
        left = left[size:]
    return statements


def _closing(speaker: Speaker, name: str, covered: frozenset[str], said: int) -> list[Statement]:
    """What is absent or normal: the less was said so far, the more of it."""
    start = FINDINGS.index(name) + 1 if name else 0
    absent = [n for n in (*FINDINGS[start:], *FINDINGS[:start]) if n not in covered]
    heart = "cardiomegaly" in absent
    plain = [n for n in absent if n != "cardiomegaly"]
    if said >= 3:
        return [speaker.absent(plain[0])] if plain else []
    closing = [speaker.absent_list(plain[:2])] if len(plain) > 1 else [speaker.absent(n) for n in plain]
    if said == 1 and heart:
        closing.append(speaker.normal_heart())
    elif said == 1 and len(plain) > 2:
        closing.append(speaker.absent(plain[2]))
    return closing


def _asked(speaker: Speaker, question: Question, scenes: Sequence[Scene]) -> _Asked:
    kind, about = question.kind, question.question_type
    if kind == "compare":
        return _asked_change(speaker, question, scenes)
    if kind == "region":
        return _asked_region(speaker, question, scenes[0])
    if about in ("findings", "devices"):
        return _asked_list(
            speaker, [n for n in FINDINGS if (n in DEVICES) == (about == "devices")], scenes[0]
        )
    return _asked_finding(speaker, question, scenes[0])


def _asked_finding(speaker: Speaker, question: Question, scene: Scene) -> _Asked:
    """presence, side, size, zone, location."""
    target, about = question.target, question.question_type
    found = [f for f in scene.findings if f.name == target.finding and target.side in ("", f.side)]
    said = frozenset(f.key for f in found)
    if not found:
        answer = {"presence": "no", "size": "normal"}.get(about, "not seen")
        if about == "size":
            return _Asked([speaker.normal_heart()], (answer,), said, frozenset({target.finding}))
        return _Asked(
            [speaker.absent(target.finding, target.side)], (answer,), said, frozenset({target.finding})
        )
    statements = [speaker.inferred(finding) for finding in found]
    answers = {
        "presence": ["yes"],
        "size": ["enlarged"],
        "side": [f.side for f in found],
        "zone": [f.zone for f in found],
        "location": [zone_name(f.side, f.zone) if f.name in ZONED else f.side for f in found],
    }[about]
    return _Asked(statements, tuple(dict.fromkeys(answers)), said)


def _asked_list(speaker: Speaker, names: Sequence[str], scene: Scene) -> _Asked:
    found = [f for f in scene.findings if f.name in names]
    if found:
        labels = tuple(dict.fromkeys(f.name for f in found))
        return _Asked(_listing(speaker, found), labels, frozenset(f.key for f in found))
    if names[0] in DEVICES:
        return _Asked([speaker.absent_list(names)], ("none",), denied=frozenset(names))
    return _Asked([speaker.clear_lungs()], ("none",))


def _asked_region(speaker: Speaker, question: Question, scene: Scene) -> _Asked:
    target = question.target
    here = in_zone(scene, target.side, target.zone)
    if target.finding:
        here = [finding for finding in here if finding.name == target.finding]
        if not here:
            statement = speaker.not_in_box(target.finding, target.side, target.zone)
            return _Asked([statement], ("no",), denied=frozenset({target.finding}))
    names = tuple(finding.name for finding in here)
    statement = speaker.in_box(names, target.side, target.zone)
    return _Asked(
        [statement], ("yes",) if target.finding else names or ("none",), frozenset(f.key for f in here)
    )


def _asked_change(speaker: Speaker, question: Question, scenes: Sequence[Scene]) -> _Asked:
    target, about = question.target, question.question_type
    if not target.finding:
        names = FINDINGS if about == "new" else DISORDERS
        changes = [(f, s) for f, s in statuses(scenes, names) if s == about]
        answer = tuple(dict.fromkeys(f.name for f, _ in changes)) or ("none",)
        nothing = [] if changes else [speaker.nothing_changed(about)]
    else:
        changes = statuses(scenes, [target.finding], target.side)
        found = tuple(dict.fromkeys(s for _, s in changes))
        answer = (found or ("not seen",)) if about == "change" else ("yes" if about in found else "no",)
        nothing = [] if changes else [speaker.absent(target.finding, target.side)]
    said = frozenset(f.key for f, _ in changes)
    denied = frozenset() if changes or not target.finding else frozenset({target.finding})
    return _Asked([speaker.changed(f, s) for f, s in changes] or nothing, answer, said, denied)
