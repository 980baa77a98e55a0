"""Small plots as inline SVG. Sizes are in SVG units, which the page scales; colours are the page's CSS classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDE, HALF, HEIGHT = 900, 420, 200
"""Widths of a plot that has the page's width, and of one that shares it with another; height of columns."""

LEFT, RIGHT, TOP, BOTTOM = 52, 8, 10, 24

LABEL = 90
"""Room for the name of a column; where columns are narrower, not all names are written out."""

ROW = 26
NAMES, TEXTS = 90, 50
"""Room before and behind the bar of a row."""


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a plot.

    Attributes:
        name: for the legend.
        style: CSS class of its bars.
        values: one per column, 0 or more.
    """

    name: str
    style: str
    values: Sequence[float]


def columns(labels: Sequence[str], series: Sequence[Series], *, title: str, unit: str = "", width: int = WIDE) -> str:
    """Return stacked columns.

    Args:
        labels: one per column; not all are written out where there are many.
        series: from the bottom up.
        title: what the plot shows, for those who cannot see it.
        unit: of the values, for the tips.
        width: `WIDE` or `HALF`.
    """
    totals = [sum(one.values[column] for one in series) for column in range(len(labels))]
    step = nice_step(max(totals, default=0))
    top = max(1, math.ceil(max(totals, default=0) / step)) * step
    high, wide = HEIGHT - TOP - BOTTOM, width - LEFT - RIGHT
    pitch = wide / max(1, len(labels))
    parts = [_grid(step * line, TOP + high * (1 - step * line / top), width) for line in range(round(top / step) + 1)]
    every = math.ceil(min(LABEL, 12 * max(map(len, labels), default=1)) / pitch)
    for column, label in enumerate(labels):
        x, y = LEFT + column * pitch, TOP + float(high)
        if column % every == 0:
            parts.append(f'<text x="{x + pitch / 2:.1f}" y="{HEIGHT - 7}" class="label">{escape(label)}</text>')
        for one in series:
            value = one.values[column]
            length = high * value / top
            y -= length
            if value:
                thick = max(1.0, min(pitch - 2, 48))
                parts.append(
                    f'<rect x="{x + (pitch - thick) / 2:.1f}" y="{y:.1f}" width="{thick:.1f}" height="{length:.1f}" '
                    f'class="{one.style}"><title>{escape(f"{label}: {one.name} {value:,g} {unit}".rstrip())}</title>'
                    "</rect>"
                )
    return _svg(width, HEIGHT, title, parts)


def rows(names: Sequence[str], values: Sequence[float], texts: Sequence[str], *, title: str) -> str:
    """Return one bar a row.

    Args:
        names: before each bar.
        values: lengths, 0 or more.
        texts: behind each bar.
        title: what the plot shows, for those who cannot see it.
    """
    longest, start, wide = max(values, default=0) or 1, NAMES, HALF - NAMES - TEXTS
    parts = []
    for row, (name, value, text) in enumerate(zip(names, values, texts, strict=True)):
        y, length = row * ROW + 4, wide * value / longest
        parts.append(f'<text x="{start - 8}" y="{y + 13}" class="end">{escape(name)}</text>')
        parts.append(f'<rect x="{start}" y="{y}" width="{max(length, 1):.1f}" height="{ROW - 8}" class="done"/>')
        parts.append(f'<text x="{start + length + 8:.1f}" y="{y + 13}">{escape(text)}</text>')
    return _svg(HALF, max(1, len(names)) * ROW, title, parts)


def legend(series: Sequence[Series]) -> str:
    """Return the names of the colours."""
    return (
        '<p class="legend">'
        + "".join(f'<span><i class="{one.style}"></i>{escape(one.name)}</span>' for one in series)
        + "</p>"
    )


def nice_step(highest: float) -> float:
    """Return the distance of two lines of a grid, 1, 2 or 5 times a power of ten, that gives three to six of them."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest / 4))
    return next(power * factor for factor in (1, 2, 5, 10) if highest / (power * factor) <= 5)


def _grid(value: float, y: float, width: int) -> str:
    return (
        f'<line x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" class="end">{value:,g}</text>'
    )


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" class="w{width}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
