from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chexphi.data.phantom import anatomy
from chexphi.data.phantom.anatomy import Frame
from chexphi.data.phantom.draw import NOISE, Box, contact_sheet, heart_ratio, render, zone_box
from chexphi.data.phantom.scene import (
    FINDINGS,
    LOCATIONS,
    SIDES,
    ZONES,
    Build,
    Finding,
    Scene,
    evolve,
    sample_build,
    sample_scene,
)
from chexphi.schema import InputError

ALL = [Finding(name, *place) for name in FINDINGS for place in LOCATIONS[name]]
SIDED = [finding for finding in ALL if finding.side and finding.name not in ("central line", "pacemaker")]
ZONED = [finding for finding in ALL if finding.name in ("opacity", "nodule")]
GREY_NOISE = 255 * NOISE


def label(finding: Finding) -> str:
    return " ".join(part for part in finding.key if part)


def pixels(scene: Scene, size: int = 64, **kwargs: list[Box]) -> np.ndarray:
    return np.asarray(render(scene, size, **kwargs)).astype(float)


def change(finding: Finding, build: Build, size: int = 64) -> np.ndarray:
    """(size, size) what a finding changes; both films have the same noise."""
    return np.abs(pixels(Scene((finding,), build, 7), size) - pixels(Scene((), build, 7), size))


@pytest.fixture(scope="module")
def builds() -> list[Build]:
    rng = random.Random(5)
    return [sample_build(rng) for _ in range(6)]


@pytest.mark.parametrize("size", [64, 96, 256, 512])
def test_a_film_is_square_grey_and_uses_the_range(size: int):
    image = render(Scene((), Build(), 0), size)
    assert image.mode == "L"
    assert image.size == (size, size)
    low, high = np.percentile(np.asarray(image), [2, 98])
    assert low < 30
    assert high > 150


@pytest.mark.parametrize("size", [0, 63, 513])
def test_a_size_out_of_range_is_refused(size: int):
    with pytest.raises(InputError, match=str(size)):
        render(Scene((), Build(), 0), size)


def test_the_same_scene_gives_the_same_pixels_and_another_seed_other_noise():
    rng = random.Random(1)
    scene = sample_scene(rng, sample_build(rng))
    assert np.array_equal(pixels(scene), pixels(Scene.from_dict(scene.to_dict())))
    other = np.abs(pixels(scene) - pixels(dataclasses.replace(scene, seed=scene.seed + 1)))
    assert 0.5 < other.mean() / GREY_NOISE < 2


def test_exposure_makes_a_film_brighter():
    means = [pixels(Scene((), Build(exposure=exposure), 0)).mean() for exposure in (-1.0, 0.0, 1.0)]
    assert means == sorted(means)
    assert means[-1] - means[0] > 10


@pytest.mark.parametrize("finding", ALL, ids=label)
def test_a_finding_stands_out_from_the_noise_at_64_px(finding: Finding, builds: list[Build]):
    for build in builds:
        for severity in (0.2, 1.0):
            difference = change(dataclasses.replace(finding, severity=severity), build)
            seen = difference[difference > 3 * GREY_NOISE]
            assert len(seen) >= 12
            assert seen.mean() > 6 * GREY_NOISE


@pytest.mark.parametrize("finding", SIDED, ids=label)
def test_the_patients_right_is_the_images_left(finding: Finding, builds: list[Build]):
    for build in builds:
        difference = change(finding, build)
        left_half = difference[:, :32].sum() / difference.sum()
        assert left_half > 0.9 if finding.side == "right" else left_half < 0.1


def test_a_central_line_comes_from_the_neck_of_its_side(builds: list[Build]):
    for build in builds:
        for side in SIDES:
            neck = change(Finding("central line", side), build)[:10]
            assert (neck[:, :32].sum() > neck[:, 32:].sum()) == (side == "right")


def test_the_pacemaker_sits_on_the_left_chest(builds: list[Build]):
    for build in builds:
        difference = change(Finding("pacemaker", "left"), build)
        assert difference[8:24, 44:60].mean() > 4 * difference[8:24, 4:20].mean()


@pytest.mark.parametrize("name", ["opacity", "pleural effusion", "pneumothorax", "cardiomegaly", "nodule"])
def test_a_more_severe_finding_changes_more(name: str, builds: list[Build]):
    for build in builds:
        for place in LOCATIONS[name]:
            total = [change(Finding(name, *place, severity=s), build).sum() for s in (0.1, 0.4, 0.7, 1.0)]
            assert total == sorted(total)


def test_the_heart_is_wider_than_half_the_chest_only_with_cardiomegaly(builds: list[Build]):
    for build in builds:
        frame = Frame.of(dataclasses.replace(build, rotation=0.0), 512)
        chest = 2 * frame.reach.max() * 512
        for findings, low, high in [((), 0.38, 0.50), ((Finding("cardiomegaly", severity=0.0),), 0.55, 0.7)]:
            heart = anatomy.heart(frame, heart_ratio(Scene(findings, build, 0)))
            assert low < (heart > 0.5).any(axis=0).sum() / chest < high


@pytest.mark.parametrize(("name", "brighter"), [("pneumothorax", False), ("pleural effusion", True)])
def test_air_is_darker_and_fluid_brighter(name: str, brighter: bool):
    with_, without = (pixels(Scene(f, Build(), 7)) for f in ((Finding(name, *LOCATIONS[name][0]),), ()))
    assert (with_.sum() > without.sum()) == brighter


def test_the_side_letter_stands_in_its_corner():
    for marker, own, other in [
        ("R", np.s_[:10, :10], np.s_[:10, -10:]),
        ("L", np.s_[:10, -10:], np.s_[:10, :10]),
    ]:
        film = pixels(Scene((), Build(marker=marker), 0))
        assert (film[own] > 180).sum() >= 6
        assert (film[other] > 180).sum() == 0


@pytest.mark.parametrize("finding", ZONED, ids=label)
def test_a_zone_box_holds_what_lies_in_the_zone(finding: Finding, builds: list[Build]):
    for build in builds:
        difference = change(finding, build, 128)
        x0, y0, x1, y1 = (round(128 * c) for c in zone_box(finding.side, finding.zone, build))
        inside = difference[y0:y1, x0:x1].sum() / difference.sum()
        assert inside > (0.95 if finding.name == "nodule" else 0.7)


@pytest.mark.parametrize(("name", "zone"), [("pneumothorax", "upper"), ("pleural effusion", "lower")])
def test_air_stays_in_the_upper_and_fluid_in_the_lower_zone(name: str, zone: str, builds: list[Build]):
    for build in builds:
        for side in SIDES:
            finding = Finding(name, side, "upper" if name == "pneumothorax" else "", severity=1.0)
            difference = change(finding, build, 128)
            _, y0, _, y1 = (round(128 * c) for c in zone_box(side, zone, build))
            assert difference[y0:y1].sum() / difference.sum() > 0.75


def test_zone_boxes_lie_on_the_film_one_above_the_other(builds: list[Build]):
    for build in builds:
        for side in SIDES:
            upper, mid, lower = (zone_box(side, zone, build) for zone in ZONES)
            assert upper[1] < mid[1] < lower[1]
            for x0, y0, x1, y1 in (upper, mid, lower):
                assert 0 <= x0 < x1 <= 1
                assert 0 <= y0 < y1 <= 1
                assert (x0 + x1 < 1) == (side == "right")


@pytest.mark.parametrize("size", [64, 256])
def test_a_box_is_a_thin_bright_frame(size: int):
    scene, box = Scene((), Build(), 0), zone_box("right", "mid", Build())
    plain, framed = pixels(scene, size), pixels(scene, size, boxes=[box])
    changed = plain != framed
    assert (framed[changed] == 255).all()
    perimeter = 2 * size * (box[2] - box[0] + box[3] - box[1])
    assert 0.8 < changed.sum() / (perimeter * max(1, size // 96)) < 1.2


def test_a_kept_finding_stays_where_it_was_on_the_follow_up():
    rng, seen = random.Random(2), 0
    for _ in range(40):
        scene = Scene((Finding("nodule", "right", "mid"),), sample_build(rng), 0)
        after = evolve(rng, scene)
        if after.has("nodule", "right", "mid"):
            seen += 1
            first, second = (change(f.findings[k], f.build) for f, k in ((scene, 0), (after, _index(after))))
            assert np.hypot(*(_middle(first) - _middle(second))) < 3
    assert seen > 10


def _index(scene: Scene) -> int:
    return next(k for k, finding in enumerate(scene.findings) if finding.name == "nodule")


def _middle(difference: np.ndarray) -> np.ndarray:
    return np.array([np.average(axis, weights=difference) for axis in np.mgrid[:64, :64]])


def test_a_linear_probe_finds_what_is_on_the_film():
    rng = random.Random(9)
    scenes = [sample_scene(rng, sample_build(rng)) for _ in range(600)]
    films = np.stack([pixels(scene).reshape(16, 4, 16, 4).mean((1, 3)).ravel() for scene in scenes])
    films = (films - films.mean(0)) / 255
    train, test = films[:450], films[450:]
    for name in ("pleural effusion", "pneumothorax", "cardiomegaly", "pacemaker"):
        truth = np.array([scene.has(name) for scene in scenes])
        weights = np.linalg.solve(
            train.T @ train + 0.5 * np.eye(256), train.T @ (truth[:450] - truth[:450].mean())
        )
        score = test @ weights
        pairs = score[truth[450:]][:, None] > score[~truth[450:]][None, :]
        assert pairs.mean() > 0.9, name


def test_the_contact_sheet_is_written(tmp_path: Path):
    contact_sheet(tmp_path / "sheet.png", size=64, seed=0, n=12)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (8 * 64, 2 * 64)
