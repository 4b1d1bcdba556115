"""Small pictures as inline SVG, drawn by hand: colours come from the page's style sheet, so that one picture serves light and
dark (matplotlib's SVG, as of `evaluate`, has fixed colours and letters as outlines, 30 KB a figure).

What a picture shows stands beside it as text; pictures carry a label for who cannot see them. Attributes only: the page's
policy allows no style but its style sheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 240, 20  # of a picture in a table's cell
LINE_WIDTH, LINE_HEIGHT = 160, 40
MARGIN = 4  # for dots at the edges
GAP = 0.4  # between the parts of a bar, of 100


@dataclass(frozen=True)
class Part:
    """A part of a whole; `kind` is a class of the style sheet: good, kept, idle or lost."""

    label: str
    n: int
    kind: str


def stacked(parts: Sequence[Part]) -> Markup:
    """Parts of a whole as one bar."""
    total = sum(part.n for part in parts) or 1
    drawn, left = [], 0.0
    for part in parts:
        width = 100 * part.n / total
        if part.n:
            drawn.append(
                Markup('<rect class="{}" x="{:.2f}" y="0" width="{:.2f}" height="8"><title>{}: {:,}</title></rect>').format(
                    part.kind, left, width if left + width > 99.9 else max(width - GAP, width / 2), part.label, part.n
                )
            )
        left += width
    told = ", ".join(f"{part.label} {part.n:,}" for part in parts)
    return _svg("bar", "0 0 100 8", told, Markup("").join(drawn), stretched=True)


def share(value: float, most: float, kind: str = "good") -> Markup:
    """A value as a bar on a scale from 0 to `most`."""
    width = 100 * value / most if most else 0
    bar = Markup('<rect class="{}" x="0" y="0" width="{:.2f}" height="8"/>').format(kind, width)
    return _svg("bar", "0 0 100 8", f"{value:,.4g} of {most:,.4g}", bar, stretched=True)


def interval(
    value: float, low: float | None, high: float | None, scale: tuple[float, float], mark: float | None = None
) -> Markup:
    """A dot with its interval on a scale that all pictures of a table share; `mark` is another value, as a line: 0, what it
    came to."""
    lowest, highest = scale
    span = (highest - lowest) or 1

    def place(at: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (min(max(at, lowest), highest) - lowest) / span

    middle = HEIGHT / 2
    drawn = [Markup('<line class="axis" x1="0" x2="{}" y1="{}" y2="{}"/>').format(WIDTH, middle, middle)]
    if mark is not None:
        drawn.append(Markup('<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="2" y2="{1}"/>').format(place(mark), HEIGHT - 2))
    if low is not None and high is not None:
        ends = (place(low), max(place(high), place(low) + 1))
        drawn.append(Markup('<line class="range" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>').format(*ends, middle, middle))
    drawn.append(Markup('<circle class="dot" cx="{:.1f}" cy="{}" r="3.5"/>').format(place(value), middle))
    told = f"{value:,.4g}" + (f", from {low:,.4g} to {high:,.4g}" if low is not None else "")
    return _svg("interval", f"0 0 {WIDTH} {HEIGHT}", told, Markup("").join(drawn))


def line(values: Sequence[float | None]) -> Markup:
    """Values in their order, the last with a dot; those that are not known are passed over. The scale begins at 0."""
    known = [value for value in values if value is not None]
    if not known:
        return Markup("")
    top = max(known) or 1
    step = (LINE_WIDTH - 2 * MARGIN) / max(1, len(values) - 1)

    def point(at: int, value: float) -> tuple[float, float]:
        x = MARGIN + step * at if len(values) > 1 else LINE_WIDTH - MARGIN
        return x, LINE_HEIGHT - MARGIN - (LINE_HEIGHT - 2 * MARGIN) * value / top

    points = [point(at, value) for at, value in enumerate(values) if value is not None]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    drawn = Markup('<polyline points="{}"/>').format(path)
    if values[-1] is not None:
        drawn += Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(*points[-1])
    base = Markup('<line class="axis" x1="0" x2="{0}" y1="{1}" y2="{1}"/>').format(LINE_WIDTH, LINE_HEIGHT - 1)
    told = f"{len(known)} nights, from {min(known):,.4g} to {max(known):,.4g}, last {known[-1]:,.4g}"
    return _svg("history", f"0 0 {LINE_WIDTH} {LINE_HEIGHT}", told, base + drawn)


def _svg(kind: str, box: str, label: str, drawn: Markup, stretched: bool = False) -> Markup:
    ratio = Markup(' preserveAspectRatio="none"') if stretched else Markup("")
    return Markup('<svg class="{}" viewBox="{}"{} role="img" aria-label="{}">{}</svg>').format(kind, box, ratio, label, drawn)
