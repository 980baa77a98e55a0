"""Draws curves as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = ((200, 40, 40), (40, 90, 200), (30, 140, 60), (150, 90, 170))
PANEL, MARGIN = 480, 60


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over common axes that start at 0.

    Attributes:
        title, across, up: what is written over it and along its axes.
        limits: ends of the two axes.
        lines: name and (x, y) points of each.
    """

    title: str
    across: str
    up: str
    limits: tuple[float, float]
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]]


def draw(path: Path, charts: Sequence[Chart]) -> None:
    """Write charts side by side."""
    picture = Image.new("RGB", ((PANEL + MARGIN) * len(charts) + MARGIN, PANEL + 2 * MARGIN), "white")
    pen = ImageDraw.Draw(picture)
    for number, chart in enumerate(charts):
        _draw_one(pen, MARGIN + number * (PANEL + MARGIN), chart)
    picture.save(path)


def _draw_one(pen: ImageDraw.ImageDraw, left: int, chart: Chart) -> None:
    """Draw one chart whose axes start at column `left`."""
    bottom = MARGIN + PANEL
    for tick in range(11):
        x, y = left + PANEL * tick / 10, bottom - PANEL * tick / 10
        pen.line([(x, MARGIN), (x, bottom)], fill=(225, 225, 225))
        pen.line([(left, y), (left + PANEL, y)], fill=(225, 225, 225))
        pen.text((x, bottom + 4), f"{chart.limits[0] * tick / 10:g}", fill="black", anchor="mt")
        pen.text((left - 4, y), f"{chart.limits[1] * tick / 10:g}", fill="black", anchor="rm")
    pen.text((left + PANEL / 2, MARGIN / 2), chart.title, fill="black", anchor="mm")
    pen.text((left + PANEL / 2, bottom + MARGIN / 2), chart.across, fill="black", anchor="mm")
    pen.text((left + 6, MARGIN + 6), chart.up, fill="black")
    for number, (name, points) in enumerate(chart.lines):
        colour = COLOURS[number % len(COLOURS)]
        within = [(x, y) for x, y in points if x <= chart.limits[0] and y <= chart.limits[1]]
        scaled = [(left + PANEL * x / chart.limits[0], bottom - PANEL * y / chart.limits[1]) for x, y in within]
        pen.line(scaled, fill=colour, width=2)
        pen.text((left + PANEL - 6, bottom - 20 - 16 * number), name, fill=colour, anchor="rm")
