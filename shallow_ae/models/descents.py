"""The descent of a fit: in memory or on Dask's workers, from random weights or a previous fit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from shallow_ae._cluster.column_blocks import ColumnBlocks
from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._objective.objective import (
    Objective,
    count_scale,
    scale_by_counts,
    user_weights,
)
from shallow_ae._runtime.dask_graphs import Task, constant, shared, task
from shallow_ae._typing import Array
from shallow_ae.models.descent_rows import DescentRows
from shallow_ae.models.fitted import AutoEncoderState

if TYPE_CHECKING:
    from shallow_ae._cluster.descent import PartitionedDescent
    from shallow_ae._solvers.gradient_descent.fit import (
        DescentOptions,
        GradientDescent,
        RandomStreams,
    )


def descent_of(
    data: DescentRows | PartitionedRows,
    item_counts: Array,
    objective: Objective,
    options: DescentOptions,
    random: RandomStreams,
    before: AutoEncoderState | None,
) -> GradientDescent | PartitionedDescent:
    """Return the descent in memory or on Dask's workers, which continues from `before`."""
    n_steps_before = before.n_decays if before else 0
    if isinstance(data, DescentRows):
        from shallow_ae._solvers.gradient_descent.fit import GradientDescent

        weights = user_weights(data.X, data.sample_weight, objective.user_exponent)
        return GradientDescent(
            data.X,
            weights,
            item_counts,
            objective,
            options,
            random,
            start=(lambda: _unscaled_weights(before, data.dtype)) if before else None,
            n_steps_before=n_steps_before,
        )
    from shallow_ae._cluster.descent import PartitionedDescent

    form = before.weights.form if before else None
    return PartitionedDescent(
        data,
        item_counts,
        objective,
        options,
        random,
        start=partial(_unscaled_blocks, before, data.dtype) if before else None,
        columns=form.slices if isinstance(form, ColumnBlocks) else None,
        n_steps_before=n_steps_before,
    )


def _unscaled_weights(before: AutoEncoderState, dtype: np.dtype[Any]) -> Array:
    """Return the weights of a previous fit as start of a descent.

    The copy includes the diagonal, and the scaling by `item_exponent` is undone.
    """
    P: Array = np.asarray(before.weights.materialized().P).astype(dtype)
    scale_by_counts(P, before.item_counts, -before.objective.item_exponent)
    np.fill_diagonal(P, before.diagonal)
    return P


def _unscaled_blocks(
    before: AutoEncoderState, dtype: np.dtype[Any], columns: list[slice]
) -> list[Task]:
    """Return tasks for blocks of the columns that `_unscaled_weights` returns."""
    form, exponent = before.weights.form, before.objective.item_exponent
    scale = shared(count_scale(before.item_counts, exponent).astype(dtype) if exponent else None)
    if isinstance(form, ColumnBlocks):  # of the same columns
        given = form.blocks
    else:
        given = [constant(form.columns(block)) for block in columns]
    return [
        task(_unscaled_block, block, place.start, before.diagonal[place], scale, dtype)
        for block, place in zip(given, columns, strict=True)
    ]


def _unscaled_block(
    block: Array, first: int, diagonal: Array, scale: Array | None, dtype: np.dtype[Any]
) -> Array:
    P: Array = block.astype(dtype)
    columns = np.arange(P.shape[1])
    if scale is not None:
        P *= scale[:, None]
        P /= scale[None, first : first + len(columns)]
    P[first + columns, columns] = diagonal
    return P
