"""Draws a scene as a chest film, 64 to 512 px, the same pixels every time.

Contrast is tuned at 64 px, so that a small vision model with 16-px patches can learn every finding.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from chexphi.data.phantom import anatomy, devices
from chexphi.data.phantom.anatomy import Frame, Plane, Point, bell, edge
from chexphi.data.phantom.scene import FINDINGS, LOCATIONS, Build, Finding, Scene, sample_build, sample_scene
from chexphi.schema import InputError

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in fractions of the image."""

MIN_SIZE, MAX_SIZE = 64, 512
NOISE = 0.016
"""Standard deviation of a pixel's noise, as a share of the full grey range."""
ZONE_EDGES = (0.11, 0.345, 0.545, 0.80)
"""Heights (y) of the borders of the upper, mid and lower zones."""
LUNG_GREY, SOLID_GREY = 0.20, 0.68


def render(scene: Scene, size: int, *, boxes: Sequence[Box] = ()) -> Image.Image:
    """Draw a film.

    Args:
        scene: What is on it; its seeds determine every detail.
        size: Side in pixels, 64 to 512.
        boxes: Regions to frame, in fractions of the image.

    Returns:
        A square 8-bit grey image (mode L).

    Raises:
        InputError: If the size is out of range.
    """
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(f"film size {size} is out of range: use {MIN_SIZE} to {MAX_SIZE} pixels")
    scale = 2 if size < 192 else 1
    film = _grey_values(scene, Frame.of(scene.build, size, scale=scale))
    film = film.reshape(size, scale, size, scale).mean(axis=(1, 3))
    image = Image.fromarray(_expose(film, scene))
    _draw_marker(image, scene.build)
    pen = ImageDraw.Draw(image)
    for x0, y0, x1, y1 in boxes:
        corners = [round(c * (size - 1)) for c in (x0, y0, x1, y1)]
        pen.rectangle(corners, outline=255, width=max(1, size // 96))
    return image


def zone_box(side: str, zone: str, build: Build) -> Box:
    """The box around one zone of one lung: (x0, y0, x1, y1) in fractions of the image."""
    index = ("upper", "mid", "lower").index(zone)
    top, bottom = ZONE_EDGES[index], ZONE_EDGES[index + 1]
    reach = anatomy.reach_at(bottom, build)
    medial, lateral = 0.045, reach + 0.01
    sign = -1 if side == "right" else 1
    corners = [anatomy.to_image((0.5 + sign * x, y), build) for x in (medial, lateral) for y in (top, bottom)]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return max(0.0, min(xs)), max(0.0, min(ys)), min(1.0, max(xs)), min(1.0, max(ys))


def heart_ratio(scene: Scene) -> float:
    """The cardiothoracic ratio on the film: at most 0.48 without cardiomegaly, at least 0.57 with it."""
    enlarged = [finding.severity for finding in scene.findings if finding.name == "cardiomegaly"]
    return 0.57 + 0.09 * enlarged[0] if enlarged else scene.build.heart


def contact_sheet(path: Path, *, size: int = 128, seed: int = 0, n: int = 24) -> None:
    """Write one PNG with a film of each finding alone, then random films: `n` films, eight in a row."""
    rng = random.Random(seed)
    scenes = [Scene((), sample_build(rng), seed)]
    for name in FINDINGS:
        finding = Finding(name, *rng.choice(LOCATIONS[name]), severity=0.6)
        scenes.append(Scene((finding,), sample_build(rng), rng.getrandbits(31)))
    scenes += [sample_scene(rng, sample_build(rng)) for _ in range(max(0, n - len(scenes)))]
    columns = min(n, 8)
    sheet = Image.new("L", (columns * size, -(-n // columns) * size))
    for k, scene in enumerate(scenes[:n]):
        sheet.paste(render(scene, size), (k % columns * size, k // columns * size))
    sheet.save(path, "PNG")


def _grey_values(scene: Scene, frame: Frame) -> Plane:
    """(size, size) grey values before exposure and noise: the chest, then the findings on it."""
    chest = anatomy.chest(frame)
    core = np.maximum(anatomy.heart(frame, heart_ratio(scene)), anatomy.mediastinum(frame))
    air = chest * (1 - core)
    film = _chest(frame, air, core)
    markings = 0.11 * _blur(anatomy.vessels(frame), 0.004) * air
    for finding in scene.findings:
        if finding.name == "pneumothorax":
            film, markings = _pneumothorax(film, markings, frame, finding, air)
    film = film + markings
    for finding in scene.findings:
        if finding.name == "opacity":
            film = _opacity(film, frame, finding, chest * frame.half(finding.side))
        elif finding.name == "nodule":
            film = _nodule(film, frame, finding)
        elif finding.name == "pleural effusion":
            film = _effusion(film, frame, finding)
    metal = devices.draw(frame, scene.findings)
    return film + (0.97 - film) * metal


def _chest(frame: Frame, air: Plane, core: Plane) -> Plane:
    """(size, size) grey values of the chest without lung markings and findings."""
    x, y, offset, build = frame.x, frame.y, frame.offset, frame.build
    skin = anatomy.body(frame)
    inside_chest = edge(frame.reach - offset, 0.02)
    below = inside_chest * edge(y - frame.floor, 0.012) + (1 - inside_chest) * edge(y - 0.74, 0.36)
    solid = _solid(frame)
    tissue = solid * (0.76 + 0.24 * below)
    lung_grey = LUNG_GREY + 0.05 * build.fat + 0.10 * edge(y - 0.5, 0.7) + 0.5 * np.maximum(0, offset - 0.26)
    film = tissue + (lung_grey - tissue) * air
    film = film + 0.15 * core * (1 - below) * edge(y - 0.2, 0.2)
    film = film + anatomy.ribs(frame) * (0.035 + 0.075 * air) + 0.16 * anatomy.bones(frame)
    hila = sum(bell(x, y, at, 0.026, 0.055) for at in anatomy.HILA.values())
    film = film + 0.14 * hila * air
    film = film - 0.16 * edge(0.019 - np.abs(x - 0.497), 0.014) * edge(anatomy.CARINA - y, 0.03)
    bubble = edge(1 - np.hypot((x - 0.685) / 0.055, (y - 0.87) / 0.028), 0.5)
    return 0.02 + (film - 0.02 - 0.28 * bubble) * skin


def _solid(frame: Frame) -> Plane:
    """(size, size) grey values of tissue or fluid through the whole thickness of the trunk."""
    thick = np.sqrt(np.clip(1 - (frame.offset / 0.56) ** 2, 0, 1))
    return 0.24 + (SOLID_GREY - 0.24 + 0.06 * frame.build.fat) * thick


def _location_in_zone(finding: Finding, build: Build) -> Point:
    """The point in its zone where a finding lies: the same on all films of a patient."""
    rng = random.Random(f"{build.seed}/{'/'.join(finding.key)}")
    index = ("upper", "mid", "lower").index(finding.zone)
    y = (0.2625, 0.445, 0.6525)[index] + rng.uniform(-0.03, 0.03)
    reach = anatomy.reach_at(y, build)
    medial = (0.09, 0.12, 0.13)[index] + (0.06 if finding.side == "left" and index == 2 else 0.0)
    offset = medial + (reach - 0.045 - medial) * rng.uniform(0.3, 0.9)
    return 0.5 + (-offset if finding.side == "right" else offset), y


def _opacity(film: Plane, frame: Frame, finding: Finding, lung: Plane) -> Plane:
    """(size, size) the film with a soft cloud."""
    at = _location_in_zone(finding, frame.build)
    radius = 0.055 + 0.03 * finding.severity
    rng = np.random.default_rng(frame.build.seed)
    grain = Image.fromarray(rng.random((14, 14), dtype=np.float32))
    cloud = np.asarray(grain.resize((frame.size, frame.size), Image.Resampling.BICUBIC))
    density = bell(frame.x, frame.y, at, radius, radius * 1.05) * (0.65 + 0.7 * cloud) * lung
    return film + (0.80 - film) * np.clip((0.65 + 0.25 * finding.severity) * density, 0, 0.95)


def _nodule(film: Plane, frame: Frame, finding: Finding) -> Plane:
    """(size, size) the film with a small round density with a clear border."""
    x, y = _location_in_zone(finding, frame.build)
    radius = 0.026 + 0.014 * finding.severity
    disc = edge(radius - np.hypot(frame.x - x, frame.y - y), 0.012)
    return film + (0.86 - film) * 0.9 * disc


def _effusion(film: Plane, frame: Frame, finding: Finding) -> Plane:
    """(size, size) the film with fluid from the base up to a meniscus that climbs the chest wall."""
    build, offset = frame.build, frame.offset
    wall = np.clip(offset / (anatomy.HALF_CHEST * build.width), 0, 1)
    level = 0.775 - 0.18 * finding.severity - 0.10 * anatomy.power(wall, 4) + 0.03 * (1 - wall)
    inside = edge(frame.reach - offset, 0.012) * frame.half(finding.side)
    fluid = inside * edge(frame.y - level, 0.04)
    return film + np.maximum(0, _solid(frame) + 0.05 * edge(0.8 - frame.y, 0.1) - film) * 0.97 * fluid


def _pneumothorax(
    film: Plane, markings: Plane, frame: Frame, finding: Finding, air: Plane
) -> tuple[Plane, Plane]:
    """(size, size) film and markings with air above and beside a collapsed lung.

    The air is black, without markings, outside of a thin pleural line. The line meets the chest wall in the
    mid zone, so that the finding is visible in the upper zone.
    """
    drop, shrink = 0.05 + 0.10 * finding.severity, 0.05 + 0.06 * finding.severity
    collapsed_reach = anatomy.lung_reach(frame.y, frame.build, drop=drop, shrink=shrink)
    depth = frame.offset - frame.reach + (frame.reach - collapsed_reach) * edge(0.37 - frame.y, 0.22)
    half = frame.half(finding.side) * edge(0.54 - frame.y, 0.04) * air
    gap = edge(depth, 0.01) * half
    line = edge(0.006 - np.abs(depth), 0.008) * half * edge(frame.y - anatomy.LUNG_TOP - drop, 0.02)
    return film * (1 - 0.55 * gap) + 0.30 * line, markings * (1 - gap)


def _blur(plane: Plane, radius: float) -> Plane:
    """(size, size) the plane blurred by a box of `radius`, in fractions of the image."""
    image = Image.fromarray((plane * 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(radius * len(plane)))
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def _expose(film: Plane, scene: Scene) -> np.ndarray:
    """(size, size) 8-bit grey levels of the film after exposure and noise."""
    rng = np.random.default_rng(scene.seed)
    film = anatomy.power(np.clip(film, 0, 1), 1 - 0.15 * scene.build.exposure)
    film = film + 0.02 * scene.build.exposure + NOISE * rng.standard_normal(film.shape, dtype=np.float32)
    return (np.clip(film, 0, 1) * 255).round().astype(np.uint8)


def _draw_marker(image: Image.Image, build: Build) -> None:
    """Draw the side letter in its corner: R on the image's left, L on its right."""
    size = image.width
    height = size * 0.085
    left_edge = 0.045 * size if build.marker == "R" else size * 0.905
    top_edge = 0.045 * size
    if build.marker == "R":
        strokes = [((0, 1), (0, 0), (0.6, 0), (0.6, 0.5), (0, 0.5)), ((0.2, 0.5), (0.65, 1))]
    else:
        strokes = [((0, 0), (0, 1), (0.6, 1))]
    pen = ImageDraw.Draw(image)
    for stroke in strokes:
        points = [(round(left_edge + x * height), round(top_edge + y * height)) for x, y in stroke]
        pen.line(points, fill=235, width=max(1, size // 64))
