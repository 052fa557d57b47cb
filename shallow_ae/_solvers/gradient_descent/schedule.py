"""How steps are divided into dispatches, and which losses show that a descent diverges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shallow_ae._typing import Array

_DIVERGED = 100  # descent diverges if a loss is this many times the usual loss


def decayed_rates(learning_rate: float, decay: float, n_before: int, n_steps: int) -> Array:
    """Return the learning rates of `n_steps` steps, after `n_before` earlier decays."""
    rates: Array = learning_rate * decay ** np.arange(n_before, n_before + n_steps)
    return rates


def dispatch_sizes(
    n_steps: int, at_once: int, pauses: Sequence[int]
) -> tuple[int, list[tuple[int, int]]]:
    """Return the number of steps that a dispatch is compiled for, and the steps of each dispatch.

    A dispatch has at most `at_once` steps, and ends at all multiples of each of `pauses`. There are
    few distinct sizes, because JAX compiles the steps again for each size.
    """
    longest = min([n_steps, at_once, *pauses])
    size = min(at_once, 1 << (longest - 1).bit_length())
    parts, first = [], 0
    while first < n_steps:
        end = min(first + size, n_steps, *(first - first % p + p for p in pauses))
        parts.append((first, end))
        first = end
    return size, parts


def check_loss(value: float, usual: float, n_steps: int, learning_rate: float) -> None:
    """Raise a ValueError if a loss is not finite or is more than 100 times the usual loss."""
    if np.isfinite(value) and value <= _DIVERGED * usual:
        return
    raise ValueError(
        f"The loss is {value:.3g} after step {n_steps}, where {usual:.3g} is usual: gradient "
        f"descent diverges with steps of {learning_rate:.3g}. Lower `learning_rate` or set it to "
        "'auto'. If it is 'auto', raise `batch_size`."
    )
