"""The regularization that "auto" stands for, computed from sums over the training data."""

from __future__ import annotations

import numpy as np

from shallow_ae._objective.objective import too_large
from shallow_ae._objective.problem import Data

AUTO = "auto"


def regularization_for(data: Data, user_exponent: float) -> float:
    """Return (mean of w_u ||x_u||^2 over users) * (sum of m_i^2) / (sum of m_i)^2.

    m_i is the sum of the sample weights of the users of item i, so that the second factor is the
    probability that two interactions, drawn at random, are of the same item (Simpson's index). Its
    inverse is an effective number of items. If all nonzero values are 1 and `user_exponent` is 0,
    the product is the mean of X'WX/n's diagonal, with each item as often as it has users.

    The value is proportional to the squares of the values of X, and does not change if each user is
    there twice. The constant in front of it, 1, is measured: docs/defaults.md. The value is 1 if X
    has no nonzero value.

    Raises
    ------
    ValueError
        If the squares overflow, or are so small that they lose digits.
    """
    length = data.mean_squared_length(user_exponent)
    if not length <= float(np.finfo(data.dtype).max):
        raise ValueError(too_large(data.dtype))
    counts = data.item_counts
    if not length > 0 or not counts.any():
        return 1.0
    shares = counts / counts.max()  # their squares do not overflow
    found = float(length * (shares @ shares) / shares.sum() ** 2)
    # Summands that are smaller by the precision of the type are normal numbers as well.
    limits = np.finfo(data.dtype)
    if found < float(limits.tiny) / float(limits.eps):
        raise ValueError(
            f"X has values whose squares are too small for {data.dtype}: `regularization`='auto' "
            f"would be {found:.2g}. Scale X up."
        )
    return found
