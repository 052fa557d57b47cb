"""The results as SVG, for light and dark pages: quality against fit seconds, and peak memory.

Each file holds the fingerprint of the results that it shows.
"""

import hashlib
import io
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from suite import OURS
from tables import NAMES, named, of

Array = np.ndarray

COLORS = {
    "light": {"text": "#1f2328", "muted": "#59636e", "grid": "#d8dee4", "ours": "#0969da"},
    "dark": {"text": "#e6edf3", "muted": "#9198a1", "grid": "#30363d", "ours": "#58a6ff"},
}
FLOOR = "most popular"  # in tables only: its quality would press all others together
HEADLINE = "gowalla"
WIDTH = 8.0  # inches


def fingerprint(results: dict[str, Any]) -> str:
    """Return the digest of everything that the plots show."""
    keys = ("data", "limit_s", "machine", "rows")
    shown = json.dumps({key: results[key] for key in keys}, sort_keys=True)
    return "sha256:" + hashlib.sha256(shown.encode()).hexdigest()


def label(row: dict[str, Any]) -> str:
    """Return the name of a row in the plots."""
    return str(named(row)).replace("*", "")


def is_ours(row: dict[str, Any]) -> bool:
    """Return whether a row is an estimator of this library."""
    return bool(row["library"] == OURS and row["label"] != FLOOR)


def unfinished(results: dict[str, Any], data: str) -> str:
    """Return a line for each reason, with the rows that did not finish for it."""
    reasons: dict[str, list[str]] = {}
    for row in of(results, data):
        if "ndcg" not in row:
            reasons.setdefault(row.get("note", "not finished"), []).append(label(row))
    return "\n".join(f"{reason}:\n{', '.join(names)}" for reason, names in reasons.items())


def styled(axes: Axes, colors: dict[str, str]) -> None:
    """Color a panel for a theme and show round numbers on its axis of logarithms."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.grid(color=colors["grid"], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=colors["muted"], length=0)
    axes.spines[:].set_visible(False)
    for part in (axes.xaxis.label, axes.yaxis.label):
        part.set_color(colors["muted"])


def scatter(axes: Axes, results: dict[str, Any], data: str, colors: dict[str, str]) -> None:
    """Draw NDCG@20 against the seconds of a fit, with a label at each point."""
    styled(axes, colors)
    axes.set_xlabel("seconds of a fit")
    axes.set_ylabel("NDCG@20")
    rows = [
        row | {"fit_s": max(row["fit_s"], 0.01)}  # an axis of logarithms has no 0
        for row in of(results, data)
        if "ndcg" in row and row["label"] != FLOOR
    ]
    rows.sort(key=lambda row: -row["fit_s"])
    for row in rows:
        color = colors["ours"] if is_ours(row) else colors["muted"]
        axes.plot(row["fit_s"], row["ndcg"], "o", color=color, markersize=8 if is_ours(row) else 6)
    axes.margins(0.12, 0.14)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + (high - low) * 0.1)  # room for labels above the best
    place(axes, rows, colors)
    note = unfinished(results, data)
    if note:
        axes.annotate(
            "Not finished\n" + note,
            (1, 0.02),
            xycoords="axes fraction",
            ha="right",
            va="bottom",
            fontsize=9,
            color=colors["muted"],
        )


def place(axes: Axes, rows: list[dict[str, Any]], colors: dict[str, str]) -> None:
    """Write each label where it covers least of points, of other labels and of the margin."""
    figure = axes.get_figure()
    figure.draw_without_rendering()
    scale = figure.dpi / 72
    frame = axes.get_window_extent().extents
    points = [axes.transData.transform((row["fit_s"], row["ndcg"])) for row in rows]
    taken = np.array([(x - 5, y - 5, x + 5, y + 5) for x, y in points])
    for row, (x, y) in zip(rows, points, strict=True):
        color = colors["ours"] if is_ours(row) else colors["muted"]
        text = axes.annotate(
            label(row),
            (row["fit_s"], row["ndcg"]),
            (0, 0),
            textcoords="offset points",
            color=color if is_ours(row) else colors["text"],
            weight="bold" if is_ours(row) else "normal",
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.7, "shrinkB": 4},
            va="center",
        )
        size = Text.get_window_extent(text)  # without its line to the point
        width, height = size.width + 4, size.height
        options = [
            Bbox.from_bounds(x + right, y + up - height / 2, width, height).extents
            for up in (0, *(s * reach for reach in range(15, 130, 5) for s in (1, -1)))
            for right in (11, -11 - width, *([-width / 2] if up else []))
        ]
        best = min(options, key=partial(far, x=x, y=y, taken=taken, frame=frame))
        taken = np.concatenate([taken, best[None], way(x, y, best)])
        text.set_position(((best[0] + 2 - x) / scale, (best[1] + height / 2 - y) / scale))
        if abs(best[1] + height / 2 - y) < 20 and text.arrow_patch is not None:
            text.arrow_patch.set_visible(False)


def far(box: Array, x: float, y: float, taken: Array, frame: Array) -> float:
    """Return the cost of a label, with its distance and what its line to the point crosses."""
    x0, y0, x1, y1 = box
    outside = (x1 - x0) * (y1 - y0) - shared(box, frame)
    crossed = shared(way(x, y, box)[:, None], taken)
    return float(shared(box, taken) + 3 * outside + abs((y0 + y1) / 2 - y) + crossed)


def way(x: float, y: float, box: Array) -> Array:
    """Return small boxes along the line from a point to its label, none if the label is near."""
    to_x, to_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    if abs(to_y - y) < 20:
        return np.empty((0, 4))
    part = np.arange(4, 17) / 20
    at_x, at_y = x + part * (to_x - x), y + part * (to_y - y)
    return np.stack([at_x - 2, at_y - 2, at_x + 2, at_y + 2], axis=1)


def shared(one: Array, other: Array) -> float:
    """Return the area that boxes share with other boxes, summed over all pairs.

    A box is x0, y0, x1, y1 along the last axis.
    """
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., 2:], other[..., 2:])
    return float(np.clip(high - low, 0, None).prod(axis=-1).sum())


def headline(results: dict[str, Any], colors: dict[str, str]) -> Figure:
    """Return one panel: quality against fit seconds on Gowalla."""
    size = results["data"][HEADLINE]
    cores = {2: "two"}.get(results["machine"]["cores"], results["machine"]["cores"])
    title = f"{size['n_users']:,} users, {size['n_items']:,} items, {cores} cores"
    return panels({HEADLINE: f"{NAMES[HEADLINE]}: {title}"}, scatter, 4.2, results, colors)


def quality(results: dict[str, Any], colors: dict[str, str]) -> Figure:
    """Return NDCG@20 against fit seconds, a panel for each data set."""
    return panels(titles(results), scatter, 4.4, results, colors)


def memory(results: dict[str, Any], colors: dict[str, str]) -> Figure:
    """Return peak memory, a panel for each data set."""
    return panels(titles(results), peaks, 4.6, results, colors)


def titles(results: dict[str, Any]) -> dict[str, str]:
    """Return the data sets and their names, with the two of the README first."""
    sets = ("ml-1m", "gowalla", "lastfm-2k")
    return {data: NAMES[data] for data in sets if data in results["data"]}


def panels(
    titles: dict[str, str],
    draw_panel: Callable[..., None],
    height: float,
    results: dict[str, Any],
    colors: dict[str, str],
) -> Figure:
    """Return a figure with a panel for each data set, one below the other."""
    figure = Figure(figsize=(WIDTH, height * len(titles)), layout="constrained", dpi=72)
    column = figure.subplots(len(titles), squeeze=False)[:, 0]
    for axes, (data, title) in zip(column, titles.items(), strict=True):
        axes.set_title(title, color=colors["text"], loc="left", weight="bold")
        draw_panel(axes, results, data, colors)
    return figure


def peaks(axes: Axes, results: dict[str, Any], data: str, colors: dict[str, str]) -> None:
    """Draw the peak memory of each row."""
    styled(axes, colors)
    axes.set_xlabel("peak memory, MiB")
    rows = [row for row in of(results, data) if "peak_mib" in row]
    rows.sort(key=lambda row: -row["peak_mib"])
    axes.set_yticks(range(len(rows)), [label(row) for row in rows])
    for n, (row, tick) in enumerate(zip(rows, axes.get_yticklabels(), strict=True)):
        color = colors["ours"] if is_ours(row) else colors["muted"]
        axes.plot(row["peak_mib"], n, "o", color=color)
        tick.set_color(color if is_ours(row) else colors["text"])
        tick.set_weight("bold" if is_ours(row) else "normal")
        axes.annotate(
            f"{row['peak_mib']:,.0f}",
            (row["peak_mib"], n),
            (7, 0),
            textcoords="offset points",
            va="center",
            color=colors["muted"],
        )
    axes.margins(x=0.15)


PLOTS = {"headline": headline, "quality": quality, "memory": memory}


def draw(results: dict[str, Any], name: str, theme: str) -> str:
    """Return a plot as SVG, with a transparent background."""
    with rc_context({"svg.hashsalt": "peers", "font.size": 11, "axes.titlesize": 13}):
        out = io.StringIO()
        about = {"Date": None, "Description": fingerprint(results)}
        figure = PLOTS[name](results, COLORS[theme])
        figure.savefig(out, format="svg", transparent=True, metadata=about)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def all_plots(results: dict[str, Any]) -> dict[str, str]:
    """Return the name and the text of each plot that the results have data for."""
    return {
        file_name(name, theme): draw(results, name, theme)
        for name in PLOTS
        if name != "headline" or HEADLINE in results["data"]
        for theme in COLORS
    }


def file_name(name: str, theme: str) -> str:
    """Return the name of the file of a plot."""
    return f"peers_{name}-{theme}.svg"
