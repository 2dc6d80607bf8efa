"""The devices on a drawn film: pacemaker, central line, endotracheal tube."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chexphi.data.phantom.anatomy import CARINA, Frame, Plane, Point, edge, power
from chexphi.data.phantom.scene import Finding

TUBE: tuple[Point, ...] = ((0.492, -0.05), (0.497, 0.12), (0.497, CARINA - 0.065))
"""Endotracheal tube, its tip above the carina."""
LEADS: tuple[tuple[Point, ...], ...] = (
    ((0.745, 0.25), (0.68, 0.19), (0.58, 0.205), (0.475, 0.30), (0.455, 0.45), (0.445, 0.60), (0.47, 0.62)),
    ((0.745, 0.26), (0.68, 0.205), (0.58, 0.22), (0.485, 0.31), (0.462, 0.50), (0.50, 0.67), (0.62, 0.725)),
)
"""Pacemaker leads to the right atrium and the right ventricle."""
LINES: dict[str, tuple[Point, ...]] = {
    "right": ((0.385, -0.02), (0.395, 0.10), (0.425, 0.20), (0.45, 0.32), (0.452, 0.46)),
    "left": ((0.61, -0.02), (0.605, 0.10), (0.575, 0.20), (0.49, 0.275), (0.455, 0.35), (0.452, 0.46)),
}
"""Central lines from the neck to the superior vena cava, by side."""


def draw(frame: Frame, findings: Sequence[Finding]) -> Plane:
    """(size, size) density of metal and tubes, 0 to 1."""
    metal = np.zeros_like(frame.x)
    for finding in findings:
        if finding.name == "pacemaker":
            x, y = frame.x - 0.795, frame.y - 0.245
            box = edge(1 - power(x / 0.062, 4) - power(y / 0.05, 4), 0.5)
            leads = frame.lines([(_curve(LEADS[0]), 0.007), (_curve(LEADS[1]), 0.007)])
            metal = np.maximum(metal, np.maximum(box * 0.97, 0.85 * leads))
        elif finding.name == "central line":
            metal = np.maximum(metal, 0.85 * frame.lines([(_curve(LINES[finding.side]), 0.010)]))
        elif finding.name == "endotracheal tube":
            metal = np.maximum(metal, 0.9 * frame.lines([(TUBE, 0.02)]))
    return metal


def _curve(points: Sequence[Point]) -> list[Point]:
    """A smooth path through the points (Catmull-Rom), for drawing."""
    path = np.array([points[0], *points, points[-1]])
    t = np.linspace(0, 1, 6)[:, None]
    bends = [
        0.5
        * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t * t * t)
        for a, b, c, d in zip(path, path[1:], path[2:], path[3:], strict=False)
    ]
    return [(float(x), float(y)) for x, y in np.concatenate(bends)]
