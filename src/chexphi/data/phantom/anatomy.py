"""The normal chest of a drawn film: its geometry, and the film without findings.

Everything is drawn in the patient's frame: x from 0 (image's left) to 1, y from 0 (top) to 1,
midline at x = 0.5; `Frame` maps it to the pixels of a film that is slightly turned and off centre.
Grey values run from 0 (black, air) to 1 (white, metal). All proportions are our choice, by eye.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from chexphi.data.phantom.scene import Build

Plane = NDArray[np.float32]
Point = tuple[float, float]

MIDLINE = 0.5
LUNG_TOP, LUNG_WIDEST, LUNG_BASE = 0.11, 0.66, 0.84
HALF_CHEST = 0.355
"""Half the inner width of the chest at its widest, in a mean build."""
DOMES = {"right": (0.325, 0.735), "left": (0.690, 0.765)}
"""Highest point (x, y) of each half of the diaphragm; the right one is higher."""
CARINA = 0.345
HILA = {"right": (0.405, 0.47), "left": (0.605, 0.45)}


@dataclass(frozen=True, slots=True)
class Frame:
    """The pixel grid of one film in the patient's frame."""

    build: Build
    size: int
    """Pixels on each side of the supersampled film."""
    stroke: int
    """Thinnest line in pixels: one pixel of the final film."""
    x: Plane
    """(size, size) position across."""
    y: Plane
    """(size, size) position down."""
    offset: Plane
    """(size, size) distance from the midline."""
    reach: Plane
    """(size, size) distance of the chest wall from the midline."""
    floor: Plane
    """(size, size) height (y) of the diaphragm at this x."""

    @classmethod
    def of(cls, build: Build, size: int, *, scale: int = 1) -> Frame:
        """The grid of a film of `size` x `size` pixels, supersampled `scale` times each way."""
        size *= scale
        centres = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
        across, down = centres[None, :] - build.shift_x, centres[:, None] - build.shift_y
        turn = math.radians(build.rotation)
        cos, sin = np.float32(math.cos(turn)), np.float32(math.sin(turn))
        x = (cos * across + sin * down + 0.5).astype(np.float32)
        y = (cos * down - sin * across + 0.5).astype(np.float32)
        return cls(build, size, scale, x, y, np.abs(x - MIDLINE), lung_reach(y, build), dome(x, build))

    def half(self, side: str) -> Plane:
        """(size, size) 1 on this side of the patient, 0 on the other."""
        return ((self.x < MIDLINE) if side == "right" else (self.x >= MIDLINE)).astype(np.float32)

    def lines(self, strokes: Sequence[tuple[Sequence[Point], float]]) -> Plane:
        """(size, size) polylines as 1 on 0; a stroke is (points, width)."""
        canvas = Image.new("L", (self.size, self.size))
        pen = ImageDraw.Draw(canvas)
        x0, y0 = (self.size * c for c in to_image((0, 0), self.build))
        turn = math.radians(self.build.rotation)
        cos, sin = self.size * math.cos(turn), self.size * math.sin(turn)
        for points, width in strokes:
            pixels = [(x0 + cos * x - sin * y, y0 + sin * x + cos * y) for x, y in points]
            pen.line(pixels, fill=255, width=max(self.stroke, round(width * self.size)), joint="curve")
        return np.asarray(canvas, dtype=np.float32) / np.float32(255)


def to_image(point: Point, build: Build) -> Point:
    """A point of the patient's frame on the image, in fractions of it."""
    turn = math.radians(build.rotation)
    dx, dy = point[0] - 0.5, point[1] - 0.5
    x = math.cos(turn) * dx - math.sin(turn) * dy + 0.5 + build.shift_x
    return x, math.sin(turn) * dx + math.cos(turn) * dy + 0.5 + build.shift_y


def edge(depth: NDArray[np.floating], blur: float) -> Plane:
    """A soft edge of the shape of `depth`: 0 outside, 1 inside, over a width of `blur`.

    `depth` is positive inside.
    """
    soft: Plane = np.multiply(depth, 1 / blur, dtype=np.float32)
    soft += 0.5
    return np.clip(soft, 0, 1, out=soft)


def power(base: Plane, exponent: float) -> Plane:
    """(size, size) the power of each value, with the same last bit on every processor.

    NumPy's power of float32 has other last bits with AVX-512 than without. Single grey levels would differ by
    one (`findings/numpy_power_avx512.sh`). Rounded from float64, it has not.
    """
    return np.power(base.astype(np.float64), exponent).astype(np.float32)


def bell(x: Plane, y: Plane, at: Point, rx: float, ry: float) -> Plane:
    """(size, size) a Gaussian spot of radii rx and ry with 1 in its middle."""
    return np.exp(-0.5 * (((x - at[0]) / rx) ** 2 + ((y - at[1]) / ry) ** 2))


def lung_reach(y: Plane, build: Build, *, drop: float = 0.0, shrink: float = 0.0) -> Plane:
    """Distance of the chest wall from the midline at heights y, of the same shape.

    `drop` and `shrink` give the border of a collapsed lung instead.
    """
    top = LUNG_TOP + drop
    rise = np.clip((y - top) / (LUNG_WIDEST - top), 0, 1)
    reach: Plane = (HALF_CHEST * build.width - shrink) * np.sqrt(1 - (1 - rise) ** 2 * (1 - 0.3 * rise))
    return reach


def reach_at(y: float, build: Build) -> float:
    """`lung_reach` at one height."""
    return float(lung_reach(np.array([y], dtype=np.float32), build)[0])


def dome(x: Plane, build: Build) -> Plane:
    """Height (y) of the diaphragm at x, of the same shape: a dome on each side of the midline."""
    out = np.abs(x - MIDLINE) / build.width
    lower = 0.35 * (build.height - 1)
    (right_x, right_top), (left_x, left_top) = DOMES["right"], DOMES["left"]
    is_right = x < MIDLINE
    from_apex = out - np.where(is_right, np.float32(MIDLINE - right_x), np.float32(left_x - MIDLINE))
    top = np.where(is_right, np.float32(right_top + lower), np.float32(left_top + lower))
    fall = np.where(from_apex > 0, np.float32(2.9), np.float32(1.1))
    level: Plane = np.minimum(top + fall * from_apex * from_apex, LUNG_BASE + 0.01)
    return level


def chest(frame: Frame) -> Plane:
    """(size, size) mask of the inside of the chest above the diaphragm, heart included."""
    inside: Plane = edge(frame.reach - frame.offset, 0.012) * edge(frame.floor - frame.y, 0.012)
    return inside


def heart_borders(ratio: float, build: Build) -> tuple[float, float]:
    """How far a heart of this cardiothoracic ratio extends to the image's left and right of the midline."""
    width = ratio * 2 * HALF_CHEST * build.width
    return 0.37 * width, 0.63 * width


def heart(frame: Frame, ratio: float) -> Plane:
    """(size, size) mask of the heart: apex low on the image's right."""
    right_extent, left_extent = heart_borders(ratio, frame.build)
    bigger = ratio - 0.44
    u = (frame.x - MIDLINE - (left_extent - right_extent) / 2) / ((left_extent + right_extent) / 2)
    v = (frame.y - (0.655 - 0.10 * bigger) - 0.045 * u) / (0.150 + 0.22 * bigger)
    return edge(1 - np.sqrt(np.sqrt((u * u) ** 2 + (v * v) ** 2) * 0.3 + (u * u + v * v) * 0.7), 0.12)


def mediastinum(frame: Frame) -> Plane:
    """(size, size) mask of the vessels above the heart: caval border, aortic knob, pulmonary trunk."""
    x, y = frame.x, frame.y
    band = edge(0.052 + 0.03 * edge(y - 0.36, 0.3) - np.abs(x - 0.497), 0.02) * edge(y - 0.06, 0.1)
    knob = edge(0.047 - np.hypot(x - 0.540, (y - 0.325) * 0.80), 0.018)
    trunk = edge(0.056 - np.hypot(x - 0.546, (y - 0.45) * 0.6), 0.03)
    return np.maximum(np.maximum(band, knob), trunk) * edge(0.88 - y, 0.05)


def ribs(frame: Frame) -> Plane:
    """(size, size) density of the ribs: the rear ones fall outwards, the fainter front ones inwards."""
    build, offset, y = frame.build, frame.offset, frame.y
    out = offset / (HALF_CHEST * build.width)
    steep = 0.05 + 0.07 * build.rib_slope
    rear = np.abs((y - 0.035 + 0.03 * np.sin(2.6 * out) - steep * out * out * out) / 0.082 % 1 - 0.5)
    front = np.abs((y + 0.02 - 0.10 * (1 - out)) / 0.098 % 1 - 0.5)
    bone = edge(0.17 - rear, 0.1) * (0.75 + 1.5 * rear) + 0.45 * edge(0.14 - front, 0.12) * edge(
        out - 0.42, 0.2
    )
    reach = frame.reach + 0.014
    return bone * edge(reach - offset, 0.015) * edge(offset - 0.03, 0.03) * edge(0.93 - y, 0.1)


def bones(frame: Frame) -> Plane:
    """(size, size) density of spine and clavicles."""
    y, offset = frame.y, frame.offset
    discs = 0.7 + 0.25 * np.cos(2 * np.pi * y / 0.062)
    spine = edge(0.036 - offset, 0.02) * discs
    line = 0.205 - 0.30 * (offset - 0.05) + 0.55 * (offset - 0.05) ** 2 + 0.012 * np.sin(18 * offset)
    collar = edge(0.013 - np.abs(y - line), 0.010) * edge(offset - 0.05, 0.02) * edge(0.37 - offset, 0.02)
    shaft = np.minimum(1, 0.8 + np.abs(y - line) / 0.03)
    shoulder = bell(offset, y, (0.415, 0.135), 0.035, 0.045)
    return 0.5 * spine + 0.95 * collar * shaft + 0.6 * shoulder


def body(frame: Frame) -> Plane:
    """(size, size) mask of the skin outline: neck, shoulders, trunk."""
    offset, y, fat = frame.offset, frame.y, frame.build.fat
    neck = 0.085 + 0.02 * fat
    slope = power(np.clip((offset - neck) / 0.34, 0, 1), 0.6)
    shoulder = 0.01 + 0.15 * slope + 4.0 * power(np.maximum(0, offset - 0.42), 1.5) - (offset < neck)
    flank = 0.462 + 0.05 * fat
    return edge(y - shoulder, 0.02) * edge(flank - offset, 0.02)


def vessels(frame: Frame) -> Plane:
    """(size, size) branching lung markings, from each hilum outwards."""
    rng = random.Random(f"{frame.build.seed}/vessels")
    strokes: list[tuple[Sequence[Point], float]] = []

    def grow(at: Point, angle: float, length: float, width: float) -> None:
        bend = rng.uniform(-0.35, 0.35)
        path = [at]
        for k in range(3):
            x, y = path[-1]
            heading = angle + bend * k
            path.append((x + length / 3 * math.cos(heading), y + length / 3 * math.sin(heading)))
        strokes.append((path, width))
        if length > 0.055:
            for turn in (-0.4, 0.4):
                grow(
                    path[-1],
                    angle + bend * 2 + turn * rng.uniform(0.5, 1.5),
                    length * rng.uniform(0.6, 0.8),
                    width * 0.7,
                )

    for side, (x, y) in HILA.items():
        for k in range(6):
            outward = (k - 2.2) * 0.5 + rng.uniform(-0.2, 0.2)
            start = x, y + 0.02 * (k - 2)
            grow(start, math.pi - outward if side == "right" else outward, rng.uniform(0.07, 0.1), 0.008)
    return frame.lines(strokes)
