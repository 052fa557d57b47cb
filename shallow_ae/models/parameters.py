"""The range of each parameter, and the objective that the parameters define."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from numpy.random import RandomState

from shallow_ae._objective.objective import Objective
from shallow_ae._objective.problem import Data
from shallow_ae._objective.regularization import AUTO, regularization_for
from shallow_ae._solvers.low_rank import LowRankSettings
from shallow_ae.data.arguments import check_boolean, check_choice, check_integer, check_real

_positive = partial(check_real, low=0, open_low=True)
_at_least_zero = partial(check_real, low=0)
_at_least_one = partial(check_integer, low=1)

_CHECKS: dict[str, Callable[..., object]] = {
    "regularization": _at_least_zero,
    "solver": partial(check_choice, choices=("sgd", "exact", AUTO)),
    "learning_rate": _positive,
    "learning_rate_decay": partial(_positive, high=1),
    "max_iter": _at_least_one,
    "batch_size": _at_least_one,
    "init_scale": _at_least_zero,
    "tol": lambda name, value: value is None or _at_least_zero(name, value),
    "n_neighbors": _at_least_one,
    "n_components": _at_least_one,
    "n_iter_no_change": _at_least_one,
    "early_stopping": check_boolean,
    "warm_start": check_boolean,
    "validation_fraction": partial(_positive, high=1, open_high=True),
    "dropout": partial(_at_least_zero, high=1, open_high=True),
    "diagonal_slack": partial(_at_least_zero, high=1),
    "user_exponent": check_real,
    "item_exponent": check_real,
    "item_normalization": check_real,
}


class DescentParameters(NamedTuple):
    """The parameters of ShallowAutoEncoder that only gradient descent uses."""

    learning_rate: float | str
    learning_rate_decay: float
    max_iter: int
    batch_size: int
    init_scale: float
    tol: float | None
    n_iter_no_change: int
    early_stopping: bool
    validation_fraction: float
    random_state: int | RandomState | None
    verbose: int


def check_parameters(estimator: Any) -> None:
    """Raise an error that names the first parameter with an invalid value.

    The numbers that the class names in `_automatic` may also be "auto".
    """
    automatic = getattr(estimator, "_automatic", ())
    for name, value in estimator.get_params(deep=False).items():
        if name in automatic:
            if not is_auto(value):
                _CHECKS[name](name, value, or_else=AUTO)
        elif name in _CHECKS:
            _CHECKS[name](name, value)


def objective_of(estimator: Any, data: Data) -> Objective:
    """Return the objective that an estimator's parameters define on this training data."""
    values = {name: getattr(estimator, name) for name in Objective._fields}
    if is_auto(values["regularization"]):
        values["regularization"] = regularization_for(data, float(values["user_exponent"]))
    return Objective(**{name: float(value) for name, value in values.items()})


def inverse_key_of(estimator: Any) -> tuple[float, float, float]:
    """Return the parameters that the inverse depends on; -1 stands for "auto".

    On the same data, estimators with equal keys share an inverse.
    """
    given = estimator.regularization
    regularization = -1.0 if is_auto(given) else float(given)
    return float(estimator.user_exponent), regularization, float(estimator.dropout)


def is_auto(value: Any) -> bool:
    """Return whether a parameter is "auto"."""
    return isinstance(value, str) and value == AUTO


def low_rank_settings_of(estimator: Any) -> LowRankSettings:
    """Return the parameters of an estimator that scale the rows and filter the components."""
    return LowRankSettings(*(float(getattr(estimator, n)) for n in LowRankSettings._fields))


def descent_parameters_of(estimator: Any) -> DescentParameters:
    """Return the parameters of an estimator that gradient descent uses."""
    return DescentParameters(*(getattr(estimator, name) for name in DescentParameters._fields))
