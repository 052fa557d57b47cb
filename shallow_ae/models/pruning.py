"""The largest weights of an exact model as a model of its own, and what the others were worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.metaestimators import available_if

from shallow_ae._linalg.csr import column_squares, row_squares
from shallow_ae._objective.objective import count_scale
from shallow_ae._objective.solution import Objective, penalty_of
from shallow_ae._objective.training_data import TrainingData, TrainingGram
from shallow_ae._runtime.blocks import blocks
from shallow_ae._runtime.memory import check_neighbors_fit
from shallow_ae._runtime.threads import map_on_threads, n_threads
from shallow_ae._typing import Array
from shallow_ae._weights.candidates import candidate_filter
from shallow_ae._weights.item_weights import SparseWeights, Weights
from shallow_ae._weights.ranking import best_of_rows
from shallow_ae.data.arguments import check_integer
from shallow_ae.models.parameters import check_parameters
from shallow_ae.models.sparse import SparseShallowAutoEncoder

_COLUMNS = 128
_PRODUCTS = 2**18  # entries of rows times weights, where each weighs on every item


def _is_exact(model: Any) -> bool:
    if not hasattr(model, "_history"):
        raise AttributeError("`sparsify` is of models fitted with solver='exact': set it and fit.")
    return True


class SparsifyMixin:
    """The method of an exact model that turns it into a small one.

    Other models have no such attribute: scikit-learn knows linear models by it.
    """

    @available_if(_is_exact)  # type: ignore[untyped-decorator]
    def sparsify(self, n_neighbors: int = 100) -> SparseShallowAutoEncoder:
        """Return a model with the largest weights only, to serve from.

        The weights are those of the exact solution; what is left out is not made up for by the
        others, as it is where :class:`~shallow_ae.SparseShallowAutoEncoder` fits as few.

        Parameters
        ----------
        n_neighbors : int, default=100
            Weights to keep of each column of `item_weights_`, the largest by absolute value, equal
            ones by rising index.

        Returns
        -------
        pruned : SparseShallowAutoEncoder
            Fitted. Its `loss_curve_` holds the objective with all weights and with those kept. It
            keeps no rows: `partial_fit` and `forget` are this model's.

        Raises
        ------
        AttributeError
            If the model was not fitted by "exact".
        MemoryError
            If the weights to keep do not fit in the free memory.

        Examples
        --------
        >>> import scipy.sparse as sp
        >>> from shallow_ae import ShallowAutoEncoder
        >>> X = sp.random_array((500, 100), density=0.1, rng=0)
        >>> model = ShallowAutoEncoder(0.1, solver="exact").fit(X)
        >>> pruned = model.sparsify(20)
        >>> all_weights, kept = pruned.loss_curve_
        >>> pruned.item_weights_.nnz, bool(all_weights < kept)
        (2000, True)
        """
        check_parameters(self)
        return _sparsify(self, check_integer("n_neighbors", n_neighbors, low=1))


def _sparsify(model: Any, n_neighbors: int) -> SparseShallowAutoEncoder:
    """Return an exact model with its largest weights, as many for each item, and no others."""
    n_items, itemsize = model.n_features_in_, model._weights.dtype.itemsize
    n_neighbors = min(n_neighbors, max(1, n_items - 1))
    # Of columns, joined, and as csr; or as csr, with three numbers in float64 beside each.
    a_neighbor = n_items * max(3 * (itemsize + 4), itemsize + 4 + 3 * 8)
    beside = n_threads() * 4 * _COLUMNS * n_items * itemsize + 3 * 12 * _PRODUCTS
    check_neighbors_fit(n_items, n_neighbors, lambda number: number * a_neighbor + beside)
    P = _largest(model._weights, n_items, n_neighbors)
    parameters = model._parameters
    pruned = SparseShallowAutoEncoder(n_neighbors=n_neighbors, **parameters._asdict())
    for name in ("n_features_in_", "feature_names_in_", "item_counts_", "n_samples_seen_"):
        if hasattr(model, name):
            setattr(pruned, name, getattr(model, name))
    pruned._weights, pruned.residual_ = SparseWeights(P), model.residual_
    scale = count_scale(model.item_counts_, parameters.item_exponent)
    data = P.data * np.repeat(scale, np.diff(P.indptr))
    data /= scale[P.indices]
    unscaled = sp.csr_array((data, P.indices, P.indptr), shape=P.shape)
    loss = _objective(model._history, unscaled, model._diagonal, parameters)
    pruned.loss_curve_ = [model.loss_curve_[-1], loss]
    return pruned


def _largest(weights: Weights, n_items: int, n_neighbors: int) -> sp.csr_array[Any]:
    """Return the largest entries of each column of P, without the zeros among them."""

    def largest(block: slice) -> sp.csc_array[Any]:
        columns = weights.columns(block)
        width = columns.shape[1]
        nobody = sp.csr_array((width, n_items), dtype=columns.dtype)
        sizes = np.ascontiguousarray(np.abs(columns).T)
        items, _ = best_of_rows(sizes, n_neighbors, candidate_filter(nobody, exclude_seen=False))
        values = np.take_along_axis(columns.T, items, axis=1)
        indptr = np.arange(width + 1, dtype=np.int32) * n_neighbors
        indices = items.ravel().astype(np.int32)
        kept = sp.csc_array((values.ravel(), indices, indptr), shape=(n_items, width))
        kept.eliminate_zeros()
        return kept

    parts = map_on_threads(largest, blocks(n_items, _COLUMNS))
    return sp.csr_array(sp.hstack(parts, format="csr"))


def _objective(
    history: TrainingData, P: sp.csr_array[Any], own: Array, parameters: Objective
) -> float:
    """Return the objective at P with the diagonal `own`, which P is without."""
    squares = row_squares(P) + own**2
    missing = sp.csr_array(sp.diags_array(1 - own) - P)
    if isinstance(history, TrainingGram):
        n, gram = float(history.n_rows), history.matrix
        scale = n / history.total_weight
        diagonal = scale * gram.diagonal()
        errors, columns = 0.0, sp.csc_array(missing)
        for items in blocks(gram.shape[0], _COLUMNS):
            of_items = columns[:, items]
            errors += scale * float(((gram @ of_items) * of_items.toarray()).sum())
    else:
        X, weights = history.weighted(parameters.user_exponent)
        n, diagonal = float(weights.sum(dtype=np.float64)), column_squares(X, weights)
        errors = 0.0
        for users in blocks(X.shape[0], max(1, _PRODUCTS // X.shape[1])):
            missed = sp.csr_array(X[users] @ missing)
            errors += float(weights[users] @ missed.multiply(missed).sum(axis=1))
    return float((errors + penalty_of(diagonal, n, parameters) @ squares) / n)
