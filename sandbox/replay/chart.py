"""Curves over the months as one SVG element, which a page holds without a script or another file."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 260, 60, 30, 30
COLOURS: Final = ("#0b6e4f", "#b23a48")
TICKS: Final = 4


@dataclass(frozen=True, slots=True)
class Curve:
    """A value for every place of the horizontal axis."""

    name: str
    values: Sequence[float]


def chart(title: str, labels: Sequence[str], curves: Sequence[Curve]) -> str:
    """Draw curves over labels.

    Args:
        title: Above the drawing.
        labels: Of the horizontal axis.
        curves: At most as many as there are colours, each with a value per label.
    """
    values = [value for curve in curves for value in curve.values]
    low, high = min(values, default=0.0), max(values, default=1.0)
    span = high - low or 1.0
    step = (WIDTH - LEFT - 20) / max(len(labels) - 1, 1)

    def x(place: int) -> float:
        return LEFT + place * step

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / span * (HEIGHT - BOTTOM - TOP)

    ticks = [low + span * place / TICKS for place in range(TICKS + 1)]
    drawn = [_text(4, y(tick) + 4, f"{tick:.3g}") + _line(y(tick)) for tick in ticks]
    drawn += [_text(x(place) - 10, HEIGHT - 8, label) for place, label in enumerate(labels)]
    for place, (curve, colour) in enumerate(zip(curves, COLOURS, strict=False)):
        points = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in enumerate(curve.values))
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn.append(_text(WIDTH - 160 + 80 * place, 16, curve.name, colour))
    return (
        f"<h2>{html.escape(title)}</h2>"
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDTH}" height="{HEIGHT}">{"".join(drawn)}</svg>'
    )


def _text(x: float, y: float, text: str, colour: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" fill="{colour}">{html.escape(text)}</text>'


def _line(y: float) -> str:
    return f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}" stroke="#eee"/>'
