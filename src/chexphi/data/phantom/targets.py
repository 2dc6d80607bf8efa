"""What a question about given films aims at: drawn so that answers are balanced.

Proportions are our choice. A question about a finding in one *zone* is asked only with a box on the film.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chexphi.data.phantom.scene import DEVICES, FINDINGS, PLACES, PRIORS, SIDES, ZONED, ZONES, Finding, Scene
from chexphi.schema import Kind

STATUSES = ("new", "resolved", "unchanged")
SIDED = tuple(name for name in FINDINGS if name != "pacemaker" and PLACES[name][0][0])
DISORDERS = tuple(name for name in FINDINGS if name not in DEVICES)
REGIONAL = ("opacity", "nodule", "pneumothorax", "pleural effusion")
YES = {"presence": 0.68, "presence_side": 0.64, "region": 0.75, "new": 0.8, "resolved": 0.49}
"""Share of yes that is tried for, more than half because some films only allow a no: measured to give
half of each over all films (a test holds it within 6 points)."""
NORMAL_HEART = 0.24
"""Share of the films without cardiomegaly on which the heart's size may be asked about."""
STATUS_WEIGHTS = (1.4, 0.94, 0.95)
"""How often each status of `STATUSES` is tried for, so that all come about equally often."""
NEAR_MISS = 0.5
"""Share of the no-questions about something that is there, but elsewhere or not new."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a question aims at; empty fields are open."""

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
    found = {f.key: f for f in (*prior.findings, *current.findings)}
    old, now = {f.key for f in prior.findings}, {f.key for f in current.findings}
    chosen = [f for f in found.values() if f.name in set(names) and side in ("", f.side)]
    return [
        (f, "unchanged" if f.key in old & now else "new" if f.key in now else "resolved")
        for f in sorted(chosen, key=lambda f: f.order)
    ]


def in_zone(scene: Scene, side: str, zone: str) -> list[Finding]:
    """What the zone shows: a pneumothorax stands in the upper, an effusion in the lower one."""
    implied = {"pleural effusion": "lower"}
    return [
        f
        for f in scene.findings
        if f.name in REGIONAL and f.side == side and implied.get(f.name, f.zone) == zone
    ]


def _pick(rng: random.Random, names: Sequence[str], *, there: bool) -> str | None:
    """A name, weighted so that over all films each is asked about equally often with either answer."""
    if not names:
        return None
    return rng.choices(names, [1 / (PRIORS[n] if there else 1 - PRIORS[n]) for n in names])[0]


def _pick_target(rng: random.Random, options: Sequence[tuple[str, ...]], *, there: bool) -> Target | None:
    """One of (name, side, zone): the name first, so that one with many places is not asked more often."""
    name = _pick(rng, sorted({option[0] for option in options}), there=there)
    return Target(*rng.choice([option for option in options if option[0] == name])) if name else None


def _presence(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
    (scene,) = scenes
    there = {f.name for f in scene.findings}
    yes = rng.random() < YES["presence"]
    name = _pick(rng, [n for n in FINDINGS if (n in there) == yes], there=yes)
    if name is None:
        name = rng.choice(FINDINGS)
    return Target(name)


def _presence_side(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
    (scene,) = scenes
    pairs = [(name, side) for name in SIDED for side in SIDES]
    here = [pair for pair in pairs if scene.has(*pair)]
    if rng.random() < YES["presence_side"]:
        return _pick_target(rng, here, there=True)
    gone = [pair for pair in pairs if pair not in here]
    near = [pair for pair in gone if scene.has(pair[0])]
    return _pick_target(rng, near if near and rng.random() < NEAR_MISS else gone, there=False)


def _one_place(names: Iterable[str], part: str) -> Builder:
    """A finding that is there, on one side only or in one zone only (or anywhere, for its location)."""

    def build(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
        (scene,) = scenes
        count = {
            name: len({getattr(f, part, f.key) for f in scene.findings if f.name == name}) for name in names
        }
        name = _pick(
            rng, [n for n, places in count.items() if places == 1 or (part == "key" and places)], there=True
        )
        return Target(name) if name else None

    return build


def _size(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
    (scene,) = scenes
    balanced = scene.has("cardiomegaly") or rng.random() < NORMAL_HEART
    return Target("cardiomegaly") if balanced else None


def _anything(rng: random.Random, scenes: Sequence[Scene]) -> Target:
    return Target()


def _listed(names: Sequence[str]) -> Builder:
    """A list of what is there; half of the empty lists are left out."""

    def build(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
        (scene,) = scenes
        return Target() if any(scene.has(name) for name in names) or rng.random() < 0.4 else None

    return build


def _region_verify(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
    (scene,) = scenes
    places = [(side, zone) for side in SIDES for zone in ZONES]
    if rng.random() < YES["region"]:
        full = [(f.name, *place) for place in places for f in in_zone(scene, *place)]
        return _pick_target(rng, full, there=True)
    allowed = [
        (name, side, zone)
        for side, zone in places
        for name in REGIONAL
        if _can_be(name, zone) and all(f.name != name for f in in_zone(scene, side, zone))
    ]
    near = [target for target in allowed if scene.has(target[0])]
    return _pick_target(rng, near if near and rng.random() < NEAR_MISS else allowed, there=False)


def _can_be(name: str, zone: str) -> bool:
    return name in ZONED or zone == ("upper" if name == "pneumothorax" else "lower")


def _region_query(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
    (scene,) = scenes
    places = [(side, zone) for side in SIDES for zone in ZONES]
    full = [place for place in places if in_zone(scene, *place)]
    chosen = full if rng.random() < 0.75 else [place for place in places if place not in full]
    return Target("", *rng.choice(chosen)) if chosen else None


def _compare_verify(status: str) -> Builder:
    """Is it new / has it resolved? `resolved` is only asked of what was on the prior film."""

    def build(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
        known = statuses(scenes, DISORDERS)
        with_it = {f.name for f, s in known if s == status}
        others = {f.name for f, s in known if s != "new" or status == "new"} - with_it
        if rng.random() < YES[status]:
            name = _pick(rng, sorted(with_it), there=True)
            return Target(name) if name else None
        if status == "new" and not (others and rng.random() < NEAR_MISS):
            others = set(DISORDERS) - with_it
        name = _pick(rng, sorted(others), there=status != "new")
        return Target(name) if name else None

    return build


def _change(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
    """A finding with one status; with its side where the other side has one too."""
    known = statuses(scenes, DISORDERS)
    names = [f.name for f, _ in known]
    targets = [(Target(f.name), s) for f, s in known if names.count(f.name) == 1]
    targets += [
        (Target(f.name, f.side), s)
        for f, s in known
        if f.name == "pleural effusion" and names.count(f.name) == 2
    ]
    status = rng.choices(STATUSES, STATUS_WEIGHTS)[0]
    chosen = [target for target, s in targets if s == status]
    return rng.choice(chosen) if chosen else None


def _listed_change(status: str, names: Sequence[str]) -> Builder:
    """Everything with a status; half of the empty lists are left out."""

    def build(rng: random.Random, scenes: Sequence[Scene]) -> Target | None:
        some = any(s == status for _, s in statuses(scenes, names))
        return Target() if some or rng.random() < 0.5 else None

    return build


FAMILIES: dict[Kind, tuple[tuple[tuple[str, str], Builder, float], ...]] = {
    "basic": (
        (("verify", "presence"), _presence, 28),
        (("verify", "presence"), _presence_side, 14),
        (("choose", "side"), _one_place(SIDED, "side"), 16),
        (("choose", "size"), _size, 12),
        (("choose", "zone"), _one_place(tuple(sorted(ZONED)), "zone"), 9),
        (("query", "location"), _one_place(tuple(sorted(ZONED)), "key"), 14),
        (("query", "findings"), _listed(DISORDERS), 9),
        (("query", "devices"), _listed(tuple(n for n in FINDINGS if n in DEVICES)), 12),
    ),
    "region": ((("verify", "region"), _region_verify, 1), (("query", "region"), _region_query, 1)),
    "compare": (
        (("verify", "new"), _compare_verify("new"), 25),
        (("verify", "resolved"), _compare_verify("resolved"), 20),
        (("query", "change"), _change, 25),
        (("choose", "change"), _change, 15),
        (("query", "new"), _listed_change("new", FINDINGS), 10),
        (("query", "resolved"), _listed_change("resolved", DISORDERS), 10),
    ),
}
