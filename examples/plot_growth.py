"""
Time and memory by the number of items
======================================

This example shows the time and memory of each of the four solvers by the number of items. ``plan``
estimates the memory of a fit without fitting, so it also works for sizes that exceed the memory of
this machine.
"""

# %%
# Gradient descent and the exact solution learn a weight for every pair of items. The other two
# models learn a fixed number of weights for each item.

from functools import partial
from timeit import repeat

import pandas as pd
import scipy.sparse as sp
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator
from threadpoolctl import threadpool_limits

from shallow_ae import LowRankAutoEncoder, ShallowAutoEncoder, SparseShallowAutoEncoder

models = {
    "gradient descent": ShallowAutoEncoder(max_iter=5, random_state=0),
    "exact": ShallowAutoEncoder(regularization=0.5, solver="exact"),
    "nearest items": SparseShallowAutoEncoder(regularization=0.5),
    "low rank": LowRankAutoEncoder(n_components=64, random_state=0),
}


def interactions(n_items):
    """Return as many users as items, with 30 items each on average."""
    shape, density = (n_items, n_items), 30 / n_items
    return sp.random_array(shape, density=density, format="csr", dtype="float32", rng=0)


# %%
# The time is measured, with linear algebra on one thread. Each point is the faster of two fits,
# because the first fit also compiles functions.

seconds = pd.DataFrame(index=[300, 1_000, 2_000], columns=list(models), dtype=float)
for n_items in seconds.index:
    X = interactions(n_items)
    for name, model in models.items():
        with threadpool_limits(1):
            seconds.loc[n_items, name] = min(repeat(partial(model.fit, X), number=1, repeat=2))

# %%
# The memory is the estimate of ``plan``. ``ShallowAutoEncoder`` has two solvers, and its ``plan``
# estimates both.

n_planned = [300, 1_000, 3_000, 10_000, 30_000, 100_000]
gib = pd.DataFrame(index=n_planned, columns=list(models), dtype=float)
for n_items in gib.index:
    X = interactions(n_items)
    pairs = models["exact"].plan(X)
    gib.loc[n_items] = {
        "gradient descent": pairs["sgd"].bytes / 2**30,
        "exact": pairs["exact"].bytes / 2**30,
        "nearest items": models["nearest items"].plan(X).bytes / 2**30,
        "low rank": models["low rank"].plan(X).bytes / 2**30,
    }
gib.round(3)

# %%
# From 10,000 to 100,000 items, the memory grows about a hundredfold with weights between all pairs,
# and about tenfold with the other two models. With a few thousand items, every solver is fast and
# needs little memory.

figure, (left, right) = plt.subplots(1, 2, width_ratios=[2, 3])
for name, style in zip(models, ["o-", "s--", "o-", "o-"], strict=True):
    left.loglog(seconds.index, seconds[name], style)
    (line,) = right.loglog(gib.index, gib[name], style)
    if name != "exact":
        label = "gradient descent\nand exact" if name == "gradient descent" else name
        right.annotate(
            label,
            (gib.index[-1], gib[name].iloc[-1]),
            xytext=(8, 0),
            textcoords="offset points",
            color=line.get_color(),
            va="center",
        )
left.set(title="Measured: all are fast", xlabel="items", ylabel="seconds of a fit")
left.set_xticks(seconds.index, [f"{n:,}" for n in seconds.index])
left.minorticks_off()
left.yaxis.set_major_locator(LogLocator(subs=[1, 2, 5]))
left.yaxis.set_major_formatter("{x:g}")
right.set(title="Planned: all pairs take memory", xlabel="items", ylabel="GiB of a fit")
right.xaxis.set_major_formatter("{x:,.0f}")
right.yaxis.set_major_formatter("{x:g}")
plt.show()
