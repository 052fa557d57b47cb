"""Cross-validation of the exact solution, with what folds and settings have in common done once.

Users are rows: the Gram matrix of a fold's training part is that of all users less that of the
others. Settings that differ only in how the inverse is scaled share it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from itertools import groupby
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn import config_context, get_config
from tqdm.auto import tqdm

from shallow_ae._closed_form import inverse_of, is_dual, minimize, minimize_each
from shallow_ae._exact import settle
from shallow_ae._history import Gram, History, Rows, gram_of, remember
from shallow_ae._inverse import is_small
from shallow_ae._memory import check_memory, free_memory, release_free_memory
from shallow_ae._minimum import parameters_of
from shallow_ae._plan import exact_need
from shallow_ae._ruler import Ruler
from shallow_ae._threads import apart, n_threads
from shallow_ae._validation import Array

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


def check_fits(models: Sequence[Any], data: Data, splits: Splits) -> bool:
    """Return whether it fits that each thread takes an inverse for itself, and pays.

    Raises
    ------
    MemoryError
        If not even one at a time fits.
    """
    n_items, itemsize = data.X.shape[1], data.X.dtype.itemsize
    n = min(n_items, max(len(train) for train, _ in splits))
    copies = len(models) > len({inverse_of(parameters_of(model)) for model in models})
    need = exact_need(data.X.shape, data.X.nnz, itemsize)
    if any(not is_dual(len(train), n_items) for train, _ in splits):
        # The Gram matrices of all rows and of a part, and an inverse to be scaled once more.
        need = need._replace(bytes=need.bytes + (2 + copies) * n_items**2 * itemsize)
    check_memory("exact", need, {})
    further = (n_threads() - 1) * (1 + copies) * n**2 * itemsize
    return is_small(n) and need.bytes + further <= free_memory()


def cross_validate(
    models: Sequence[Any],
    data: Data,
    splits: Splits,
    scoring: Any,
    *,
    is_apart: bool,
    verbose: int,
) -> tuple[Outcome, Gram | None]:
    """Return the outcome of each model, and the last Gram matrix of all rows that was formed.

    `scoring` is a Ruler or a scorer of scikit-learn's kind. `is_apart` says whether a thread takes
    an inverse for itself, where there are enough of them.
    """
    inverses = [inverse_of(parameters_of(model)) for model in models]
    order = sorted(range(len(models)), key=inverses.__getitem__)
    groups = [list(group) for _, group in groupby(order, inverses.__getitem__)]
    outcome = Outcome(*(np.empty((len(models), len(splits))) for _ in Outcome._fields))
    gram = None
    with tqdm(total=outcome.scores.size, desc="cross-validation", disable=not verbose) as bar:
        for exponent, of_exponent in groupby(groups, lambda group: inverses[group[0]][0]):
            alike, gram = list(of_exponent), None
            run: Any = apart if is_apart and len(alike) >= n_threads() > 1 else map
            for fold, (train, test) in enumerate(splits):
                if gram is None and not is_dual(len(train), data.X.shape[1]):
                    gram = _gram(data, exponent)
                try:
                    history, score = _history(data, train, gram), _judge(data.of(test), scoring)
                    trial = partial(_fit_and_score, models, history, score)
                    for group, figures in zip(alike, run(trial, alike), strict=True):
                        for array, of_group in zip(outcome, figures.T, strict=True):
                            array[group, fold] = of_group
                        bar.update(len(group))
                except ValueError as error:
                    error.add_note(
                        f"In split {fold} of {len(splits)}, of {len(train):,} users to learn from "
                        f"and {len(test):,} to be judged by. Users of few items, or weights of 0, "
                        "may stand together: shuffle by cv=KFold(shuffle=True)."
                    )
                    raise
                del history, score, trial  # before the next ones take their memory
                release_free_memory()  # which the C library keeps for each thread
    return outcome, gram


def _fit_and_score(
    models: Sequence[Any], history: History, score: Callable[[Any], float], group: list[int]
) -> NDArray[np.float64]:
    """Return the figures of an Outcome for each of the models in a group that share an inverse.

    Nothing of a model is kept, so that the next one takes its memory.
    """
    minima = minimize_each(history, [parameters_of(models[i]) for i in group])
    figures = []
    for i in group:
        began = time.perf_counter()
        trained = settle(copy(models[i]), history, next(minima))
        fitted = time.perf_counter()
        figures.append((score(trained), fitted - began, time.perf_counter() - fitted))
        del trained
    return np.array(figures)


def fit_summed(model: Any, data: Data, gram: Gram | None) -> Any:
    """Return the model fitted to all rows, whose Gram matrix may be there already."""
    parameters = parameters_of(model)
    history = remember(data.X, data.sample_weight, parameters.user_exponent)
    if gram is None or gram.user_exponent != parameters.user_exponent:
        return settle(model, history, minimize(history, parameters))
    return settle(model, history, minimize(gram, parameters))


def _gram(data: Data, user_exponent: float) -> Gram:
    return gram_of(data.X, data.sample_weight, user_exponent, data.X.dtype)


def _history(data: Data, train: Any, gram: Gram | None) -> History:
    """Return what is learned from some rows: by way of the others, where these are fewer."""
    if not data.sample_weight[train].any():
        raise ValueError("`sample_weight` is 0 for all users to learn from.")
    if gram is None or is_dual(len(train), data.X.shape[1]):
        part = data.of(train)
        return Rows(part.X, part.sample_weight)
    times = np.bincount(train, minlength=data.X.shape[0])
    others = data.of(np.flatnonzero(times == 0))
    if len(others.sample_weight) < len(train) and times.max() == 1:
        rest = gram.without(others.X, others.sample_weight)
        left, all_of_it = rest.matrix.diagonal(), gram.matrix.diagonal()
        if (all_of_it <= _MOST_CANCELLED * left)[left > 0].all():
            return rest
    return _gram(data.of(train), gram.user_exponent)


def _judge(test: Data, scoring: Any) -> Callable[[Any], float]:
    """Return the function that scores a model on the rows of a test part."""
    if isinstance(scoring, Ruler):
        visible, hidden = scoring.split(test.X, test.y)  # once for all settings
        return lambda model: model._found_again(visible, hidden, scoring)
    held_out = () if test.y is None else (test.y,)
    # A scorer need not be written for threads, and scikit-learn's settings are those of a thread.
    lock, settings = Lock(), get_config()

    def score(model: Any) -> float:
        with lock, config_context(**settings):
            return float(scoring(model, test.X, *held_out))

    return score
