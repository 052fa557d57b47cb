"""Callbacks: functions of the caller that see the model while it is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from shallow_ae.data.arguments import check_integer

if TYPE_CHECKING:
    from shallow_ae._solvers.gradient_descent.fit import GradientDescent
    from shallow_ae._typing import Array
    from shallow_ae._weights.item_weights import DenseWeights
    from shallow_ae.models.autoencoder import ShallowAutoEncoder
    from shallow_ae.models.fitted import FittedState

    # Takes the weights, their diagonal, the losses so far and the number of steps taken.
    StateOf: TypeAlias = Callable[[DenseWeights, Array, list[float], int], FittedState]


def check_callback(callback: Any, callback_every: int) -> None:
    """Raise an error unless `callback` is callable or None, and `callback_every` is >= 1."""
    if callback is not None and not callable(callback):
        raise TypeError(f"`callback`={callback!r} must be a function of the model, or None.")
    check_integer("callback_every", callback_every, low=1)


class Callback:
    """Calls a function with the model as trained so far; the function ends the fit with True."""

    def __init__(
        self,
        function: Callable[[ShallowAutoEncoder], object],
        every: int,
        model: ShallowAutoEncoder,
        state_of: StateOf,
    ) -> None:
        self.every = every
        self._function = function
        self._model = model
        self._state_of = state_of

    def is_done(self, descent: GradientDescent) -> bool:
        """Call the function if this step is a multiple of `every`; return whether the fit ends."""
        if len(descent.losses) % self.every:
            return False
        model, losses = self._model, list(descent.losses)
        with descent.lent_weights() as (weights, diagonal):
            model._fitted = self._state_of(weights, diagonal, losses, len(losses))
            try:
                answer = self._answer()
            finally:
                del model._fitted  # the weights in it change with the next step
        return isinstance(answer, bool | np.bool_) and bool(answer)

    def _answer(self) -> object:
        """Return the result of the function; raise a ValueError if it has changed the model."""
        model = self._model
        parameters, state = model.get_params(deep=False), model._fitted
        answer = self._function(model)
        now = model.get_params(deep=False)
        changed = [f"`{name}`" for name, value in parameters.items() if now[name] is not value]
        changed += ["its weights"] * (model._fitted is not state)
        if changed:
            raise ValueError(
                f"`callback` changed {', '.join(changed)} of the model that is being fitted. Set "
                "parameters before `fit`, or return True to end the fit and call `fit` again with "
                "`warm_start`=True."
            )
        return answer
