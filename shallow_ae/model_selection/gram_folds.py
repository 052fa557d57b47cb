"""Cross-validation of the exact solution, with what folds and settings have in common done once.

Users are rows: the Gram matrix of a fold's training part is that of all users less that of the
others. Settings that differ only in how the inverse is scaled share it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from tqdm.auto import tqdm

from shallow_ae._linalg.inverse import is_small
from shallow_ae._objective.solution import objective_of
from shallow_ae._objective.training_data import (
    GRAM_DTYPE,
    TrainingData,
    TrainingGram,
    TrainingRows,
    gram_of,
    keeps_gram,
    training_data,
)
from shallow_ae._runtime.memory import check_memory, free_memory, release_free_memory
from shallow_ae._runtime.threads import map_sequential, map_single_threaded, n_threads
from shallow_ae._solvers.closed_form import inverse_of, is_dual, minimize, minimize_each
from shallow_ae._solvers.costs import exact_need
from shallow_ae._typing import Array
from shallow_ae.evaluation import HoldoutProtocol
from shallow_ae.models.exact import settle

# How much more of an item there may be in all rows than in a part that is formed as a difference:
# two digits of float32 are lost then, of seven.
_MOST_CANCELLED = 100

Splits = Sequence[tuple[Any, Any]]  # rows to learn from, and rows to be judged by


class Data(NamedTuple):
    """Checked rows, their weights, and what may be held out of them."""

    X: sp.csr_array[Any]
    sample_weight: Array
    y: Any

    def of(self, rows: Any) -> Data:
        """Return some of the rows."""
        return Data(
            self.X[rows], self.sample_weight[rows], None if self.y is None else self.y[rows]
        )


class Outcome(NamedTuple):
    """What each setting has come to in each split, as arrays of (n_settings, n_splits)."""

    scores: NDArray[np.float64]
    fit_times: NDArray[np.float64]  # in seconds
    score_times: NDArray[np.float64]


def cross_validate(
    models: Sequence[Any], data: Data, splits: Splits, scoring: Any, *, verbose: int
) -> tuple[Outcome, TrainingGram | None]:
    """Return the outcome of each model, and the last Gram matrix of all rows that was formed.

    `scoring` is a HoldoutProtocol or a scorer of scikit-learn's kind.

    Raises
    ------
    MemoryError
        If not even one inverse at a time fits.
    """
    inverses = [inverse_of(objective_of(model)) for model in models]
    order = sorted(range(len(models)), key=inverses.__getitem__)
    groups = [list(group) for _, group in groupby(order, inverses.__getitem__)]
    is_apart = _works_apart(data, splits, scoring, copies=len(groups) < len(models))
    outcome = Outcome(*(np.empty((len(models), len(splits))) for _ in Outcome._fields))
    gram = None
    with tqdm(total=outcome.scores.size, desc="cross-validation", disable=not verbose) as bar:
        for exponent, of_exponent in groupby(groups, lambda group: inverses[group[0]][0]):
            alike, gram = list(of_exponent), None
            run = (
                map_single_threaded
                if is_apart and len(alike) >= n_threads() > 1
                else map_sequential
            )
            for fold, (train, test) in enumerate(splits):
                if gram is None and not is_dual(len(train), data.X.shape[1]):
                    gram = _gram(data, exponent)
                try:
                    history, score = (
                        _history(data, train, gram),
                        _score_interactions(data.of(test), scoring),
                    )
                    trial = partial(_fit_and_score, models, history, score)
                    run(trial, alike, partial(_note, outcome, fold, bar))
                except ValueError as error:
                    error.add_note(
                        f"In split {fold} of {len(splits)}, of {len(train):,} users to learn from "
                        f"and {len(test):,} to be judged by. (Where users of few items, or weights "
                        "of 0, stand together, cv=KFold(shuffle=True) parts them.)"
                    )
                    raise
                del history, score, trial  # before the next ones take their memory
                release_free_memory()  # which the C library keeps for each thread
    return outcome, gram


def _note(
    outcome: Outcome, fold: int, bar: Any, group: list[int], figures: list[tuple[float, ...]]
) -> None:
    """Write down what a group of models has come to in a split."""
    for array, column in zip(outcome, zip(*figures, strict=True), strict=True):
        array[group, fold] = column
    bar.update(len(group))


def _works_apart(data: Data, splits: Splits, scoring: Any, *, copies: bool) -> bool:
    """Return whether each thread may take an inverse for itself, and the search gains by it.

    What others have written, a scorer or a metric, is called by the caller's thread only. `copies`
    says whether settings share an inverse, of which all but one then scale a copy.

    Raises
    ------
    MemoryError
        If not even one inverse at a time fits.
    """
    (n_users, n_items), itemsize = data.X.shape, data.X.dtype.itemsize
    of_P = n_items**2 * itemsize
    need = exact_need((n_users, n_items), data.X.nnz, itemsize)
    sides = [min(len(train), n_items) for train, _ in splits]
    duals = [len(train) for train, _ in splits if is_dual(len(train), n_items)]
    each = of_P * (1 + copies)
    if len(duals) < len(splits):  # beside an exact fit, the Gram matrices of all rows and of a part
        grams = n_items**2 * 8 if keeps_gram(data.X.nnz, n_items) else 2 * of_P
        need = need._replace(bytes=need.bytes + grams + each - of_P)
    check_memory("exact", need, {})
    further = (n_threads() - 1) * each
    if duals:  # all threads may score by P
        further = max(further, n_threads() * (of_P + max(duals) ** 2 * itemsize))
    is_ours = isinstance(scoring, HoldoutProtocol) and isinstance(scoring.metric, str)
    return is_ours and is_small(max(sides)) and need.bytes + further <= free_memory()


def _fit_and_score(
    models: Sequence[Any], history: TrainingData, score: Callable[[Any], float], group: list[int]
) -> Iterator[tuple[float, float, float]]:
    """Yield the figures of an Outcome for each of the models in a group that share an inverse.

    Nothing of a model is kept, so that the next one takes its memory.
    """
    minima = minimize_each(history, [objective_of(models[i]) for i in group])
    for i in group:
        began = time.perf_counter()
        trained = settle(copy(models[i]), history, next(minima))
        fitted = time.perf_counter()
        found = score(trained)
        del trained
        yield found, fitted - began, time.perf_counter() - fitted


def fit_summed(model: Any, data: Data, gram: TrainingGram | None) -> Any:
    """Return the model fitted to all rows, whose Gram matrix may be there already."""
    parameters = objective_of(model)
    if gram is None or gram.user_exponent != parameters.user_exponent:
        history = training_data(data.X, data.sample_weight, parameters.user_exponent)
        return settle(model, history, minimize(history, parameters))
    minimum = minimize(gram, parameters)
    if keeps_gram(data.X.nnz, data.X.shape[1]):
        return settle(model, gram, minimum)
    return settle(model, training_data(data.X, data.sample_weight, gram.user_exponent), minimum)


def _gram(data: Data, user_exponent: float) -> TrainingGram:
    """Return the Gram matrix, as the fitted model is to keep it if it is to keep one."""
    n_entries, n_items = data.X.nnz, data.X.shape[1]
    dtype = GRAM_DTYPE if keeps_gram(n_entries, n_items) else data.X.dtype
    return gram_of(data.X, data.sample_weight, user_exponent, dtype)


def _history(data: Data, train: Any, gram: TrainingGram | None) -> TrainingData:
    """Return what is learned from some rows: by way of the others, where these are fewer."""
    if not data.sample_weight[train].any():
        raise ValueError("`sample_weight` is 0 for all users to learn from.")
    if gram is None or is_dual(len(train), data.X.shape[1]):
        part = data.of(train)
        return TrainingRows(part.X, part.sample_weight)
    times = np.bincount(train, minlength=data.X.shape[0])
    others = data.of(np.flatnonzero(times == 0))
    if len(others.sample_weight) < len(train) and times.max() == 1:
        rest = gram.without(others.X, others.sample_weight)
        left, all_of_it = rest.matrix.diagonal(), gram.matrix.diagonal()
        if (all_of_it <= _MOST_CANCELLED * left)[left > 0].all():
            return rest
    part = data.of(train)
    return gram_of(part.X, part.sample_weight, gram.user_exponent, gram.matrix.dtype)


def _score_interactions(test: Data, scoring: Any) -> Callable[[Any], float]:
    """Return the function that scores a model on the rows of a test part."""
    if isinstance(scoring, HoldoutProtocol):
        visible, hidden = scoring.split(test.X, test.y)  # once for all settings
        return lambda model: model._score_heldout(visible, hidden, scoring)
    held_out = () if test.y is None else (test.y,)
    return lambda model: float(scoring(model, test.X, *held_out))
