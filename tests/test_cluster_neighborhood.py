"""The nearest items of rows in partitions, against the same rows in memory."""

from itertools import pairwise

import dask
import numpy as np
import pytest
import scipy.sparse as sp
from bounds import rounding

from shallow_ae._cluster import neighborhood as cluster
from shallow_ae._cluster.parts import Part
from shallow_ae._objective.objective import Objective
from shallow_ae._objective.problem import problem_of
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._solvers.neighborhood import partial
from shallow_ae._solvers.neighborhood.fit import NeighborhoodSolver

# In the process of tests/test_dask.py, whose workers load what is compiled here.

PLAIN = Objective(0.05, 0.0, 0.0, 0.0, 0.0)
VARIANTS = Objective(0.05, 0.3, 0.4, 0.5, 0.3)
N_ITEMS = 60
ROOMY, TIGHT = 2**30, 400_000


@pytest.fixture(autouse=True)
def few_tasks(monkeypatch):
    """Run tasks on this thread, and cut only as often as memory requires."""
    monkeypatch.setattr(cluster, "_LEAST_CUTS", 3)
    monkeypatch.setattr(cluster, "_CUTS_PER_THREAD", 1)
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture
def calls(monkeypatch):
    """Return how often each step has run."""
    n_calls = {}
    for name in ("stack", "sum_columns", "find_nearest", "sum_entries", "solve_block"):
        step = getattr(partial, name)

        def counted(*arguments, name=name, step=step):
            n_calls[name] = n_calls.get(name, 0) + 1
            return step(*arguments)

        monkeypatch.setattr(partial, name, counted)
    return n_calls


def listens(dtype=np.float64, n_users=300, n_items=N_ITEMS):
    """Return counts of items of skewed popularity, some of which nobody has."""
    rng = np.random.default_rng(0)
    popularity = 0.5 / (1 + np.arange(n_items)) ** 0.7
    popularity[n_items // 2] = 0
    X = (rng.random((n_users, n_items)) < popularity) * rng.integers(1, 9, (n_users, n_items))
    return sp.csr_array(X[:, rng.permutation(n_items)].astype(dtype))


def solve_both(X, objective, n_neighbors, n_parts, task_bytes):
    """Return the solution of the rows in memory, and in partitions, some of which are empty."""
    rng = np.random.default_rng(1)
    problem = problem_of(TrainingRows(X, rng.uniform(0.5, 2, X.shape[0])), objective)
    rows, weights = problem.data.weighted(objective.user_exponent)
    cuts = np.sort(rng.integers(0, X.shape[0], n_parts - 1))
    if n_parts > 2:
        cuts[1] = cuts[0]
    edges = [0, *cuts.tolist(), X.shape[0]]
    parts = [Part(rows[first:last], weights[first:last]) for first, last in pairwise(edges)]
    sizes = [100_000 // 2] * n_parts  # two parts to a group, if memory is tight
    solution = cluster.solve_neighborhoods(
        [dask.delayed(part, traverse=False) for part in parts],
        sizes,
        objective,
        problem.item_counts,
        float(weights.sum(dtype=np.float64)),
        X.dtype,
        n_neighbors,
        task_bytes,
    )
    return NeighborhoodSolver(problem).solve(n_neighbors), solution


def assert_agree(expected, solution, off):
    P, Q = expected.weights.P, solution.weights.P
    np.testing.assert_array_equal(Q.indptr, P.indptr, strict=True)
    np.testing.assert_array_equal(Q.indices, P.indices, strict=True)
    assert P.dtype == Q.dtype
    assert P.nnz
    np.testing.assert_allclose(Q.data, P.data, rtol=0, atol=off * np.abs(P.data).max())
    np.testing.assert_allclose(solution.diagonal, expected.diagonal, rtol=0, atol=off)
    assert solution.objective == pytest.approx(expected.objective, rel=off)
    assert solution.residual == pytest.approx(expected.residual, abs=off)
    assert solution.rounding == pytest.approx(expected.rounding, abs=off)


@pytest.mark.parametrize(
    ("n_parts", "task_bytes"), [(1, ROOMY), (7, ROOMY), (7, TIGHT), (40, ROOMY)]
)
@pytest.mark.parametrize("objective", [PLAIN, VARIANTS])
@pytest.mark.parametrize("n_neighbors", [5, 20, N_ITEMS - 1, N_ITEMS + 5])
def test_partitions_give_what_the_stacked_rows_give(n_neighbors, objective, n_parts, task_bytes):
    both = solve_both(listens(), objective, n_neighbors, n_parts, task_bytes)
    assert_agree(*both, off=1e-12)


@pytest.mark.parametrize("task_bytes", [ROOMY, TIGHT])
@pytest.mark.slow
def test_single_precision_stays_single(task_bytes):
    both = solve_both(listens(np.float32), PLAIN, 20, 7, task_bytes)
    assert_agree(*both, off=rounding(N_ITEMS, np.float32))


@pytest.mark.parametrize("task_bytes", [ROOMY, TIGHT])
def test_threads_share_the_tasks(task_bytes):
    with dask.config.set(scheduler="threads", num_workers=2):
        assert_agree(*solve_both(listens(), VARIANTS, 20, 7, task_bytes), off=1e-12)


def test_one_group_stores_no_columns_and_makes_work_for_threads(monkeypatch, calls):
    monkeypatch.setattr(cluster, "_LEAST_CUTS", 12)
    solve_both(listens(), PLAIN, 20, 7, ROOMY)
    assert calls["stack"] == 1
    assert "sum_columns" not in calls
    assert calls["sum_entries"] > 10
    assert calls["solve_block"] > 10


def test_little_memory_makes_groups_and_blocks(calls):
    solve_both(listens(), PLAIN, 20, 7, TIGHT)
    assert calls["stack"] > 3
    assert calls["solve_block"] > 5
    assert calls["sum_columns"] == calls["find_nearest"] * (calls["stack"] - 1)
    assert calls["sum_entries"] >= 4 * calls["stack"]


@pytest.mark.parametrize("shape", [(5, 1), (1, 4), (5, 2)])
@pytest.mark.parametrize("n_parts", [1, 3])
def test_few_items_or_users(shape, n_parts):
    for task_bytes in (ROOMY, 1000):
        expected, solution = solve_both(sp.csr_array(np.ones(shape)), PLAIN, 3, n_parts, task_bytes)
        np.testing.assert_allclose(
            solution.weights.P.toarray(), expected.weights.P.toarray(), rtol=0, atol=1e-12
        )
        np.testing.assert_allclose(solution.diagonal, expected.diagonal, rtol=0, atol=1e-12)


@pytest.mark.slow
def test_a_system_that_is_not_positive_definite_is_told():
    X = sp.csr_array(np.tile(listens(np.float32)[:, [0]].toarray() + 3, 6))
    objective = PLAIN._replace(regularization=1e-9)
    for n_parts in (1, 7):
        with pytest.raises(ValueError, match="not positive definite after rounding"):
            solve_both(X, objective, 5, n_parts, ROOMY)


def test_squares_that_overflow_are_told():
    X = listens(np.float32) * np.float32(1e22)
    with pytest.raises(ValueError, match="squares are too large for float32"):
        solve_both(X, PLAIN, 5, 7, ROOMY)


def test_steps_change_no_argument():
    X = listens()
    X.data.flags.writeable = False
    weights = np.ones(X.shape[0])
    statistics = partial.statistics_of(X, weights)
    ranking = partial.rank(statistics, PLAIN, 300.0, X.dtype)
    group = partial.stack([(X, weights)], ranking)
    columns = partial.sum_columns(group, range(20, 50))
    nearest = partial.find_nearest(group, ranking, range(20, 50), 9, columns)
    strips = [range(30, 60), range(30)]
    pieces = [partial.sum_entries(group, nearest, [30], strip)[0] for strip in strips]

    def steps():
        return (
            partial.stack([(X, weights)], ranking),
            partial.sum_columns(group, range(20, 50), columns),
            partial.find_nearest(group, ranking, range(20, 50), 9, columns),
            partial.sum_entries(group, nearest, [30], strips[0], pieces[:1]),
            partial.solve_block(ranking, nearest, strips, pieces),
        )

    for first, second in zip(steps(), steps(), strict=True):
        for a, b in zip(first, second, strict=True):
            np.testing.assert_equal(a, b)
