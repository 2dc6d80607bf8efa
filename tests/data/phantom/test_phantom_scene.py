from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.data.phantom.scene import (
    DEVICES,
    FINDINGS,
    LOCATIONS,
    MAX_FINDINGS,
    PRIORS,
    ZONED,
    Build,
    Finding,
    Scene,
    evolve,
    sample_build,
    sample_scene,
)
from chexphi.schema import InputError


def films(n: int, seed: int = 0) -> list[Scene]:
    rng = random.Random(seed)
    return [sample_scene(rng, sample_build(rng)) for _ in range(n)]


def test_every_finding_has_places_and_a_prior():
    assert set(LOCATIONS) == set(PRIORS) == set(FINDINGS)
    assert set(FINDINGS) > DEVICES


@pytest.mark.parametrize(
    ("name", "side", "zone"),
    [
        ("fracture", "left", ""),
        ("opacity", "", "upper"),
        ("opacity", "left", ""),
        ("pleural effusion", "left", "lower"),
        ("pneumothorax", "left", "lower"),
        ("pacemaker", "right", ""),
        ("cardiomegaly", "left", ""),
        ("endotracheal tube", "right", ""),
    ],
)
def test_a_finding_refuses_what_it_cannot_have(name: str, side: str, zone: str):
    with pytest.raises(InputError, match="finding"):
        Finding(name, side, zone)


@pytest.mark.parametrize("severity", [-0.1, 1.1, float("nan")])
def test_a_severity_lies_between_0_and_1(severity: float):
    with pytest.raises(InputError, match="severity"):
        Finding("cardiomegaly", severity=severity)


def test_a_scene_sorts_its_findings_and_refuses_the_same_one_twice():
    lower, upper = Finding("opacity", "left", "lower"), Finding("opacity", "left", "upper")
    assert Scene((lower, upper), Build(), 0).findings == (upper, lower)
    assert Scene((lower, upper), Build(), 0) == Scene((upper, lower), Build(), 0)
    with pytest.raises(InputError, match="twice"):
        Scene((lower, Finding("opacity", "left", "lower", 0.9)), Build(), 0)


def test_has_asks_for_name_side_and_zone():
    scene = Scene((Finding("opacity", "left", "upper"),), Build(), 0)
    assert scene.has("opacity")
    assert scene.has("opacity", "left")
    assert scene.has("opacity", "left", "upper")
    assert not scene.has("opacity", "right")
    assert not scene.has("opacity", "left", "lower")
    assert not scene.has("nodule")


@given(st.integers(0, 2**32))
def test_sampled_scenes_survive_json(seed: int):
    rng = random.Random(seed)
    scene = sample_scene(rng, sample_build(rng))
    for film in (scene, evolve(rng, scene)):
        assert Scene.from_dict(json.loads(json.dumps(film.to_dict()))) == film


@given(st.integers(0, 2**32))
def test_no_finding_hides_another(seed: int):
    rng = random.Random(seed)
    scene = sample_scene(rng, sample_build(rng))
    for film in (scene, evolve(rng, scene)):
        names = Counter(f.name for f in film.findings)
        assert len(film.findings) <= MAX_FINDINGS
        assert names["opacity"] <= 2
        assert all(names[name] <= 1 for name in FINDINGS if name not in ("opacity", "pleural effusion"))
        taken = [(f.side, f.zone) for f in film.findings if f.name in ZONED]
        taken += [(f.side, "lower") for f in film.findings if f.name == "pleural effusion"]
        taken += [(f.side, f.zone) for f in film.findings if f.name == "pneumothorax"]
        assert len(taken) == len(set(taken))


def test_the_same_seed_gives_the_same_films():
    assert films(20, seed=3) == films(20, seed=3)
    assert films(20, seed=3) != films(20, seed=4)


def test_priors_hold_on_many_films():
    scenes = films(4000)
    for name, prior in PRIORS.items():
        share = sum(scene.has(name) for scene in scenes) / len(scenes)
        assert prior - 0.05 < share < prior + 0.03, name
    normal = sum(not scene.findings for scene in scenes) / len(scenes)
    assert 0.11 < normal < 0.19


def test_places_of_a_finding_are_about_equally_frequent():
    places = Counter(f.key for scene in films(6000) for f in scene.findings)
    for name in FINDINGS:
        counts = [places[name, *place] for place in LOCATIONS[name]]
        assert min(counts) > 0.5 * max(counts), name


def test_a_follow_up_has_new_resolved_and_unchanged_findings_about_equally_often():
    rng, change = random.Random(0), Counter()
    for scene in films(3000):
        before = {f.key for f in scene.findings}
        after = {f.key for f in evolve(rng, scene).findings}
        change.update(new=len(after - before), resolved=len(before - after), unchanged=len(before & after))
    assert all(0.27 < n / change.total() < 0.40 for n in change.values())


def test_a_follow_up_is_the_same_patient_on_another_day():
    rng = random.Random(0)
    for scene in films(50):
        after = evolve(rng, scene)
        assert after.seed != scene.seed
        for name in ("seed", "width", "height", "heart", "fat", "rib_slope", "marker"):
            assert getattr(after.build, name) == getattr(scene.build, name)
        assert abs(after.build.rotation - scene.build.rotation) <= 0.8001
        assert abs(after.build.shift_x - scene.build.shift_x) <= 0.0061
        severity = {f.key: f.severity for f in scene.findings}
        assert all(abs(f.severity - severity.get(f.key, f.severity)) <= 0.051 for f in after.findings)
