"""Models are asked while another thread changes them. `make concurrency` does so for minutes."""

import sys
import time

import ask_while_changing as asking
import numpy as np
import pytest
from changing_models import KINDS

from shallow_ae import PopularityRecommender
from shallow_ae.models import popularity

# Kinds whose fits and answers take least; they share their methods with the others.
QUICK = {"exact, dual", "nearest items", "sum", "popularity", "ids", "serving from a file"}


@pytest.fixture(autouse=True)
def _frequent_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(asking.SWITCH_S)
    yield
    sys.setswitchinterval(before)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of columns that a state does not know
@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS],
)
def test_each_answer_is_the_answer_of_one_state(kind):
    counted = asking.ask_while_changing(kind, 0.3, n_threads=4)
    assert counted.answers > 0
    assert counted.changes > 0
    assert not counted.wrong
    assert not counted.errors


def take_over_in_parts(estimator, trained):
    """Do what `take_over` does in one assignment, in one for each attribute."""
    for name, value in vars(trained).items():
        setattr(estimator, name, value)
        time.sleep(0.002)
    return estimator


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_mixture_of_two_states_is_found(monkeypatch):
    monkeypatch.setattr(popularity, "take_over", take_over_in_parts)
    trials = (asking.ask_while_changing("popularity", 0.5, 4, seed) for seed in range(20))
    assert any(counted.wrong for counted in trials)  # the first trial, if a core is free


class Refitting:
    """Rows that fit a model to other rows when they are read, in the midst of a call."""

    def __init__(self, model, rows, others):
        self._model, self._rows, self._others = model, rows, others

    def __array__(self, dtype=None, copy=None):
        self._model.fit(self._others)
        return np.array(self._rows, dtype=dtype)


@pytest.mark.parametrize("method", ["predict", "recommend", "score"])
def test_a_fit_during_a_call_does_not_change_its_answer(method):
    rows = np.array([[1, 1, 0, 1], [1, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 1]], np.float32)
    model = PopularityRecommender().fit(rows)
    expected = getattr(model, method)(rows)
    found = getattr(model, method)(Refitting(model, rows, np.ones((3, 5), np.float32)))
    np.testing.assert_array_equal(found, expected)
    assert model.n_features_in_ == 5
