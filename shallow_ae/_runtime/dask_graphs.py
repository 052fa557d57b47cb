"""Dask: whether a value is a Dask collection, values that tasks share, and sums as trees.

Dask is imported when the first Dask collection is passed. All computations go through
`dask.delayed` and `dask.persist`, so that they run on the scheduler that is active: threads, or the
processes of a `distributed.Client`. Tasks never change their arguments, because Dask may run a task
again.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, TypeAlias, TypeVar

Task: TypeAlias = Any  # a `dask.delayed.Delayed`, whose type would need Dask

_Value = TypeVar("_Value")
_filters = threading.Lock()  # held while the filters of warnings are changed


def is_dask(given: Any) -> bool:
    """Return whether `given` is a Dask collection.

    Raises
    ------
    ImportError
        If it is one, and the packages of the extra `dask` are not installed.
    """
    kind = type(given)
    if not hasattr(kind, "__dask_graph__"):
        return False
    # Other libraries have the method, too. It then returns None for values in memory.
    if not kind.__module__.startswith("dask.") and given.__dask_graph__() is None:
        return False
    try:
        for package in ("dask.array", "dask.dataframe", "distributed"):
            import_module(package)
    except ImportError as error:
        raise ImportError(
            f"A {kind.__name__} of Dask was passed, and {error.name} is not installed. Run "
            "pip install 'shallow_ae[dask]'."
        ) from error
    return True


def is_dask_frame(given: Any) -> bool:
    """Return whether `given` is a Dask DataFrame."""
    if not is_dask(given):
        return False
    import dask.dataframe

    return isinstance(given, dask.dataframe.DataFrame)


def task(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Task:
    """Return the call of a function as a task. Arguments, and items of lists, may be tasks."""
    from dask.delayed import delayed

    return delayed(function, pure=False)(*args, **kwargs)


def constant(value: Any) -> Task:
    """Return a value as a task, which is sent to the workers with the tasks that use it."""
    from dask.delayed import delayed

    return delayed(value, traverse=False)


def shared(value: Any) -> Task:
    """Return a value as a task result that many tasks can use.

    The scheduler keeps a copy, so that the value outlives every worker.
    """
    return persisted([constant(value)])[0]


def persisted(tasks: Sequence[Task]) -> list[Task]:
    """Start the tasks, and return them as tasks whose results the workers keep."""
    from dask.base import persist

    with _filters, warnings.catch_warnings():
        # Dask recommends `scatter` instead, whose copies are lost with the workers that hold them.
        warnings.filterwarnings("ignore", "Sending large graph")
        return list(persist(*tasks))


def computed(tasks: Sequence[Task]) -> list[Any]:
    """Return the results of tasks."""
    from dask.base import compute

    return list(compute(*tasks))


def tree_sum(parts: Sequence[Task], add: Callable[[Any, Any], Any]) -> Task:
    """Return the sum of the results of tasks, added in pairs.

    The order of the additions depends only on the order of the parts.
    """
    sums = list(parts)
    while len(sums) > 1:
        pairs = zip(sums[::2], sums[1::2], strict=False)
        sums = [task(add, a, b) for a, b in pairs] + sums[len(sums) - len(sums) % 2 :]
    return sums[0]


def in_partition(
    number: int, what: str, function: Callable[..., _Value], *args: Any, **kwargs: Any
) -> _Value:
    """Call a function; an error because of the data names the partition that holds them."""
    try:
        return function(*args, **kwargs)
    except (ValueError, TypeError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"Partition {number} of {what}: {error}") from error
