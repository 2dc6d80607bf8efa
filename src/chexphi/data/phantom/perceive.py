"""The imperfect writer: what someone who mostly under-reports believes to see on a film."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from chexphi.data.phantom.scene import FINDINGS, LOCATIONS, Finding, Scene

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
        rng: Draws the errors.
        scenes: The true films: one, or prior and current.
        omit: Probability that a finding is not seen at all.
        move: Probability that a finding which is seen gets another side or zone.
        invent: Probability that a finding which no film shows is seen on the current film (of two films:
            on one of them or on both, a third each).

    Returns:
        Scenes with the same builds and seeds. A finding is not moved to an occupied location.
    """
    truth = {finding.key: finding for scene in scenes for finding in scene.findings}
    perceived_keys: dict[Key, Key] = {}
    for key in sorted(truth):
        if rng.random() >= omit:
            perceived_keys[key] = (
                _moved(rng, key, {*truth, *perceived_keys.values()}) if rng.random() < move else key
            )
    perceived = [
        [_at_key(f, perceived_keys[f.key]) for f in s.findings if f.key in perceived_keys] for s in scenes
    ]
    for name in FINDINGS:
        if any(key[0] == name for key in truth) or rng.random() >= invent:
            continue
        side, zone = rng.choice(LOCATIONS[name])
        film_indices = rng.choice([films for films in ([0], [1], [0, 1]) if max(films) < len(scenes)])
        for index in film_indices:
            perceived[index].append(Finding(name, side, zone))
    return tuple(dataclasses.replace(s, findings=tuple(fs)) for s, fs in zip(scenes, perceived, strict=True))


def _at_key(finding: Finding, key: Key) -> Finding:
    return dataclasses.replace(finding, side=key[1], zone=key[2])


def _moved(rng: random.Random, key: Key, occupied: set[Key]) -> Key:
    free = [(key[0], *location) for location in LOCATIONS[key[0]] if (key[0], *location) not in occupied]
    return rng.choice(free) if free else key
