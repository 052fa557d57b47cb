"""Cross-validation of the exact solution, with what folds and settings have in common done once.

Users are rows: the Gram matrix of a fold's training part is that of all users less that of the
others. Settings that differ only in how the inverse is scaled share it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from tqdm.auto import tqdm

from shallow_ae._closed_form import is_dual, minimize, minimize_each
from shallow_ae._exact import settle
from shallow_ae._history import Gram, History, Rows, gram_of, remember
from shallow_ae._minimum import Minimum, parameters_of
from shallow_ae._ruler import Ruler
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


def cross_validate(
    models: Sequence[Any], data: Data, splits: Splits, scoring: Any, *, verbose: int
) -> tuple[Outcome, Gram | None]:
    """Return the outcome of each model, and the last Gram matrix of all rows that was formed.

    `scoring` is a Ruler or a scorer of scikit-learn's kind.
    """
    settings = [parameters_of(model) for model in models]
    # Those that can share something stand together.
    order = sorted(range(len(settings)), key=lambda i: (settings[i].user_exponent, settings[i]))
    outcome = Outcome(*(np.empty((len(settings), len(splits))) for _ in Outcome._fields))
    gram = None
    with tqdm(total=outcome.scores.size, desc="cross-validation", disable=not verbose) as bar:
        for exponent, group in groupby(order, lambda i: settings[i].user_exponent):
            alike, gram = list(group), None
            for fold, (train, test) in enumerate(splits):
                if gram is None and not is_dual(len(train), data.X.shape[1]):
                    gram = _gram(data, exponent)
                try:
                    history, score = _history(data, train, gram), _judge(data.of(test), scoring)
                    minima = minimize_each(history, [settings[i] for i in alike])
                    for i in alike:
                        figures = _fit_and_score(models[i], history, minima, score)
                        for array, figure in zip(outcome, figures, strict=True):
                            array[i, fold] = figure
                        bar.update()
                except ValueError as error:
                    error.add_note(
                        f"In split {fold} of {len(splits)}, of {len(train):,} users to learn from "
                        f"and {len(test):,} to be judged by. Users of few items, or weights of 0, "
                        "may stand together: shuffle by cv=KFold(shuffle=True)."
                    )
                    raise
                del history, score, minima  # before the next ones take their memory
    return outcome, gram


def _fit_and_score(
    model: Any, history: History, minima: Iterator[Minimum], score: Callable[[Any], float]
) -> tuple[float, float, float]:
    """Return the score of a model with the next minimum, and the seconds of fit and score.

    Nothing of it is kept, so that the next one takes its memory.
    """
    began = time.perf_counter()
    trained = settle(copy(model), history, next(minima))
    fitted = time.perf_counter()
    found = score(trained)
    return found, fitted - began, time.perf_counter() - fitted


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
    return lambda model: scoring(model, test.X, *held_out)
