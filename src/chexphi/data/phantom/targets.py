"""The target of a question about given films, drawn so that answers are balanced.

Proportions are our choice. A question about a finding in one *zone* is asked only with a box on the film.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chexphi.data.phantom.scene import (
    DEVICES,
    FINDINGS,
    LOCATIONS,
    PRIORS,
    SIDES,
    ZONED,
    ZONES,
    Finding,
    Scene,
)
from chexphi.schema import Kind

STATUSES = ("new", "resolved", "unchanged")
SIDED = tuple(name for name in FINDINGS if name != "pacemaker" and LOCATIONS[name][0][0])
DISORDERS = tuple(name for name in FINDINGS if name not in DEVICES)
REGIONAL = ("opacity", "nodule", "pneumothorax", "pleural effusion")
REGIONS = tuple((side, zone) for side in SIDES for zone in ZONES)
YES = {"presence": 0.68, "presence_side": 0.64, "region": 0.75, "new": 0.8, "resolved": 0.49}
"""Share of questions for which a yes is tried, more than half because some films only allow a no. Measured to
give half of each over all films (a test holds it within 6 points)."""
NORMAL_HEART = 0.24
"""Share of the films without cardiomegaly for which the heart's size may be asked."""
STATUS_WEIGHTS = (1.4, 0.94, 0.95)
"""Weights with which each of `STATUSES` is tried, so that all become about equally frequent."""
NEAR_MISS = 0.5
"""Share of the no-questions that are about a finding that is present, but elsewhere or not new."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a question asks about; an empty field leaves it open."""

    finding: str = ""
    side: str = ""
    zone: str = ""


NO_TARGET = Target()

Builder = Callable[[random.Random, Sequence[Scene]], Target | None]


def statuses(
    scenes: Sequence[Scene], names: Iterable[str] = FINDINGS, side: str = ""
) -> list[tuple[Finding, str]]:
    """Every finding of the prior or the current film with its status, in canonical order."""
    prior, current = scenes
    finding_of_key = {f.key: f for f in (*prior.findings, *current.findings)}
    prior_keys, current_keys = {f.key for f in prior.findings}, {f.key for f in current.findings}
    findings = [f for f in finding_of_key.values() if f.name in set(names) and side in ("", f.side)]

    def status(key: tuple[str, str, str]) -> str:
        if key in current_keys:
            return "unchanged" if key in prior_keys else "new"
        return "resolved"

    return [(f, status(f.key)) for f in sorted(findings, key=lambda f: f.order)]


def in_zone(scene: Scene, side: str, zone: str) -> list[Finding]:
    """The findings in a zone: a pneumothorax is in the upper, an effusion in the lower one."""
    implied = {"pleural effusion": "lower"}
    return [
        f
        for f in scene.findings
        if f.name in REGIONAL and f.side == side and implied.get(f.name, f.zone) == zone
    ]


def _pick(rng: random.Random, names: Sequence[str], *, is_present: bool) -> str | None:
    """A name, weighted so that over all films each is asked about equally often with each answer."""
    if not names:
        return None
    return rng.choices(names, [1 / (PRIORS[n] if is_present else 1 - PRIORS[n]) for n in names])[0]


def _pick_target(
    rng: random.Random, options: Sequence[tuple[str, ...]], *, is_present: bool
) -> Target | None:
    """One of (name, side, zone): the name first, so that one with many locations is not asked more often."""
    name = _pick(rng, sorted({option[0] for option in options}), is_present=is_present)
    return Target(*rng.choice([option for option in options if option[0] == name])) if name else None


def _pick_absent(rng: random.Random, scene: Scene, absent: Sequence[tuple[str, ...]]) -> Target | None:
    """A target that is not on the film: for a share of `NEAR_MISS` a finding that is present elsewhere."""
    near_misses = [option for option in absent if scene.has(option[0])]
    if near_misses and rng.random() < NEAR_MISS:
        return _pick_target(rng, near_misses, is_present=False)
    return _pick_target(rng, absent, is_present=False)


def _presence(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
    (scene,) = scenes
    present_names = {f.name for f in scene.findings}
    yes = rng.random() < YES["presence"]
    name = _pick(rng, [n for n in FINDINGS if (n in present_names) == yes], is_present=yes)
    if name is None:
        name = rng.choice(FINDINGS)
    return Target(name)


def _presence_side(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
    (scene,) = scenes
    pairs = [(name, side) for name in SIDED for side in SIDES]
    if rng.random() < YES["presence_side"]:
        return _pick_target(rng, [pair for pair in pairs if scene.has(*pair)], is_present=True)
    return _pick_absent(rng, scene, [pair for pair in pairs if not scene.has(*pair)])


def _one_location(names: Iterable[str], attribute: str) -> Builder:
    """A finding present on one side only or in one zone only (or anywhere, to ask for its location)."""

    def build(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
        (scene,) = scenes
        candidates = []
        for name in names:
            values = {getattr(f, attribute) for f in scene.findings if f.name == name}
            if len(values) == 1 or (attribute == "key" and values):
                candidates.append(name)
        picked_name = _pick(rng, candidates, is_present=True)
        return Target(picked_name) if picked_name else None

    return build


def _size(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
    (scene,) = scenes
    balanced = scene.has("cardiomegaly") or rng.random() < NORMAL_HEART
    return Target("cardiomegaly") if balanced else None


def _list_present(names: Sequence[str]) -> Builder:
    """A list of what is present; most empty lists are left out."""

    def build(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
        (scene,) = scenes
        return Target() if any(scene.has(name) for name in names) or rng.random() < 0.4 else None

    return build


def _region_verify(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
    (scene,) = scenes
    if rng.random() < YES["region"]:
        present = [(f.name, side, zone) for side, zone in REGIONS for f in in_zone(scene, side, zone)]
        return _pick_target(rng, present, is_present=True)
    absent = [
        (name, side, zone)
        for side, zone in REGIONS
        for name in REGIONAL
        if _can_be(name, zone) and all(f.name != name for f in in_zone(scene, side, zone))
    ]
    return _pick_absent(rng, scene, absent)


def _can_be(name: str, zone: str) -> bool:
    return name in ZONED or zone == ("upper" if name == "pneumothorax" else "lower")


def _region_query(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
    (scene,) = scenes
    asks_for_finding = rng.random() < 0.75
    candidates = [region for region in REGIONS if bool(in_zone(scene, *region)) == asks_for_finding]
    return Target("", *rng.choice(candidates)) if candidates else None


def _compare_verify(status: str) -> Builder:
    """Is it new, or has it resolved? `resolved` is only asked about findings of the prior film."""

    def build(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
        changes = statuses(scenes, DISORDERS)
        names_with_status = {f.name for f, s in changes if s == status}
        other_names = {f.name for f, s in changes if s != "new" or status == "new"} - names_with_status
        if rng.random() < YES[status]:
            name = _pick(rng, sorted(names_with_status), is_present=True)
            return Target(name) if name else None
        if status == "new" and not (other_names and rng.random() < NEAR_MISS):
            other_names = set(DISORDERS) - names_with_status
        name = _pick(rng, sorted(other_names), is_present=status != "new")
        return Target(name) if name else None

    return build


def _change(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
    """A finding with one status; with its side if the other side has one too."""
    changes = statuses(scenes, DISORDERS)
    names = [f.name for f, _ in changes]
    targets = [(Target(f.name), s) for f, s in changes if names.count(f.name) == 1]
    targets += [
        (Target(f.name, f.side), s)
        for f, s in changes
        if f.name == "pleural effusion" and names.count(f.name) == 2
    ]
    status = rng.choices(STATUSES, STATUS_WEIGHTS)[0]
    candidates = [target for target, s in targets if s == status]
    return rng.choice(candidates) if candidates else None


def _list_changed(status: str, names: Sequence[str]) -> Builder:
    """Everything with a status; half of the empty lists are left out."""

    def build(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
        exists = any(s == status for _, s in statuses(scenes, names))
        return Target() if exists or rng.random() < 0.5 else None

    return build


FAMILIES: dict[Kind, tuple[tuple[tuple[str, str], Builder, float], ...]] = {
    "basic": (
        (("verify", "presence"), _presence, 28),
        (("verify", "presence"), _presence_side, 14),
        (("choose", "side"), _one_location(SIDED, "side"), 16),
        (("choose", "size"), _size, 12),
        (("choose", "zone"), _one_location(tuple(sorted(ZONED)), "zone"), 9),
        (("query", "location"), _one_location(tuple(sorted(ZONED)), "key"), 14),
        (("query", "findings"), _list_present(DISORDERS), 9),
        (("query", "devices"), _list_present(tuple(n for n in FINDINGS if n in DEVICES)), 12),
    ),
    "region": ((("verify", "region"), _region_verify, 1), (("query", "region"), _region_query, 1)),
    "compare": (
        (("verify", "new"), _compare_verify("new"), 25),
        (("verify", "resolved"), _compare_verify("resolved"), 20),
        (("query", "change"), _change, 25),
        (("choose", "change"), _change, 15),
        (("query", "new"), _list_changed("new", FINDINGS), 10),
        (("query", "resolved"), _list_changed("resolved", DISORDERS), 10),
    ),
}
