"""One fit by gradient descent: from checked data to the attributes of a trained model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from tqdm.auto import tqdm

from shallow_ae._objective.objective import (
    check_item_exponent,
    check_regularization,
    item_counts,
    scale_by_counts,
    user_weights,
)
from shallow_ae._runtime.jax_settings import backend
from shallow_ae._runtime.memory import check_memory
from shallow_ae._solvers.costs import descent_need, exact_need
from shallow_ae._solvers.gradient_descent.loop import Descent, steps_at_once
from shallow_ae._solvers.gradient_descent.minibatches import (
    MinibatchStream,
    batch_cost,
    choose_layout,
    draw_users,
    partition_users,
)
from shallow_ae._solvers.gradient_descent.step import random_start, safe_learning_rate
from shallow_ae._solvers.gradient_descent.stopping import has_peaked, has_settled
from shallow_ae._typing import Array, Interactions
from shallow_ae._weights.item_weights import DenseWeights
from shallow_ae.data.arguments import check_integer
from shallow_ae.evaluation import HoldoutProtocol

_VALIDATION_STEPS = 5  # between two looks at the held-out users
_RULER = HoldoutProtocol()  # by which held-out users judge
_START, _BATCHES, _POWER, _SPLIT = range(4)  # the uses of random numbers, each with its own


def _check_callback(callback: Any, callback_every: int) -> None:
    if callback is not None and not callable(callback):
        raise TypeError(f"`callback`={callback!r} must be a function of the model.")
    check_integer("callback_every", callback_every, low=1)


def _go_on(P: Array, losses: list[float]) -> bool:  # noqa: ARG001
    return False


class Training:
    """Trains `model`, a copy of the caller's estimator, so that an error leaves no trace.

    Where it `continues`, the model's weights are the start and its curves go on.
    """

    def __init__(
        self, model: Any, X: Interactions, sample_weight: Array, *, continues: bool
    ) -> None:
        if not continues:
            model.n_iter_, model.n_samples_seen_, model._n_decays = 0, 0, 0
            model.loss_curve_, model.validation_curve_, model.validation_steps_ = [], [], []
        for name in ("residual_", "_history"):  # of a fit before, by the other solver
            vars(model).pop(name, None)
        self.model = model
        self.interrupt: KeyboardInterrupt | None = None  # to be raised once the weights are kept
        self._before = copy(model)
        self._continues = continues
        self._seed = check_random_state(model.random_state).randint(np.iinfo(np.int32).max)
        self._n_samples = X.shape[0]
        self._held_out: tuple[Any, Any] | None = None
        if model.early_stopping:
            X, sample_weight, self._held_out = self._hold_out(X, sample_weight)
        self._X = X
        self._counts = item_counts(X, sample_weight)
        self._weights = user_weights(X, sample_weight, model.user_exponent)
        model.batch_layout_ = choose_layout(X, backend())
        check_item_exponent(self._counts, model.item_exponent, X.dtype)
        check_regularization(model.regularization, model.regularization, X.dtype)
        need = descent_need(X, model.batch_size, model.max_iter, model.batch_layout_)
        n_entries = X.nnz if sp.issparse(X) else X.size
        exact = exact_need(X.shape, n_entries, X.dtype.itemsize)
        check_memory("sgd", need, {"exact": exact})

    def fit(self, callback: Callable[[Any], object] | None, callback_every: int) -> None:
        """Take `max_iter` steps, or fewer where something ends them."""
        _check_callback(callback, callback_every)
        model = self.model
        model.learning_rate_ = self._learning_rate()
        n_before = self._before._n_decays
        steps = np.arange(n_before, n_before + model.max_iter)
        rates = model.learning_rate_ * model.learning_rate_decay**steps
        scores: list[float] = []
        settled = stopped = False

        def look(P: Array, losses: list[float]) -> bool:
            nonlocal settled, stopped
            settled = self._is_enough(P, losses, scores, is_last=len(losses) == len(rates))
            if callback and len(losses) % callback_every == 0:
                with self._readable(P):
                    self._record(losses, scores, len(losses))
                    answer = self._ask(callback)
                stopped = isinstance(answer, bool | np.bool_) and bool(answer)
            return settled or stopped

        pauses = [callback_every] * bool(callback) + [_VALIDATION_STEPS] * bool(self._held_out)
        users = draw_users(self._X.shape[0], model.batch_size, self._random(_BATCHES))
        P, losses, interrupted = self._descend(users, rates, pauses, look)
        if model.tol is not None and not (settled or stopped or interrupted):
            warnings.warn(
                f"`max_iter`={model.max_iter} steps were taken before training settled to within "
                f"`tol`={model.tol:g}. Raise `max_iter`, or `tol`.",
                ConvergenceWarning,
                stacklevel=3,
            )
        n_steps = len(losses)
        if scores and not interrupted:
            n_steps = min((int(np.argmax(scores)) + 1) * _VALIDATION_STEPS, n_steps)
        if n_steps < len(losses):
            # The best weights are taken anew and not kept: that would need a second matrix.
            del P
            users = draw_users(self._X.shape[0], model.batch_size, self._random(_BATCHES))
            P, again, interrupted = self._descend(users, rates[:n_steps], [], _go_on)
            n_steps = len(again)
        if interrupted:
            self.interrupt = KeyboardInterrupt(
                f"The weights are those after step {n_steps} of {len(rates)}."
            )
        self._finish(P)
        self._record(losses, scores, n_steps)
        model._n_decays = n_before + n_steps

    def _ask(self, callback: Callable[[Any], object]) -> object:
        """Return what the callback answers. It looks at the model, and does not change it."""
        model = self.model
        parameters, weights = model.get_params(deep=False), model._weights
        answer = callback(model)
        now = model.get_params(deep=False)
        changed = [f"`{name}`" for name, value in parameters.items() if now[name] is not value]
        changed += ["its weights"] * (model._weights is not weights)
        if changed:
            raise ValueError(
                f"`callback` changed {', '.join(changed)} of the model that is being fitted. Set "
                "parameters before `fit`, or end it by returning True and go on with `warm_start`."
            )
        return answer

    def _is_enough(
        self, P: Array, losses: list[float], scores: list[float], *, is_last: bool
    ) -> bool:
        """Return whether more steps are of no use; append a score where one is due."""
        model = self.model
        if self._held_out is None:
            return model.tol is not None and has_settled(losses, model.n_iter_no_change, model.tol)
        if is_last or len(losses) % _VALIDATION_STEPS == 0:
            with self._readable(P):
                scores.append(model._score_heldout(*self._held_out, _RULER))
        patience = -(-model.n_iter_no_change // _VALIDATION_STEPS)
        return has_peaked(scores, patience, model.tol or 0.0)

    def one_pass(self) -> None:
        """Take each user once, in batches, with steps of equal length."""
        model = self.model
        rate = self._learning_rate()
        model.learning_rate_ = rate
        if self._continues:
            self._counts = self._counts + self._before.item_counts_
            if model.learning_rate == "auto":
                model.learning_rate_ = min(rate, getattr(self._before, "learning_rate_", rate))
        users = partition_users(self._X.shape[0], model.batch_size, self._random(_BATCHES))
        rates = np.full(len(users), model.learning_rate_)
        P, losses, interrupted = self._descend(iter(users), rates, [], _go_on)
        if interrupted:  # nobody could tell which of the users were learned from
            raise KeyboardInterrupt
        self._finish(P)
        self._record(losses, [], len(losses))
        model.n_samples_seen_ = self._before.n_samples_seen_ + self._n_samples

    def _descend(
        self,
        users: Iterator[Any],
        rates: Array,
        pauses: list[int],
        look: Callable[[Array, list[float]], bool],
    ) -> tuple[Array, list[float], bool]:
        """Return the weights, the loss before each step and whether the user has interrupted."""
        model, X = self.model, self._X
        feed = MinibatchStream(
            X,
            self._weights,
            users,
            layout=model.batch_layout_,
            batch_size=model.batch_size,
            regularization=float(model.regularization),
            dropout=float(model.dropout),
        )
        _, batch_bytes = batch_cost(X, model.batch_size, model.batch_layout_)
        self._descent = descent = Descent(
            feed,
            rates,
            float(model.diagonal_slack),
            at_once=steps_at_once(batch_bytes),
            pauses=pauses,
        )
        P = self._start()
        with tqdm(total=len(rates), desc="fit", unit="step", disable=not model.verbose) as bar:

            def look_and_show() -> bool:
                bar.set_postfix(loss=f"{descent.losses[-1]:.4g}", refresh=False)
                bar.update(len(descent.losses) - bar.n)
                return look(P, descent.losses)

            interrupted = descent.run(P, look_and_show)
        return P, descent.losses, interrupted

    def _start(self) -> Array:
        """Return the weights that the descent starts from."""
        model, before = self.model, self._before
        if not self._continues:
            return random_start(self._counts, model.init_scale, self._X.dtype, self._random(_START))
        P: Array = before.item_weights_.astype(self._X.dtype)
        scale_by_counts(P, before.item_counts_, -before._item_exponent)
        np.fill_diagonal(P, before._diagonal)
        return P

    def _learning_rate(self) -> float:
        model = self.model
        if model.learning_rate != "auto":
            return float(model.learning_rate)
        return safe_learning_rate(
            self._X,
            self._weights,
            regularization=float(model.regularization),
            dropout=float(model.dropout),
            rng=self._random(_POWER),
        )

    def _finish(self, P: Array) -> None:
        """Turn the weights of the descent into those of the model, in place."""
        self.model._item_exponent = self.model.item_exponent
        self.model._diagonal = P.diagonal().copy()
        np.fill_diagonal(P, 0)
        scale_by_counts(P, self._counts, self.model.item_exponent)
        self.model._weights = DenseWeights(P)

    @contextmanager
    def _readable(self, P: Array) -> Iterator[None]:
        """Lend the model the weights of the descent while it stands still.

        Between the two states an interrupt would leave a model that is neither.
        """
        self._descent.whole = False
        self._finish(P)
        lent = P.view()
        lent.flags.writeable = False
        self.model._weights = DenseWeights(lent)
        self._descent.whole = True
        try:
            yield
        finally:
            self._descent.whole = False
            del self.model._weights
            scale_by_counts(P, self._counts, -self.model.item_exponent)
            np.fill_diagonal(P, self.model._diagonal)
            self._descent.whole = True

    def _record(self, losses: list[float], scores: list[float], n_steps: int) -> None:
        model, before = self.model, self._before
        model.loss_curve_ = before.loss_curve_ + losses
        model.validation_curve_ = before.validation_curve_ + scores
        taken = [min(_VALIDATION_STEPS * (i + 1), len(losses)) for i in range(len(scores))]
        n_before = len(before.loss_curve_)
        model.validation_steps_ = before.validation_steps_ + [n_before + n for n in taken]
        model.n_iter_ = before.n_iter_ + n_steps
        model.item_counts_ = self._counts
        model.n_samples_seen_ = self._n_samples

    def _hold_out(
        self, X: Interactions, sample_weight: Array
    ) -> tuple[Interactions, Array, tuple[Any, Any]]:
        """Return the users to learn from, their weights, and items to find again of the others."""
        n_users = X.shape[0]
        n_held_out = int(np.ceil(self.model.validation_fraction * n_users))
        order = self._random(_SPLIT).permutation(n_users)
        chosen, others = np.sort(order[:n_held_out]), np.sort(order[n_held_out:])
        visible, hidden = replace(_RULER, random_state=self._seed).split(X[chosen], None)
        if not hidden.nnz or not sample_weight[others].any():
            raise ValueError(
                f"`early_stopping` holds out {n_held_out} of {n_users} users, and needs one among "
                "them with two items, and one of weight > 0 among the others. Pass more users, or "
                f"another `validation_fraction` than {self.model.validation_fraction:g}."
            )
        return X[others], sample_weight[others], (visible, hidden)

    def _random(self, use: int) -> np.random.Generator:
        """Return the random numbers for one use, from their beginning."""
        n_before = self._before.n_iter_ if use == _BATCHES else 0  # no batch is drawn twice
        seed = [self._seed, n_before] if n_before else self._seed
        return np.random.default_rng(seed).spawn(4)[use]
