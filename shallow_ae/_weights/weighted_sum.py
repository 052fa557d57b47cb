"""Weighted sums of several models' scores."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from shallow_ae._runtime.blocks import share_rows
from shallow_ae._runtime.threads import n_threads
from shallow_ae._typing import Array
from shallow_ae._weights.blockwise import COLUMNS_AT_ONCE, dense_of, product_rows
from shallow_ae._weights.candidate_lists import CandidateFilter
from shallow_ae._weights.item_weights import (
    ItemWeights,
    Materialized,
    SparseWeights,
    WeightMatrix,
)
from shallow_ae._weights.ranking import check_rows
from shallow_ae.data.arguments import check_real


def weighted_sum(parts: Sequence[ItemWeights], factors: Sequence[float]) -> ItemWeights:
    """Return the sum of the parts, each multiplied by its factor.

    A part whose factor is 0 is left out. If one part with the factor 1 is left, it is returned.

    Raises
    ------
    ValueError
        If the parts do not have the same number of items, because a part was later fitted to other
        data.
    """
    sizes = [part.form.n_inputs for part in parts]
    if len(set(sizes)) > 1:
        raise ValueError(
            f"The parts of the sum have {', '.join(map(str, sizes))} items, expected the same "
            "number for all: a part was later fitted to other data. Call `fit` of the sum."
        )
    left = [(part, factor) for part, factor in zip(parts, factors, strict=True) if factor]
    if len(left) == 1 and left[0][1] == 1:
        return left[0][0]
    return ItemWeights(SummedWeights(tuple(p for p, _ in left), tuple(f for _, f in left)))


def factors_of(weights: Any, names: list[str], kept: Container[str]) -> list[float]:
    """Return the factors of the kept parts, from `weights` with one number for each name."""
    if weights is None:
        weights = [1.0] * len(names)
    if not isinstance(weights, list | tuple | np.ndarray):
        raise TypeError(f"`weights`={weights!r} must be a list of numbers, or None.")
    factors = [check_real("weights", weight) for weight in weights]
    if len(factors) != len(names):
        raise ValueError(
            f"`weights` has {len(factors)} numbers, expected {len(names)}: one for each of the "
            f"parts {', '.join(map(repr, names))}. After a change of `estimators`, call `fit`."
        )
    of_kept = [factor for name, factor in zip(names, factors, strict=True) if name in kept]
    if not any(of_kept):
        raise ValueError("All `weights` are 0: set one of them to another number.")
    return of_kept


class SummedWeights(NamedTuple):
    """The sum of parts, each multiplied by its factor.

    The parts are holders that belong to fitted models: a part that becomes an array, because that
    is cheaper, does so for the sum and for the model.
    """

    parts: tuple[ItemWeights, ...]
    factors: tuple[float, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype that can hold the scores of all parts."""
        return _dtype_of(self.forms)

    @property
    def n_inputs(self) -> int:
        """Return the number of items."""
        return self.forms[0].n_inputs

    @property
    def forms(self) -> list[WeightMatrix]:
        """Return the current form of each part."""
        return [part.form for part in self.parts]

    def block_scores(self, X: sp.csr_array[Any]) -> Array:
        """Return the sum of the parts' scores for a block of rows."""
        return _add([form.block_scores(X) for form in self.forms], self.factors, self.dtype)

    def rank(
        self,
        X: sp.csr_array[Any],
        allowed: CandidateFilter,
        items: Array,
        scores: Array,
        *,
        verbose: int = 0,
    ) -> None:
        """Write the best items of each row. Each block of rows is scored by all parts."""
        factors = [self.factors]
        _rank_sums(self.forms, factors, X, allowed, items[None], scores[None], verbose=verbose)

    def entries(self, inputs: Array, outputs: Array) -> Array:
        """Return the sum of the parts' entries."""
        return _add(
            [form.entries(inputs, outputs) for form in self.forms], self.factors, self.dtype
        )

    def columns(self, block: slice) -> Array:
        """Return the sum of the parts' blocks of columns."""
        return _add([form.columns(block) for form in self.forms], self.factors, self.dtype)

    def materialized(self) -> Materialized:
        """Return P as a sparse matrix if all parts are sparse, else as an array.

        Raises
        ------
        MemoryError
            If P does not fit in the free memory.
        AttributeError
            If the scores of a part are no product of X and item weights.
        """
        sparse = [form for form in self.forms if isinstance(form, SparseWeights)]
        if len(sparse) == len(self.parts):
            factors = _as_type(self.factors, self.dtype).tolist()
            total = sparse[0].P * factors[0]
            for form, factor in zip(sparse[1:], factors[1:], strict=True):
                total = total + form.P * factor
            return SparseWeights(sp.csr_array(total))
        itemsize, n_copies = self.dtype.itemsize, 1 + len(self.parts)
        n_beside = n_copies * n_threads() * COLUMNS_AT_ONCE
        return dense_of(self, self.n_inputs * (self.n_inputs + n_beside) * itemsize)

    def cheapest_for(self, X: sp.csr_array[Any]) -> WeightMatrix:
        """Return the sum as a sparse matrix if all parts are sparse, else the sum of the parts."""
        forms = [part.cheapest_for(X) for part in self.parts]
        if all(isinstance(form, SparseWeights) for form in forms):
            return self.materialized()
        return self


def best_of_sums(
    parts: Sequence[ItemWeights],
    factors: Sequence[Sequence[float]],
    X: sp.csr_array[Any],
    k: int,
    allowed: CandidateFilter,
) -> NDArray[np.int64]:
    """Return the `k` best items of each row for several sums of the same parts.

    Each row is scored once by each part, and not once for each sum. The result has the shape
    (number of sums, number of rows, k).
    """
    forms = [part.cheapest_for(X) for part in parts]
    for form in forms:
        check_rows(form, X)
    items = np.empty((len(factors), X.shape[0], k), np.int64)
    scores = np.empty(items.shape, _dtype_of(forms))
    _rank_sums(forms, factors, X, allowed, items, scores, verbose=0)
    return items


def _rank_sums(
    forms: Sequence[WeightMatrix],
    factors: Sequence[Sequence[float]],
    X: sp.csr_array[Any],
    allowed: CandidateFilter,
    items: Array,
    scores: Array,
    *,
    verbose: int,
) -> None:
    """Write the best items of each row for several sums, into arrays of (sum, row, place)."""
    from shallow_ae._weights.top_k import rank_sums

    by_sum = _as_type(factors, scores.dtype)

    def rank(rows: slice) -> None:
        block = X[rows]
        tables = np.empty((len(forms), *block.shape), scores.dtype)
        for place, form in enumerate(forms):
            tables[place] = form.block_scores(block)
        best = np.empty((len(by_sum), block.shape[0], items.shape[2]), np.int64)
        values = np.empty(best.shape, scores.dtype)  # contiguous for any number of sums
        rank_sums(tables, by_sum, allowed, rows.start, best, values)
        items[:, rows], scores[:, rows] = best, values

    share_rows(X.shape[0], rank, most=product_rows(*X.shape), verbose=verbose)


def _as_type(factors: Any, dtype: np.dtype[Any]) -> Array:
    """Return factors in the dtype of the scores; raise an error if one is too large for it."""
    with np.errstate(over="ignore"):
        own = np.asarray(factors, dtype)
    if not np.isfinite(own).all():
        raise ValueError(f"`weights` holds a number that is too large for {dtype} scores.")
    return own


def _dtype_of(forms: Sequence[WeightMatrix]) -> np.dtype[Any]:
    return np.result_type(*(form.dtype for form in forms))


def _add(terms: Sequence[Array], factors: Sequence[float], dtype: np.dtype[Any]) -> Array:
    """Return the sum of the terms times their factors."""
    total = np.zeros(terms[0].shape, dtype)
    for term, factor in zip(terms, _as_type(factors, dtype), strict=True):
        total += term * factor
    return total
