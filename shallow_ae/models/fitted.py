"""FittedState: the weights, counts and training data of a fitted model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._objective.objective import Objective
from shallow_ae._objective.problem import Problem
from shallow_ae._objective.solution import Solution
from shallow_ae._objective.training_data import TrainingData
from shallow_ae._typing import Array
from shallow_ae._weights.item_weights import ItemWeights

_Value = TypeVar("_Value")


@dataclass(frozen=True, eq=False)
class FittedState:
    """The result of a fit. Model attributes with a trailing underscore return its fields."""

    weights: ItemWeights  # P, without its diagonal
    item_counts: Array
    n_samples_seen: int
    # None if rows cannot be added or removed
    training_data: TrainingData | PartitionedRows | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class AutoEncoderState(FittedState):
    """The result of minimizing the objective."""

    diagonal: Array  # of P
    objective: Objective  # of the fit; the model's parameters may have changed since
    loss_curve: list[float]
    residual: float | None = None
    n_iter: int = 1
    n_decays: int = 0  # number of decays of the learning rate so far
    learning_rate: float | None = None
    batch_layout: str | None = None
    validation_curve: list[float] = field(default_factory=list)
    validation_steps: list[int] = field(default_factory=list)

    @property
    def regularization(self) -> float:
        """Return the regularization of the fit, a number also if the parameter was "auto"."""
        return self.objective.regularization

    @property
    def solver(self) -> str:
        """Return the solver that fitted the model: steps have a length, an inverse has none."""
        return "exact" if self.learning_rate is None else "sgd"


def solved_state(
    problem: Problem[TrainingData | PartitionedRows], solution: Solution
) -> AutoEncoderState:
    """Return the state of a model with this solution, and warn if it is inexact."""
    data, objective = problem.data, problem.objective
    solution.warn_if_inexact(data.dtype, objective.regularization)
    return AutoEncoderState(
        weights=ItemWeights(solution.weights),
        diagonal=solution.diagonal,
        objective=objective,
        item_counts=problem.item_counts,
        n_samples_seen=data.n_rows,
        loss_curve=[solution.objective],
        residual=solution.residual,
        training_data=data,
    )


class FittedAttribute(Generic[_Value]):
    """A model attribute that returns a field of the fitted state.

    If the model is not fitted, or the field is None, the attribute does not exist.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, model: None, owner: type) -> FittedAttribute[_Value]: ...

    @overload
    def __get__(self, model: Any, owner: type) -> _Value: ...

    def __get__(self, model: Any, owner: type) -> FittedAttribute[_Value] | _Value:
        if model is None:
            return self
        value: _Value | None = getattr(
            getattr(model, "_fitted", None), self._name.removesuffix("_"), None
        )
        if value is None:
            raise AttributeError(f"{owner.__name__!r} object has no attribute {self._name!r}")
        return value
