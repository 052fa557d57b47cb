"""Time of `partial_fit` and `forget` of a few users, compared with a fit, with solver="exact".

The listens are made up, with skewed popularity and 60 items for each user, in float32. With many
users and few items, the model keeps the Gram matrix, and an update computes products of its own
rows only. Otherwise the model keeps the rows. Each update computes the inverse again, because
n * regularization changes with the number n of users. A low-rank correction would not be exact.

    python benchmarks/exact_updates.py
"""

import os
import time

import numpy as np
from exact_fit import made_up

from shallow_ae import ShallowAutoEncoder

SHAPES = ((400_000, 1_024), (200_000, 2_048), (50_000, 4_096), (16_384, 8_192), (2_000, 16_384))
CHANGED = 100
ROUNDS = 2


def least_seconds(action) -> float:
    """Return the least time of some rounds."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    """Print a row for each shape."""
    print(f"{os.cpu_count()} cores; seconds, and how many times an update is cheaper than a fit")
    print(f"{'users':>9}{'items':>8}{'kept':>8}{'fit':>8}{'partial_fit':>17}{'forget':>17}")
    for n_users, n_items in SHAPES:
        X = made_up(n_users, n_items, 60).astype(np.float32)
        few = X[:CHANGED]
        model = ShallowAutoEncoder(solver="exact")
        fit = least_seconds(lambda model=model, X=X: model.fit(X))
        kept = type(model._fitted.training_data).__name__.lower()
        more = least_seconds(lambda model=model, few=few: model.partial_fit(few))
        less = least_seconds(lambda model=model, few=few: model.forget(few))
        print(
            f"{n_users:>9,}{n_items:>8,}{kept:>8}{fit:>8.2f}"
            f"{more:>9.2f}{fit / more:>7.1f}x{less:>9.2f}{fit / less:>7.1f}x"
        )


if __name__ == "__main__":
    main()
