"""Callbacks: functions of the caller that are called with the model during training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shallow_ae.data.arguments import check_integer
from shallow_ae.models.fitted import AutoEncoderState
from shallow_ae.models.recommender import RecommenderMixin


def check_callback(callback: Any, callback_every: int) -> None:
    """Raise an error unless `callback` is callable or None, and `callback_every` is >= 1."""
    if callback is not None and not callable(callback):
        raise TypeError(f"`callback`={callback!r} must be a function of the model, or None.")
    check_integer("callback_every", callback_every, low=1)


class Callback:
    """Calls a function with the model as trained so far. The fit ends if it returns True."""

    def __init__(self, function: Callable[[Any], object], model: RecommenderMixin) -> None:
        self._function = function
        self._model = model

    def __call__(self, state: AutoEncoderState) -> bool:
        """Call the function with the model in this state; return whether the fit ends."""
        self._model._fitted = state
        try:
            answer = self._answer()
        finally:
            del self._model._fitted  # the weights in it change with the next step
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
