"""Cross-validation of the exact solution on one Gram matrix.

A row is a user. The Gram matrix of a training part is the Gram matrix of all users minus the Gram
matrix of the other users. Settings that differ only in the scaling of the inverse share an inverse.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from shallow_ae._linalg.inverse import is_small
from shallow_ae._objective.problem import problem_of
from shallow_ae._objective.training_data import TrainingData, TrainingRows, own_rows, training_data
from shallow_ae._objective.training_gram import GRAM_DTYPE, TrainingGram, gram_of, keeps_gram
from shallow_ae._runtime.memory import free_memory, release_free_memory
from shallow_ae._runtime.progress import Progress, progress_bar
from shallow_ae._runtime.threads import map_sequential, map_single_threaded, n_threads
from shallow_ae._solvers.closed_form import is_dual, solve, solve_each
from shallow_ae._solvers.costs import check_memory, exact_need
from shallow_ae.model_selection.search import Data, Outcome, Scoring, Splits, split_in_errors
from shallow_ae.models import fit_exact
from shallow_ae.models.autoencoder import ShallowAutoEncoder
from shallow_ae.models.fitted import AutoEncoderState, solved_state
from shallow_ae.models.parameters import inverse_key_of, objective_of

# Largest allowed ratio of a diagonal entry of the Gram matrix of all rows to the same entry of a
# training part that is computed as a difference. At this ratio, float32 loses two of seven digits.
_MOST_CANCELLED = 100


class Figures(NamedTuple):
    """Score and times of one setting in one split."""

    score: float
    fit_time: float  # in seconds
    score_time: float


def cross_validate(
    models: Sequence[ShallowAutoEncoder],
    data: Data,
    splits: Splits,
    scoring: Scoring,
    *,
    verbose: int,
) -> tuple[Outcome, TrainingGram | None]:
    """Return the outcome of each model, and the last computed Gram matrix of all rows.

    Raises
    ------
    MemoryError
        If the memory does not suffice for one inverse at a time.
    """
    keys = [inverse_key_of(model) for model in models]
    order = sorted(range(len(models)), key=lambda i: keys[i])
    groups = [list(g) for _, g in groupby(order, lambda i: keys[i])]
    on_threads = _may_run_on_threads(data, splits, scoring, copies=len(groups) < len(models))
    outcome = Outcome.empty(len(models), len(splits))
    gram = None
    with progress_bar(outcome.scores.size, "cross-validation", verbose=verbose) as bar:
        for exponent, alike in groupby(groups, lambda g: float(models[g[0]].user_exponent)):
            of_exponent, gram = list(alike), None
            run = map_sequential
            if on_threads and len(of_exponent) >= n_threads() > 1:
                run = map_single_threaded
            for fold, (train, test) in enumerate(splits):
                if gram is None and not is_dual(len(train), data.X.shape[1]):
                    gram = _gram(data, exponent)
                with split_in_errors(fold, splits):
                    part, score = _training_part(data, train, gram), scoring.of(data.of(test))
                    trial = partial(_fit_and_score, models, part, score)
                    run(trial, of_exponent, partial(_note, outcome, fold, bar))
                del part, score, trial  # frees their memory before the next split
                release_free_memory()  # the C library keeps freed memory for each thread
    return outcome, gram


def _note(
    outcome: Outcome, fold: int, bar: Progress, group: list[int], figures: list[Figures]
) -> None:
    """Store the figures of a group of models in one split."""
    outcome.scores[group, fold] = [of_model.score for of_model in figures]
    outcome.fit_times[group, fold] = [of_model.fit_time for of_model in figures]
    outcome.score_times[group, fold] = [of_model.score_time for of_model in figures]
    bar.advance(len(group))


def _may_run_on_threads(data: Data, splits: Splits, scoring: Scoring, *, copies: bool) -> bool:
    """Return whether each thread may compute an inverse of its own, and whether that is faster.

    `copies` is True if settings share an inverse, because all but one setting then need a copy.

    Raises
    ------
    MemoryError
        If the memory does not suffice for one inverse at a time.
    """
    (n_users, n_items), itemsize = data.X.shape, data.X.dtype.itemsize
    of_P = n_items**2 * itemsize
    need = exact_need((n_users, n_items), data.X.nnz, itemsize)
    sides = [min(len(train), n_items) for train, _ in splits]
    duals = [len(train) for train, _ in splits if is_dual(len(train), n_items)]
    each = of_P * (1 + copies)
    if len(duals) < len(splits):  # plus the Gram matrices of all rows and of a training part
        grams = n_items**2 * 8 if keeps_gram(data.X.nnz, n_items) else 2 * of_P
        need = need._replace(bytes=need.bytes + grams + each - of_P)
    check_memory("exact", need, {})
    further = (n_threads() - 1) * each
    if duals:  # all threads may compute P to score
        further = max(further, n_threads() * (of_P + max(duals) ** 2 * itemsize))
    fits = need.bytes + further <= free_memory()
    return scoring.may_run_on_threads and is_small(max(sides)) and fits


def _fit_and_score(
    models: Sequence[ShallowAutoEncoder],
    data: TrainingData,
    score: Callable[[ShallowAutoEncoder], float],
    group: list[int],
) -> Iterator[Figures]:
    """Yield the figures of each model in a group of models that share an inverse.

    Each fitted model is deleted before the next fit, so that the next fit can reuse its memory.
    """
    counts = data.item_counts
    problems = [problem_of(data, objective_of(models[i], data), counts) for i in group]
    solutions = solve_each(problems)
    for i, problem in zip(group, problems, strict=True):
        began = time.perf_counter()
        trained = copy(models[i])
        trained._fitted = solved_state(problem, next(solutions))
        fitted = time.perf_counter()
        found = score(trained)
        del trained
        yield Figures(found, fitted - began, time.perf_counter() - fitted)


def fit_on_all_rows(
    model: ShallowAutoEncoder,
    data: Data,
    gram: TrainingGram | None,
    given_X: Any,
    given_weight: Any,
) -> AutoEncoderState:
    """Return the state of a model fitted to all rows.

    `gram`, the Gram matrix of all rows, is reused if it was computed with the same user exponent.
    """
    exponent = float(model.user_exponent)
    if gram is None or gram.user_exponent != exponent:
        kept = training_data(data.X, data.sample_weight, exponent, given_X, given_weight)
        return fit_exact.fit(kept, objective_of(model, kept))
    problem = problem_of(gram, objective_of(model, gram))
    state = solved_state(problem, solve(problem))
    if keeps_gram(data.X.nnz, data.X.shape[1]):
        return state
    rows = own_rows(data.X, data.sample_weight, given_X, given_weight)
    return replace(state, training_data=rows, item_counts=rows.item_counts)


def _gram(data: Data, user_exponent: float) -> TrainingGram:
    """Return the Gram matrix of all rows, in float64 if the fitted model keeps it."""
    n_entries, n_items = data.X.nnz, data.X.shape[1]
    dtype = GRAM_DTYPE if keeps_gram(n_entries, n_items) else data.X.dtype
    return gram_of(data.X, data.sample_weight, user_exponent, dtype)


def _training_part(data: Data, train: Any, gram: TrainingGram | None) -> TrainingData:
    """Return the training data of some rows.

    If the other rows are fewer, the Gram matrix is computed as a difference.
    """
    if not data.sample_weight[train].any():
        raise ValueError("`sample_weight` is 0 for all users to learn from. Use other splits.")
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
