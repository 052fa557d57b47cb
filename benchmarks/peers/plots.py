"""The results as SVG, for light and dark pages: quality against fit seconds, and peak memory.

The text of a plot is a function of the results alone.
"""

import math
from html import escape
from typing import Any, NamedTuple

from suite import OURS
from tables import NAMES, of

COLORS = {
    "light": {"text": "#1f2328", "muted": "#59636e", "grid": "#d8dee4", "ours": "#0969da"},
    "dark": {"text": "#e6edf3", "muted": "#9198a1", "grid": "#30363d", "ours": "#58a6ff"},
}
WIDTH, HEIGHT = 470, 380  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 34, 46
FONT, LETTER, LINE = 12, 6.9, 14
FLOOR = "most popular"  # in tables only: its quality would press all others together


class Box(NamedTuple):
    """A rectangle on the page."""

    left: float
    top: float
    right: float
    bottom: float

    def shared(self, other: "Box") -> float:
        """Return the area that two rectangles share."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0) * max(height, 0)


class Axis(NamedTuple):
    """Values between two limits to places between two others; by logarithms or not."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool

    def place(self, value: float) -> float:
        """Return where a value lies."""
        low, high, value = (
            (math.log10(self.low), math.log10(self.high), math.log10(value))
            if self.is_log
            else (self.low, self.high, value)
        )
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round values between the limits."""
        if self.is_log:
            powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            return [10.0**power for power in powers]
        step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if (self.high - self.low) / s <= 8)
        first = math.ceil(self.low / step)
        return [step * n for n in range(first, math.floor(self.high / step) + 1)]


def text(x: float, y: float, content: str, fill: str, more: str = "") -> str:
    """Return a text of the page."""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" {more}>{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, stroke: str) -> str:
    """Return a thin line of the page."""
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{stroke}"/>'


def page(title: str, panels: list[str], columns: int, height: int) -> str:
    """Return panels side by side, with a transparent background."""
    rows = math.ceil(len(panels) / columns)
    placed = [
        f'<g transform="translate({n % columns * WIDTH} {n // columns * height})">\n{panel}\n</g>'
        for n, panel in enumerate(panels)
    ]
    wide, high = columns * WIDTH, rows * height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" '
        f'font-family="system-ui, sans-serif" font-size="{FONT}" role="img">\n'
        f"<title>{escape(title)}</title>\n" + "\n".join(placed) + "\n</svg>\n"
    )


def quality(results: dict[str, Any], theme: str) -> str:
    """Return NDCG@20 against fit seconds, a panel for each data set."""
    sets = order(results)
    title = "NDCG@20 against the seconds of a fit"
    return page(title, [_quality(results, data, COLORS[theme]) for data in sets], 2, HEIGHT)


def order(results: dict[str, Any]) -> list[str]:
    """Return the data sets with the two of the README first."""
    return [data for data in ("ml-1m", "gowalla", "lastfm-2k") if data in results["data"]]


def _quality(results: dict[str, Any], data: str, colors: dict[str, str]) -> str:
    rows = [r for r in of(results, data) if "ndcg" in r and r["label"] != FLOOR]
    if not rows:
        return text(LEFT, 20, NAMES[data], colors["text"])
    times, scores = [max(r["fit_s"], 0.01) for r in rows], [r["ndcg"] for r in rows]
    gap = (max(scores) - min(scores)) * 0.08 or 0.01
    x = Axis(min(times) / 1.6, max(times) * 1.6, LEFT, WIDTH - RIGHT, is_log=True)
    y = Axis(min(scores) - gap, max(scores) + gap, HEIGHT - BOTTOM, TOP, is_log=False)
    parts = [text(LEFT, 20, NAMES[data], colors["text"], 'font-weight="600"')]
    for tick in x.ticks():
        at = x.place(tick)
        parts.append(line(at, TOP, at, HEIGHT - BOTTOM, colors["grid"]))
        middle = 'text-anchor="middle"'
        parts.append(text(at, HEIGHT - BOTTOM + 16, f"{tick:g}", colors["muted"], middle))
    for tick in y.ticks():
        at = y.place(tick)
        parts.append(line(LEFT, at, WIDTH - RIGHT, at, colors["grid"]))
        parts.append(
            text(LEFT - 6, at + 4, f"{tick:.2f}"[1:], colors["muted"], 'text-anchor="end"')
        )
    parts.append(
        text(WIDTH - RIGHT, HEIGHT - 10, "fit, seconds", colors["muted"], 'text-anchor="end"')
    )
    parts.append(text(WIDTH - RIGHT, 20, "NDCG@20", colors["muted"], 'text-anchor="end"'))
    points = [(x.place(t), y.place(s)) for t, s in zip(times, scores, strict=True)]
    for row, (px, py), label in zip(rows, points, labels(rows, points), strict=True):
        is_ours = row["library"] == OURS and row["label"] != FLOOR
        color = colors["ours"] if is_ours else colors["muted"]
        parts.append(
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{5 if is_ours else 4}" fill="{color}"/>'
        )
        weight = 'font-weight="600"' if is_ours else ""
        if label.shared(Box(px - 18, py - 18, px + 18, py + 18)) == 0:
            near = (
                min(max(px, label.left + 4), label.right - 4),
                label.top if label.top > py else label.bottom,
            )
            parts.append(line(px, py, *near, color))
        fill = color if is_ours else colors["text"]
        parts.append(text(label.left, label.bottom - 3, row["label"], fill, weight))
    return "\n".join(parts)


def labels(rows: list[dict], points: list[tuple[float, float]]) -> list[Box]:
    """Return a place for each label that covers as little as possible of points and labels."""
    taken = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    found: dict[int, Box] = {}
    frame = Box(LEFT, TOP - 4, WIDTH, HEIGHT - BOTTOM)
    for n in sorted(range(len(rows)), key=lambda n: -points[n][0]):
        x, y = points[n]
        width = len(rows[n]["label"]) * LETTER + 4
        options = [
            Box(left, y + down - LINE / 2, left + width, y + down + LINE / 2)
            for down in (0, *(sign * reach for reach in range(10, 130, 8) for sign in (-1, 1)))
            for left in (x + 8, x - 8 - width, *([x - width / 2] if down else []))
        ]

        def cost(box: Box) -> float:
            area = (box.right - box.left) * (box.bottom - box.top)
            return sum(box.shared(other) for other in taken) + 3 * (area - box.shared(frame))

        found[n] = min(options, key=cost)
        taken.append(found[n])
    return [found[n] for n in range(len(rows))]


def memory(results: dict[str, Any], theme: str) -> str:
    """Return peak memory, a panel for each data set."""
    panels = [_memory(results, data, COLORS[theme]) for data in order(results)]
    most = max(len(of(results, data)) for data in results["data"])
    return page("Peak memory of a process that fits and ranks all users", panels, 2, height(most))


def height(n_rows: int) -> int:
    """Return the height of a panel with so many rows."""
    return TOP + 20 * n_rows + BOTTOM


def _memory(results: dict[str, Any], data: str, colors: dict[str, str]) -> str:
    rows = sorted(
        (r for r in of(results, data) if "peak_mib" in r), key=lambda row: row["peak_mib"]
    )
    parts = [text(6, 20, NAMES[data], colors["text"], 'font-weight="600"')]
    if not rows:
        return parts[0]
    left, right = 116, WIDTH - 60
    x = Axis(rows[0]["peak_mib"] / 1.5, rows[-1]["peak_mib"] * 1.05, left, right, is_log=True)
    bottom = TOP + 20 * len(rows)
    for tick in x.ticks():
        at = x.place(tick)
        parts.append(line(at, TOP - 4, at, bottom, colors["grid"]))
        parts.append(text(at, bottom + 14, f"{tick:,.0f}", colors["muted"], 'text-anchor="middle"'))
    parts.append(text(right, bottom + 32, "peak, MiB", colors["muted"], 'text-anchor="end"'))
    for n, row in enumerate(rows):
        is_ours = row["library"] == OURS and row["label"] != FLOOR
        color = colors["ours"] if is_ours else colors["muted"]
        y, at = TOP + 20 * n + 8, x.place(row["peak_mib"])
        weight = 'font-weight="600"' if is_ours else ""
        fill = color if is_ours else colors["text"]
        parts.append(text(left - 8, y + 4, row["label"], fill, f'text-anchor="end" {weight}'))
        parts.append(line(left, y, at, y, color))
        parts.append(f'<circle cx="{at:.1f}" cy="{y}" r="{5 if is_ours else 4}" fill="{color}"/>')
        parts.append(text(at + 9, y + 4, f"{row['peak_mib']:,.0f}", colors["muted"], ""))
    return "\n".join(parts)


def all_plots(results: dict[str, Any]) -> dict[str, str]:
    """Return the name and the text of each plot."""
    return {
        f"peers_{name}-{theme}.svg": draw(results, theme)
        for name, draw in (("quality", quality), ("memory", memory))
        for theme in COLORS
    }
