"""The imperfect writer: what someone believes to see on a film who mostly under-reports."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from chexphi.data.phantom.scene import FINDINGS, PLACES, Finding, Scene

Key = tuple[str, str, str]


def perturb(
    rng: random.Random,
    scenes: Sequence[Scene],
    *,
    omit: float = 0.6,
    move: float = 0.1,
    invent: float = 0.025,
) -> tuple[Scene, ...]:
    """The scenes as perceived; an error is the same on all films of one question.

    Args:
        rng: Source of the errors.
        scenes: The true films: one, or prior and current.
        omit: Probability that a finding is not seen at all.
        move: Probability that a finding which is seen is put on another side or in another zone.
        invent: Probability that a finding no film shows is seen on the current film (of two films:
            on one of them or on both, a third each).

    Returns:
        Scenes with the same builds and seeds; a move to a place already taken is not made.
    """
    truth = {finding.key: finding for scene in scenes for finding in scene.findings}
    seen: dict[Key, Key] = {}
    for key in sorted(truth):
        if rng.random() >= omit:
            seen[key] = _moved(rng, key, {*truth, *seen.values()}) if rng.random() < move else key
    perceived = [[_placed(f, seen[f.key]) for f in s.findings if f.key in seen] for s in scenes]
    for name in FINDINGS:
        if any(key[0] == name for key in truth) or rng.random() >= invent:
            continue
        side, zone = rng.choice(PLACES[name])
        chosen = rng.choice([films for films in ([0], [1], [0, 1]) if max(films) < len(scenes)])
        for index in chosen:
            perceived[index].append(Finding(name, side, zone))
    return tuple(dataclasses.replace(s, findings=tuple(fs)) for s, fs in zip(scenes, perceived, strict=True))


def _placed(finding: Finding, key: Key) -> Finding:
    return dataclasses.replace(finding, side=key[1], zone=key[2])


def _moved(rng: random.Random, key: Key, taken: set[Key]) -> Key:
    free = [(key[0], *place) for place in PLACES[key[0]] if (key[0], *place) not in taken]
    return rng.choice(free) if free else key
