"""Fits by gradient descent: checks, callbacks, fitted state."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._objective.objective import (
    Objective,
    check_item_exponent,
    check_regularization,
)
from shallow_ae._runtime.jax_settings import agreed, backend, check_addresses
from shallow_ae._runtime.warnings import warn_caller
from shallow_ae._solvers.costs import check_memory, descent_need, exact_need
from shallow_ae._solvers.gradient_descent.sizes import choose_layout
from shallow_ae._typing import Array, Interactions
from shallow_ae._weights.item_weights import ItemWeights, WeightMatrix
from shallow_ae.models.checkpoints import Checkpoint, CheckpointMonitor, SavedDescent
from shallow_ae.models.descent_rows import DescentRows
from shallow_ae.models.descents import descent_of
from shallow_ae.models.early_stopping import EarlyStopping, hold_out
from shallow_ae.models.fitted import AutoEncoderState
from shallow_ae.models.parameters import DescentParameters

if TYPE_CHECKING:
    from shallow_ae._solvers.gradient_descent.fit import Descent, GradientDescent, Monitor


def fit(
    parameters: DescentParameters,
    objective: Objective,
    data: DescentRows | PartitionedRows,
    before: AutoEncoderState | None,
    *,
    on_state: Callable[[AutoEncoderState], bool] | None = None,
    every: int = 1,
    checkpoint: Checkpoint | None = None,
) -> tuple[AutoEncoderState, KeyboardInterrupt | None]:
    """Return the state after at most `max_iter` steps on checked rows, and an interrupt or None.

    `before` is the state to continue from. `on_state` is called with the state after every `every`
    steps, and ends the fit by returning True. If the file of `checkpoint` exists, the fit continues
    from it.

    A keyboard interrupt ends the descent between two steps. The caller stores the state first and
    then raises the returned interrupt.
    """
    saved = checkpoint.read() if checkpoint else None
    is_saved = checkpoint is not None
    training = _Training(parameters, objective, data, before, saved=saved, is_saved=is_saved)
    monitors: list[Monitor] = []
    if checkpoint:
        monitors.append(CheckpointMonitor(checkpoint, saved, training.descent_to_save))
    del saved  # so that the file's old weights are freed once the descent has copied them
    monitors += training.stopping_monitors(parameters)
    if on_state:
        monitors.append(_StateMonitor(on_state, every, training))
    rate = training.learning_rate
    found = training.descent.run(rate, parameters.max_iter, monitors)
    losses, is_interrupted, n_steps = found.losses, found.is_interrupted, len(found.losses)
    if parameters.tol is not None and not (found.is_ended or is_interrupted):
        warn_caller(
            f"Training did not converge to within `tol`={parameters.tol:g} in "
            f"`max_iter`={parameters.max_iter} steps. Raise `max_iter`, or `tol`.",
            ConvergenceWarning,
        )
    if training.early_stopping and not is_interrupted:
        best = training.early_stopping.best_step(n_steps)
        if best < n_steps:
            # The best weights are computed again; a copy of them would double the memory.
            del found
            found = training.descent.run(rate, best)
            is_interrupted, n_steps = found.is_interrupted, len(found.losses)
    interrupt = None
    if is_interrupted:
        interrupt = KeyboardInterrupt(
            f"The model keeps the weights after step {n_steps} of {parameters.max_iter}."
        )
    return training.state(found.weights, found.diagonal, losses, n_steps), interrupt


def single_pass(
    parameters: DescentParameters,
    objective: Objective,
    data: DescentRows | PartitionedRows,
    before: AutoEncoderState | None,
    item_counts: Array | None = None,
) -> AutoEncoderState:
    """Return the state after one pass over the users of checked rows.

    `item_counts` are the numbers of users in all training rows. None means that the rows are of new
    users, whose counts are added to those of `before`.
    """
    training = _Training(parameters, objective, data, before, item_counts, is_stream=True)
    found = training.descent.single_pass(training.learning_rate)
    if found.is_interrupted:  # drop the weights: the caller cannot know which users they cover
        raise KeyboardInterrupt
    return training.state(found.weights, found.diagonal, found.losses, len(found.losses))


def check_descent_fits(
    parameters: DescentParameters, X: Interactions, *, is_saved: bool = False
) -> None:
    """Raise a MemoryError if a descent on checked rows needs more than the free memory.

    Saving needs memory for a copy of the weights, which the writer of the file makes.
    """
    layout = choose_layout(X, backend())
    need = descent_need(X, parameters.batch_size, parameters.max_iter, layout)
    if is_saved:
        need = need._replace(bytes=need.bytes + X.shape[1] ** 2 * X.dtype.itemsize)
    n_entries = X.nnz if sp.issparse(X) else X.size
    check_memory("sgd", need, {"exact": lambda: exact_need(X.shape, n_entries, X.dtype.itemsize)})


class _Training:
    """Checks and data of a fit by gradient descent, and the fitted states during training."""

    def __init__(
        self,
        parameters: DescentParameters,
        objective: Objective,
        data: DescentRows | PartitionedRows,
        before: AutoEncoderState | None,
        item_counts: Array | None = None,
        *,
        is_stream: bool = False,
        saved: SavedDescent | None = None,
        is_saved: bool = False,
    ) -> None:
        check_addresses()  # before the first import of JAX
        from shallow_ae._solvers.gradient_descent.fit import DescentOptions, RandomStreams

        # Processes that share the weights draw the same batches, also if `random_state` is None.
        seed = agreed(check_random_state(parameters.random_state).randint(np.iinfo(np.int32).max))
        self._seed = seed = saved.seed if saved else seed
        random = RandomStreams(seed, before.n_iter if before else 0)
        self.early_stopping: EarlyStopping | None = None
        self._before, self._is_stream = before, is_stream
        self._n_samples = data.n_rows
        self._objective = objective
        if parameters.early_stopping and not is_stream:
            users = hold_out(data, parameters.validation_fraction, seed, random.held_out_users())
            data = users.others
            tol = parameters.tol or 0.0
            self.early_stopping = EarlyStopping(users, parameters.n_iter_no_change, tol)
        counts, dtype = data.item_counts, data.dtype
        self._layout = data.batch_layout(backend())
        check_item_exponent(counts, objective.item_exponent, dtype)
        check_regularization(objective.regularization, objective.regularization, dtype)
        if item_counts is not None:
            self._counts = item_counts
        else:
            self._counts = counts + before.item_counts if before and is_stream else counts
        if isinstance(data, DescentRows):
            check_descent_fits(parameters, data.X, is_saved=is_saved)
        options = DescentOptions(
            learning_rate=parameters.learning_rate,
            learning_rate_decay=parameters.learning_rate_decay,
            batch_size=parameters.batch_size,
            init_scale=parameters.init_scale,
            layout=self._layout,
            verbose=parameters.verbose,
        )
        self.descent = descent_of(data, self._counts, objective, options, random, before)
        self.learning_rate = saved.learning_rate if saved else self.descent.learning_rate()
        if saved:
            self._continue_from(saved)
        if is_stream and before and parameters.learning_rate == "auto":
            self.learning_rate = min(self.learning_rate, before.learning_rate or math.inf)

    def stopping_monitors(self, parameters: DescentParameters) -> list[Monitor]:
        """Return the monitor that ends the descent before `max_iter` steps, if there is one."""
        from shallow_ae._solvers.gradient_descent.fit import LossPlateau

        if self.early_stopping:
            return [self.early_stopping]
        if parameters.tol is not None:
            return [LossPlateau(parameters.tol, parameters.n_iter_no_change)]
        return []

    def descent_to_save(self) -> SavedDescent:
        """Return, during a pause, what a checkpoint holds."""
        scores = self.early_stopping.scores if self.early_stopping else []
        progress = self._descent_in_memory().progress()
        return SavedDescent(progress, self._seed, self.learning_rate, scores)

    def _continue_from(self, saved: SavedDescent) -> None:
        self._descent_in_memory().resume(saved.progress)
        if self.early_stopping:
            self.early_stopping.scores += saved.validation_curve

    def _descent_in_memory(self) -> GradientDescent:
        return cast("GradientDescent", self.descent)  # others have no checkpoints

    def state(
        self, weights: WeightMatrix, diagonal: Array, losses: list[float], n_steps: int
    ) -> AutoEncoderState:
        """Return the state of a model with these weights, reached after `n_steps` steps."""
        scores = self.early_stopping.scores if self.early_stopping else []
        scored = self.early_stopping.steps(len(losses)) if self.early_stopping else []
        state = AutoEncoderState(
            weights=ItemWeights(weights),
            diagonal=diagonal,
            objective=self._objective,
            item_counts=self._counts,
            n_samples_seen=self._n_samples,
            loss_curve=losses,
            n_iter=n_steps,
            n_decays=0 if self._is_stream else n_steps,
            learning_rate=self.learning_rate,
            batch_layout=self._layout,
            validation_curve=list(scores),
            validation_steps=scored,
        )
        return (
            _continued(self._before, state, adds_users=self._is_stream) if self._before else state
        )


class _StateMonitor:
    """Passes the state of the model to a function after every `every` steps."""

    def __init__(
        self, on_state: Callable[[AutoEncoderState], bool], every: int, training: _Training
    ) -> None:
        self.every = every
        self._on_state = on_state
        self._training = training

    def is_done(self, descent: Descent) -> bool:
        """Call the function if this step is a multiple of `every`; return whether the fit ends."""
        if len(descent.losses) % self.every:
            return False
        losses = list(descent.losses)
        with descent.lent_weights() as (weights, diagonal):
            return self._on_state(self._training.state(weights, diagonal, losses, len(losses)))


def _continued(
    before: AutoEncoderState, state: AutoEncoderState, *, adds_users: bool
) -> AutoEncoderState:
    """Return the state of a fit that continues a previous fit, with the curves of both joined."""
    n_before = len(before.loss_curve)
    return replace(
        state,
        n_samples_seen=state.n_samples_seen + before.n_samples_seen * adds_users,
        loss_curve=before.loss_curve + state.loss_curve,
        n_iter=before.n_iter + state.n_iter,
        n_decays=before.n_decays + state.n_decays,
        validation_curve=before.validation_curve + state.validation_curve,
        validation_steps=before.validation_steps + [n_before + n for n in state.validation_steps],
    )
