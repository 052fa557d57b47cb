"""Dask: whether a value is a Dask collection, values that tasks share, and sums as trees.

Dask is imported when the first Dask collection is passed. All computations go through
`dask.delayed` and `dask.persist`, so that they run on the scheduler that is active: threads, or the
processes of a `distributed.Client`. Tasks never change their arguments, because Dask may run a task
again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from dask.delayed import Delayed
else:
    Delayed: TypeAlias = Any

_Value = TypeVar("_Value")


def is_dask(given: Any) -> bool:
    """Return whether `given` is a Dask collection.

    Raises
    ------
    ImportError
        If it is one, and the packages of the extra `dask` are not installed.
    """
    if not hasattr(type(given), "__dask_graph__"):
        return False
    try:
        for package in ("dask.array", "dask.dataframe", "distributed"):
            import_module(package)
    except ImportError as error:
        raise ImportError(
            f"A {type(given).__name__} of Dask was passed, and {error.name} is not installed. Run "
            "pip install 'shallow_ae[dask]'."
        ) from error
    return True


def is_dask_frame(given: Any) -> bool:
    """Return whether `given` is a Dask DataFrame."""
    if not is_dask(given):
        return False
    import dask.dataframe

    return isinstance(given, dask.dataframe.DataFrame)


def shared(value: Any) -> Delayed:
    """Return a value as a task result that many tasks can use.

    The scheduler keeps a copy, so that the value outlives every worker.
    """
    import dask

    return persisted([dask.delayed(value, traverse=False)])[0]


def persisted(tasks: Sequence[Delayed]) -> list[Delayed]:
    """Start the tasks, and return them as tasks whose results the workers keep."""
    import dask

    with warnings.catch_warnings():
        # Dask recommends `scatter` instead, whose copies are lost with the workers that hold them.
        warnings.filterwarnings("ignore", "Sending large graph")
        return list(dask.persist(*tasks))


def computed(tasks: Sequence[Any]) -> list[Any]:
    """Return the results of tasks."""
    import dask

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph")
        return list(dask.compute(*tasks))


def tree_sum(parts: Sequence[Delayed], add: Callable[[_Value, _Value], _Value]) -> Delayed:
    """Return the sum of the results of tasks, added in pairs.

    The order of the additions depends only on the order of the parts.
    """
    import dask

    sums = list(parts)
    add_task = dask.delayed(add, pure=False)
    while len(sums) > 1:
        pairs = zip(sums[::2], sums[1::2], strict=False)
        sums = [add_task(a, b) for a, b in pairs] + sums[len(sums) - len(sums) % 2 :]
    return sums[0]


def in_partition(
    number: int, what: str, function: Callable[..., _Value], *args: Any, **kwargs: Any
) -> _Value:
    """Call a function; an error because of the data names the partition that holds them."""
    try:
        return function(*args, **kwargs)
    except (ValueError, TypeError) as error:
        raise type(error)(f"Partition {number} of {what}: {error}") from error
