"""Draw the pictures of the pages "The mathematics" and "JAX in five minutes" from made-up data.

python examples/model_pictures.py                            # into the folder pictures
python examples/model_pictures.py --out docs/images          # the documentation's own
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from shallow_ae import ShallowAutoEncoder

PAGE = Path(__file__).resolve().parents[1] / "docs" / "jax.md"
ITEMS = ["rock 1", "rock 2", "rock 3", "jazz 1", "jazz 2", "jazz 3", "hit"]
BLUE, ORANGE, GRAY = "#2171b5", "#d94801", "0.45"
SHADES = ["#9ecae1", "#4292c6", "#08519c"]


def main(argv: list[str] | None = None) -> None:
    """Write the four pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("pictures"))
    out = parser.parse_args(argv).out
    out.mkdir(parents=True, exist_ok=True)
    settings = {
        "svg.hashsalt": "shallow_ae",  # the same file each time
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(settings):
        X = listens_of_two_tastes()
        save(closed_form(X), out / "closed_form.svg")
        save(identity(X), out / "zero_diagonal.svg")
        save(shrinkage(), out / "shrinkage.svg")
        with inside(out):
            draw_page(PAGE)


def listens_of_two_tastes(n_users: int = 400) -> np.ndarray:
    """Return users who like rock or jazz and know most of it; nearly all know the hit."""
    rng = np.random.default_rng(0)
    likes_rock = rng.random(n_users) < 0.5
    shares = np.where(likes_rock[:, None], [[0.7, 0.1, 0.9]], [[0.1, 0.6, 0.9]])
    return (rng.random((n_users, 7)) < np.repeat(shares, [3, 3, 1], axis=1)).astype(float)


def gram(X: np.ndarray) -> np.ndarray:
    """Return X'X / n."""
    product: np.ndarray = X.T @ X / len(X)
    return product


def closed_form(X: np.ndarray, regularization: float = 0.02) -> Figure:
    """Draw the Gram matrix, the inverse of A, and the weights."""
    inverse = np.linalg.inv(gram(X) + regularization * np.eye(len(ITEMS)))
    weights = ShallowAutoEncoder(regularization, solver="exact").fit(X).item_weights_
    figure = Figure(figsize=(9.2, 3.4), layout="constrained")
    panels = figure.subplots(1, 3)
    heatmap(panels[0], gram(X), "Gram matrix  $G/n$\nshare of users who know both")
    heatmap(
        panels[1], inverse, "Inverse  $n\\,C = (G/n + \\rho I)^{-1}$\nnegative: they go together"
    )
    heatmap(
        panels[2], weights, "Weights  $P_{ij} = -C_{ij}\\,/\\,C_{jj}$\nfrom item $i$ to item $j$"
    )
    return figure


def identity(X: np.ndarray) -> Figure:
    """Draw the weights with and without the constraint, and what less regularization does."""
    strengths = np.logspace(-5, 0, 61)
    free = [ridge(X, strength) for strength in strengths]
    bound = [
        ShallowAutoEncoder(strength, solver="exact").fit(X).item_weights_ for strength in strengths
    ]
    figure = Figure(figsize=(9.2, 3.4), layout="constrained")
    panels = figure.subplots(1, 3)
    heatmap(panels[0], ridge(X, 0.02), "Without the constraint\nan item predicts itself")
    heatmap(
        panels[1], bound[int(np.argmin(abs(strengths - 0.02)))], "Diagonal zero\nothers predict it"
    )
    axes = panels[2]
    others = ~np.eye(len(ITEMS), dtype=bool)
    axes.semilogx(strengths, [np.diag(P).mean() for P in free], color=ORANGE, linestyle="--")
    axes.semilogx(strengths, [size(P[others]) for P in free], color=ORANGE)
    axes.semilogx(strengths, [size(P[others]) for P in bound], color=BLUE)
    axes.text(1.5e-5, 0.91, "diagonal, free", color=ORANGE)
    axes.text(1.5e-5, 0.04, "others, free", color=ORANGE)
    axes.text(1.5e-5, 0.31, "others, diagonal zero", color=BLUE)
    axes.set(
        xlabel="regularization", ylim=(-0.03, 1.05), title="Size of the weights\nby regularization"
    )
    return figure


def ridge(X: np.ndarray, regularization: float) -> np.ndarray:
    """Return the weights of ridge regression, in which an item may predict itself."""
    G = gram(X)
    weights: np.ndarray = np.linalg.solve(G + regularization * np.eye(len(G)), G)
    return weights


def size(weights: np.ndarray) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(weights**2)))


def shrinkage() -> Figure:
    """Draw the share of each direction that ridge regression and early stopping keep."""
    eigenvalues = np.logspace(-5, 0, 400)  # relative to the largest
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.subplots()
    for shade, n_steps in zip(SHADES, (10, 100, 1000), strict=True):
        kept = 1 - (1 - eigenvalues) ** n_steps
        axes.semilogx(eigenvalues, kept, color=shade, label=f"{n_steps:,} steps of length $1/L$")
        kept = eigenvalues / (eigenvalues + 1 / n_steps)
        label = f"ridge, $\\rho = \\mu_{{\\max}}\\,/\\,{n_steps:,}$"
        axes.semilogx(eigenvalues, kept, color=shade, linestyle="--", label=label)
    axes.set(
        xlabel="eigenvalue of $G/n$, relative to the largest",
        ylabel="share of the direction in $P$",
        ylim=(-0.03, 1.05),
    )
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def heatmap(axes: Any, matrix: np.ndarray, title: str) -> None:
    """Draw a matrix of items with its numbers; white is zero."""
    largest = np.abs(matrix).max()
    axes.imshow(matrix, cmap="RdBu", vmin=-largest, vmax=largest)
    for (row, column), value in np.ndenumerate(matrix):
        ink = "white" if abs(value) > 0.6 * largest else "black"
        text = f"{round(value, 2) + 0:.2f}"  # 0 makes a zero of a negative zero
        axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=ink)
    axes.set_xticks(range(len(ITEMS)), ITEMS, rotation=90)
    axes.set_yticks(range(len(ITEMS)), ITEMS)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title)


def save(figure: Figure, path: Path) -> None:
    """Write a figure for a page."""
    figure.savefig(path, metadata={"Date": None})
    print(f"Wrote {path}")


def draw_page(page: Path) -> None:
    """Run the Python blocks of a page, which write its picture into the current folder."""
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S):
        exec(compile(block, str(page), "exec"), names)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Make `folder` the current folder inside a `with` block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


if __name__ == "__main__":
    main()
