"""What is on a drawn chest film: a patient's build and the findings, and how both are sampled.

Sides are the patient's: the patient's right is the image's left, as on a real film. All priors
are our choice: about a third of presence questions are true, about 15 % of the films are normal.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chexphi.schema import InputError, shown, word_shown

SIDES = ("left", "right")
ZONES = ("upper", "mid", "lower")
FINDINGS = (
    "opacity",
    "pleural effusion",
    "pneumothorax",
    "cardiomegaly",
    "nodule",
    "pacemaker",
    "central line",
    "endotracheal tube",
)
DEVICES = frozenset({"pacemaker", "central line", "endotracheal tube"})
ZONED = frozenset({"opacity", "nodule"})
LOCATIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "opacity": tuple((side, zone) for side in SIDES for zone in ZONES),
    "pleural effusion": tuple((side, "") for side in SIDES),
    "pneumothorax": tuple((side, "upper") for side in SIDES),
    "cardiomegaly": (("", ""),),
    "nodule": tuple((side, zone) for side in SIDES for zone in ZONES),
    "pacemaker": (("left", ""),),
    "central line": tuple((side, "") for side in SIDES),
    "endotracheal tube": (("", ""),),
}
"""Every (side, zone) that a finding can have."""
PRIORS = {
    "pleural effusion": 0.28,
    "pneumothorax": 0.22,
    "opacity": 0.30,
    "nodule": 0.20,
    "cardiomegaly": 0.26,
    "pacemaker": 0.16,
    "central line": 0.17,
    "endotracheal tube": 0.17,
}
"""Probability that a film shows the finding at all; the order is that of sampling."""
SECOND_PRIOR = {"opacity": 0.25, "pleural effusion": 0.25}
"""Probability of a second finding of that name elsewhere, given the first."""
PERSISTENCE = 0.5
"""Probability that a finding persists on the follow-up film; as many new ones appear."""
MAX_FINDINGS = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding; raises `InputError` if it has a side or zone that it cannot have."""

    name: str
    side: str = ""
    """The patient's side: left, right, or empty."""
    zone: str = ""
    """upper, mid, lower, or empty."""
    severity: float = 0.5
    """0 to 1; determines the drawn size and density."""

    def __post_init__(self) -> None:
        if self.name not in LOCATIONS:
            raise InputError(f"finding {word_shown(self.name)} is unknown: use one of {', '.join(FINDINGS)}")
        if (self.side, self.zone) not in LOCATIONS[self.name]:
            raise InputError(
                f"finding {self.name!r} cannot have side {shown(self.side)} and zone {shown(self.zone)}: "
                f"use one of {LOCATIONS[self.name]}"
            )
        if not 0 <= self.severity <= 1:
            raise InputError(
                f"finding {self.name!r} has severity {shown(self.severity)}: use a value from 0 to 1"
            )

    @property
    def key(self) -> tuple[str, str, str]:
        """(name, side, zone): findings with the same key are the same finding, whatever its severity."""
        return self.name, self.side, self.zone

    @property
    def order(self) -> tuple[int, str, int]:
        """Sort key: as in `FINDINGS`, left before right, from top to bottom."""
        return FINDINGS.index(self.name), self.side, ZONES.index(self.zone) if self.zone else -1


@dataclass(frozen=True, slots=True)
class Build:
    """A patient's anatomy and how the film was taken; a patient's films share it, except for small shifts."""

    seed: int = 0
    """Seed of anatomical detail: where in its zone a finding lies, texture of the lungs."""
    width: float = 1.0
    """Chest width, 0.93 to 1.07 of the mean."""
    height: float = 1.0
    """Lung height, 0.94 to 1.06 of the mean: depth of inspiration."""
    heart: float = 0.44
    """Cardiothoracic ratio without cardiomegaly, 0.40 to 0.48."""
    fat: float = 0.5
    """Soft tissue, 0 (lean) to 1 (stout)."""
    rib_slope: float = 0.5
    """0 (flat ribs) to 1 (steep)."""
    exposure: float = 0.0
    """-1 (dark film) to 1 (bright film)."""
    rotation: float = 0.0
    """Degrees in the image plane, -3 to 3."""
    shift_x: float = 0.0
    """Off-centre position in fractions of the image, -0.02 to 0.02."""
    shift_y: float = 0.0
    marker: str = "R"
    """Letter on the film: R (image's left corner) or L (image's right corner)."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One film; its findings are in canonical order, no two with the same key."""

    findings: tuple[Finding, ...]
    build: Build
    seed: int
    """Seed of this film's noise."""

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.findings, key=lambda finding: finding.order))
        if len({finding.key for finding in ordered}) < len(ordered):
            raise InputError(f"a scene has a finding twice: {[finding.key for finding in ordered]}")
        object.__setattr__(self, "findings", ordered)

    def has(self, name: str, side: str = "", zone: str = "") -> bool:
        """Whether a finding of this name is present, at this side and zone where given."""
        return any(f.name == name and side in ("", f.side) and zone in ("", f.zone) for f in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """A record for JSON: `{"findings": [{name, side, zone, severity}], "build": {…}, "seed": int}`."""
        row = dataclasses.asdict(self)
        return row | {"findings": list(row["findings"])}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Scene:
        """The inverse of `to_dict`."""
        return cls(tuple(Finding(**f) for f in row["findings"]), Build(**row["build"]), row["seed"])


def sample_build(rng: random.Random) -> Build:
    """Draw the build of a new patient."""
    return Build(
        seed=rng.getrandbits(31),
        width=round(rng.uniform(0.93, 1.07), 4),
        height=round(rng.uniform(0.94, 1.06), 4),
        heart=round(rng.uniform(0.40, 0.48), 4),
        fat=round(rng.random(), 4),
        rib_slope=round(rng.random(), 4),
        exposure=round(rng.uniform(-1, 1), 4),
        rotation=round(rng.uniform(-2.5, 2.5), 4),
        shift_x=round(rng.uniform(-0.015, 0.015), 4),
        shift_y=round(rng.uniform(-0.015, 0.015), 4),
        marker=rng.choice("RL"),
    )


def sample_scene(rng: random.Random, build: Build) -> Scene:
    """Draw a first film: each finding with its prior probability, 0 to 4 of them."""
    while True:
        findings = _add_findings(rng, (), scale=1.0)
        if len(findings) <= MAX_FINDINGS:
            return Scene(findings, build, rng.getrandbits(31))


def evolve(rng: random.Random, scene: Scene) -> Scene:
    """Draw a follow-up film of the same patient: new, resolved and unchanged are about equally frequent."""
    while True:
        persisting = tuple(_aged(rng, finding) for finding in scene.findings if rng.random() < PERSISTENCE)
        resolved_keys = {finding.key for finding in scene.findings} - {finding.key for finding in persisting}
        findings = _add_findings(rng, persisting, scale=1 - PERSISTENCE, excluded=resolved_keys)
        if len(findings) <= MAX_FINDINGS:
            return Scene(findings, _repositioned(rng, scene.build), rng.getrandbits(31))


def _add_findings(
    rng: random.Random,
    previous: tuple[Finding, ...],
    *,
    scale: float,
    excluded: Iterable[tuple[str, str, str]] = (),
) -> tuple[Finding, ...]:
    """The previous findings and new ones, each name with its prior times `scale`, at free locations.

    Findings with a key in `excluded` (those that have just resolved) are not added.
    """
    findings, occupied_keys = list(previous), set(excluded)
    for name, prior in PRIORS.items():
        chance = prior * scale
        while rng.random() < chance:
            free_locations = [
                p
                for p in LOCATIONS[name]
                if (name, *p) not in occupied_keys and _has_room(name, *p, findings)
            ]
            if not free_locations:
                break
            side, zone = rng.choice(free_locations)
            findings.append(Finding(name, side, zone, round(rng.uniform(0.2, 1.0), 3)))
            chance = SECOND_PRIOR.get(name, 0.0)
    return tuple(findings)


def _has_room(name: str, side: str, zone: str, findings: list[Finding]) -> bool:
    """Whether a finding can be added: single findings stay single, and none in the lungs hides another."""
    if sum(finding.name == name for finding in findings) >= (2 if name in SECOND_PRIOR else 1):
        return False
    area = _lung_area(name, side, zone)
    return area is None or area not in [_lung_area(*finding.key) for finding in findings]


def _lung_area(name: str, side: str, zone: str) -> tuple[str, str] | None:
    """The side and zone of the lungs that a finding fills; `None` for devices and the heart."""
    if name in DEVICES or name == "cardiomegaly":
        return None
    return side, zone or "lower"


def _aged(rng: random.Random, finding: Finding) -> Finding:
    """The same finding some time later: at most a little larger or smaller."""
    severity = min(1.0, max(0.0, finding.severity + rng.uniform(-0.05, 0.05)))
    return dataclasses.replace(finding, severity=round(severity, 3))


def _repositioned(rng: random.Random, build: Build) -> Build:
    """The same patient, positioned and exposed a little differently."""
    return dataclasses.replace(
        build,
        exposure=round(min(1.0, max(-1.0, build.exposure + rng.uniform(-0.3, 0.3))), 4),
        rotation=round(build.rotation + rng.uniform(-0.8, 0.8), 4),
        shift_x=round(build.shift_x + rng.uniform(-0.006, 0.006), 4),
        shift_y=round(build.shift_y + rng.uniform(-0.006, 0.006), 4),
    )
