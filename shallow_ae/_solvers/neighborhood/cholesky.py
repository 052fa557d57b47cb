"""One small linear system A w = g, by a Cholesky factorization A = R'R, compiled.

For a few dozen unknowns, a call of LAPACK takes longer than the solution, and its threads compete
with the threads of this library. The arguments hold the upper triangle of A, including the
diagonal, and g as an additional column to the right of A.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shallow_ae._runtime.compiled import callee, inlined
from shallow_ae._typing import Array


@callee
def factorize(matrix: Array, m: int) -> bool:
    """Overwrite the upper triangle of A with R, and the column g to its right with R'^-1 g.

    Return whether A is positive definite.
    """
    for index in range(m):
        row = matrix[index, index : m + 1]
        above = 0
        while above + 4 <= index:  # four rows at a time: `row` is read and written once for all
            a, row_a = matrix[above, index], matrix[above, index : m + 1]
            b, row_b = matrix[above + 1, index], matrix[above + 1, index : m + 1]
            c, row_c = matrix[above + 2, index], matrix[above + 2, index : m + 1]
            d, row_d = matrix[above + 3, index], matrix[above + 3, index : m + 1]
            for column in range(len(row)):
                row[column] = row[column] - (
                    (a * row_a[column] + b * row_b[column])
                    + (c * row_c[column] + d * row_d[column])
                )
            above += 4
        while above < index:
            a, row_a = matrix[above, index], matrix[above, index : m + 1]
            for column in range(len(row)):
                row[column] -= a * row_a[column]
            above += 1
        if not 0 < row[0] < np.inf:
            return False
        scale = row.dtype.type(1) / np.sqrt(row[0])
        for column in range(len(row)):
            row[column] *= scale
    return True


@inlined
def substitute_back(matrix: Array, m: int, solution: Array) -> None:
    """Write R^-1 times the column to the right of R into `solution`."""
    for index in range(m - 1, -1, -1):
        rest = matrix[index, m] - dot(matrix[index, index + 1 : m], solution[index + 1 : m])
        solution[index] = rest / matrix[index, index]


@inlined
def correct(matrix: Array, m: int, residual: Array, correction: Array) -> float:
    """Write A^-1 times the residual into `correction`; return its largest absolute entry.

    R is not changed. The residual and the column to the right of R are overwritten.
    """
    for index in range(m):
        own = residual[index] / matrix[index, index]
        matrix[index, m] = own
        row, below = matrix[index, index + 1 : m], residual[index + 1 :]
        for column in range(len(row)):
            below[column] -= own * row[column]
    substitute_back(matrix, m, correction)
    return largest_of(correction)


@callee
def largest_of(values: Array) -> float:
    """Return the largest absolute value; 0 if there are no values."""
    largest = 0.0
    for value in values:
        largest = abs(value) if abs(value) > largest else largest
    return largest


@inlined
def write_residual(upper: Array, given: Array, solution: Array, residual: Array) -> float:
    """Write A w - g into `residual`, and return its squared norm.

    `upper` holds the upper triangle of A, including the diagonal.
    """
    m = len(solution)
    for index in range(m):
        residual[index] = 0
    for index in range(m):
        weight, row, below = solution[index], upper[index, index + 1 : m], residual[index + 1 :]
        residual[index] += upper[index, index] * weight + dot(row, solution[index + 1 :])
        for column in range(len(row)):
            below[column] += weight * row[column]
    for index in range(m):
        residual[index] -= given[index]
    return squared(residual)


@callee
def squared(values: Array) -> float:
    """Return ||v||^2 in float64, because it may overflow the dtype of v."""
    total = 0.0
    for value in values:
        total += np.float64(value) * np.float64(value)
    return total


@callee
def dot(a: Array, b: Array) -> Any:
    """Return the dot product of two vectors, as four partial sums without mutual dependencies."""
    first = second = third = fourth = a.dtype.type(0)
    stop = len(a) - len(a) % 4
    for index in range(0, stop, 4):
        first += a[index] * b[index]
        second += a[index + 1] * b[index + 1]
        third += a[index + 2] * b[index + 2]
        fourth += a[index + 3] * b[index + 3]
    for index in range(stop, len(a)):
        first += a[index] * b[index]
    return (first + second) + (third + fourth)
