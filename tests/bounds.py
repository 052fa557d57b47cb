"""Bounds on what rounding does, for comparisons whose two sides round differently.

BLAS, LLVM and XLA choose a kernel by the processor, and with it the order of every sum. What a test
allows is therefore derived, from the type, the number of roundings and the condition, or it is ten
times or more of what was seen, and says what that was: the largest with OpenBLAS's kernels for
Haswell, Zen, Sandybridge, Nehalem, Prescott and SkylakeX, on one thread and on two.
"""

import numpy as np


def rounding(n, dtype=np.float64):
    """Return what `n` roundings in a row come to at most, relative to the largest number rounded.

    One is off by eps / 2 or less. Those of both signs add up like the steps of a random walk, to
    sqrt(n) eps / 2 or so; 20 times that has a probability of 2 exp(-200) (N. J. Higham and T. Mary,
    "A New Approach to Probabilistic Rounding Error Analysis", SIAM J. Sci. Comput., 2019).
    """
    return 10 * np.sqrt(n) * np.finfo(dtype).eps


def condition(X, regularization, dropout=0.0):
    """Return a bound on the condition of the matrix of the closed form, whatever the weights.

    Its smallest eigenvalue is n * regularization or more, for weights whose sum is n. The largest
    of the Gram matrix is its trace at most: n times the largest squared norm of a row.
    """
    return 1 + np.square(X).sum(axis=1).max() / (1 - dropout) / regularization
