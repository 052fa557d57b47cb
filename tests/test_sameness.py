"""What is equal to the bit, and what up to rounding: runs, threads, orders, copies, and records.

`docs/reproducibility.md` lists each promise with its test.
"""

import json
import os
import pickle
import re
import subprocess
import sys
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import same_results
import scipy.sparse as sp
from bounds import condition, rounding
from golden import record
from same_results import MODELS, answers, counts_for, digest_of, fitted, learned, results_of

from shallow_ae import load_model, save_model

BY_BLAS = {"exact, many users", "exact, few users", "low rank", "sum", "search"}
BY_BLAS |= {"search for weights"}
# The scores of a row are computed for this row alone.
ROW_BY_ROW = sorted(set(MODELS) - {"exact, few users", "low rank", "sum", "search for weights"})


def assert_same_bits(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert digest_of(found[name]) == digest_of(array), name


def assert_close(found, expected, bound):
    """Assert that arrays differ by the bound at most, relative to the largest number."""
    largest = np.nanmax(np.abs(expected))
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound * largest)


@pytest.fixture
def threads(monkeypatch):
    """Return a function that sets the number of threads."""

    def use(number):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.setattr("joblib.effective_n_jobs", lambda _: number)

    return use


@pytest.mark.parametrize("name", MODELS)
def test_a_second_fit_has_the_same_bits(name):
    assert_same_bits(results_of(name), results_of(name))


def in_a_process(**settings):
    """Return the digests of all results in a fresh process."""
    program = Path(same_results.__file__)
    run = subprocess.run(
        [sys.executable, program], env=os.environ | settings, capture_output=True, check=True
    )
    return json.loads(run.stdout)


@pytest.mark.slow
def test_a_fresh_process_has_the_same_bits():
    assert in_a_process() == in_a_process(PYTHONHASHSEED="7")


@pytest.mark.slow
def test_without_blas_all_kernels_of_blas_have_the_same_bits():
    own, other = in_a_process(), in_a_process(OPENBLAS_CORETYPE="Nehalem")
    for name in set(MODELS) - BY_BLAS:
        assert own[name] == other[name], name


@pytest.mark.parametrize("name", sorted(set(MODELS) - BY_BLAS))
def test_without_blas_the_number_of_threads_changes_no_bit(name, threads):
    threads(1)
    expected = results_of(name)
    threads(3)
    assert_same_bits(results_of(name), expected)


@pytest.mark.parametrize("name", ["exact, many users", "exact, few users", "low rank"])
def test_the_number_of_threads_changes_weights_by_rounding_only(name, threads):
    X = counts_for(name, np.float64, 600)  # more than one block of an inverse
    threads(1)
    expected = fitted(name, X).item_weights_
    threads(3)
    found = fitted(name, X).item_weights_
    assert_close(found, expected, bound_on_weights(name, X))


def bound_on_weights(name, X):
    """Return how far rounding changes weights, relative to the largest weight."""
    dense = X.toarray()
    if name == "low rank":
        squares = np.linalg.svd(dense, compute_uv=False)[:9] ** 2
        return rounding(len(dense)) * squares[0] / (squares[7] - squares[8])
    return rounding(len(dense)) * condition(dense, 0.1, 0.2)


@pytest.mark.parametrize("name", MODELS)
def test_copies_pickles_and_files_give_answers_with_the_same_bits(name, tmp_path):
    X = counts_for(name)
    model = fitted(name, X)
    if name == "exact, few users":
        _ = model.item_weights_  # computed, as `save_model` does
    save_model(model, tmp_path / "model.safetensors")
    expected = answers(model, X)
    for other in (
        deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        load_model(tmp_path / "model.safetensors"),
    ):
        assert_same_bits(answers(other, X), expected)


@pytest.mark.parametrize("name", ["sgd", "exact, many users", "exact, few users", "nearest"])
def test_the_storage_of_a_sparse_matrix_changes_no_bit(name):
    X = counts_for(name)
    starts = X.indptr
    backwards = np.concatenate([np.arange(*ends)[::-1] for ends in pairwise(starts)])
    unsorted = sp.csr_array((X.data[backwards], X.indices[backwards], starts), shape=X.shape)
    twice = sp.csr_array(
        (np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * starts), shape=X.shape
    )
    expected = learned(fitted(name, X))
    for other in (unsorted, twice, sp.csc_array(X)):
        assert_same_bits(learned(fitted(name, other)), expected)


@pytest.mark.parametrize("name", ["exact, many users", "exact, few users", "nearest", "low rank"])
def test_the_order_of_users_changes_weights_by_rounding_only(name):
    X = sp.csr_array(counts_for(name, np.float64) / 7)  # whose sums are rounded
    order = np.arange(X.shape[0]) * 37 % X.shape[0]
    expected = learned(fitted(name, X))["item_weights_"]
    found = learned(fitted(name, X[order]))["item_weights_"]
    assert_close(found, expected, bound_on_weights(name, X))


@pytest.mark.parametrize("name", ROW_BY_ROW)
def test_the_other_users_in_a_call_change_no_bit_of_a_row(name):
    X = counts_for(name)
    model = fitted(name, X)
    items, scores = model.recommend(X, k=20, return_scores=True)
    predicted = model.predict(X)
    for user in (0, 7, X.shape[0] - 1):
        alone = model.recommend(X[[user]], k=20, return_scores=True)
        assert digest_of(alone[0][0]) == digest_of(items[user])
        assert digest_of(alone[1][0]) == digest_of(scores[user])
        assert digest_of(model.predict(X[[user]])[0]) == digest_of(predicted[user])


@pytest.fixture(scope="module")
def recorded():
    return dict(np.load(record.FILE))


def test_recorded_results_are_equal_to_the_bit(recorded):
    given = {name: recorded[name] for name in record.inputs()}
    for name, found in record.exact_results(given).items():
        assert digest_of(found) == digest_of(recorded[name]), name


def test_recorded_results_are_equal_up_to_rounding(recorded):
    given = {name: recorded[name] for name in record.inputs()}
    spectrum = np.linalg.svd(given["counts"], compute_uv=False)
    inverted = rounding(90) * condition(given["counts"], 0.1, 0.25)
    gap = spectrum[5] ** 2 - spectrum[6] ** 2  # between the kept components and the others
    bounds = {
        "Gram matrix": rounding(90),
        "inverse": inverted,
        "exact": inverted,
        "low rank": rounding(90) * spectrum[0] ** 2 / gap,
        "gradient descent": rounding(30 * 90),
        "log counts": rounding(1),
        "metric ndcg": rounding(10),
    }
    for name, found in record.rounded_results(given).items():
        bound = next(own for start, own in bounds.items() if name.startswith(start))
        assert found.dtype == recorded[name].dtype, name
        assert_close(found, recorded[name], bound)


def test_each_test_on_the_page_about_reproducibility_exists():
    folder = Path(__file__).parent
    text = (folder.parent / "docs" / "reproducibility.md").read_text(encoding="utf-8")
    named = re.findall(r"`(?:tests/(test_\w+\.py)::)?(test_\w+)`", text)
    assert len(named) > 10
    for file, name in named:
        source = (folder / (file or "test_sameness.py")).read_text(encoding="utf-8")
        assert f"def {name}(" in source, name
