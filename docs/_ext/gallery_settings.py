"""The gallery: one look for all pictures, and the order of the examples."""

from pathlib import Path
from typing import Any

import matplotlib
from cycler import cycler

EXAMPLES = (
    "map_of_artists",
    "reasons",
    "cold_start",
    "loss_curves",
    "early_stopping",
    "regularization_path",
    "which_ndcg",
    "popularity",
    "sum_of_models",
    "growth",
    "forget_a_user",
    "backtest",
)


def order(file: str) -> int:
    """Return the place of an example, from what a newcomer enjoys to what an expert asks."""
    return EXAMPLES.index(Path(file).stem.removeprefix("plot_"))


def set_style(_settings: dict[str, Any], _script: str) -> None:
    """Give each example of the gallery the same look, whatever the example before it has set."""
    matplotlib.rcdefaults()
    matplotlib.rcParams.update(
        {
            "axes.prop_cycle": cycler(
                color=["#3b6fb6", "#e07b39", "#4b9b6e", "#b5557a", "#8a6fb3", "#7f7f7f"]
            ),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlelocation": "left",
            "figure.constrained_layout.use": True,
            "figure.dpi": 110,
            "figure.facecolor": "white",
            "figure.figsize": (7, 4),
            "font.size": 10,
            "legend.frameon": False,
        }
    )
