"""Pictures show the numbers that they are of."""

import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.pipeline import make_pipeline

from shallow_ae import (
    LogCountTransformer,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    make_ranking_scorer,
)
from shallow_ae.display import LossCurveDisplay, RegularizationPathDisplay

X = np.random.default_rng(0).poisson(0.5, (80, 12))
GRID = [10.0, 0.3, 1.0]


@pytest.fixture(autouse=True)
def _no_screen():
    mpl.use("agg")
    yield
    plt.close("all")


def test_the_loss_of_each_step():
    model = ShallowAutoEncoder(max_iter=12, random_state=0).fit(X)
    display = LossCurveDisplay.from_estimator(model, color="red")
    np.testing.assert_array_equal(display.line_.get_ydata(), model.loss_curve_)
    assert display.line_.get_color() == "red"
    assert display.score_ax_ is None
    ax = plt.figure().add_subplot()
    piped = make_pipeline(LogCountTransformer(), model).fit(X)
    display = LossCurveDisplay.from_estimator(piped, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure


def test_scores_stand_at_their_steps():
    model = ShallowAutoEncoder(
        max_iter=8, early_stopping=True, n_iter_no_change=50, warm_start=True, random_state=0
    ).fit(X)
    assert model.validation_steps_ == [5, 8]
    model.fit(X)
    n = len(model.loss_curve_) - 8
    assert n == 8
    display = LossCurveDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.score_line_.get_xdata(), [5, 8, 13, 16])
    np.testing.assert_array_equal(display.score_line_.get_ydata(), model.validation_curve_)


def test_an_exact_fit_has_no_curve():
    with pytest.raises(ValueError, match="an exact fit takes no steps"):
        LossCurveDisplay.from_estimator(ShallowAutoEncoder(solver="exact").fit(X))


@pytest.mark.parametrize("kind", ["own", "grid", "pipeline"])
def test_the_path_of_a_search(kind):
    if kind == "own":
        search = ShallowAutoEncoderCV(GRID, cv=2)
    elif kind == "grid":
        search = GridSearchCV(ShallowAutoEncoder(solver="exact"), {"regularization": GRID}, cv=2)
    else:
        model = make_pipeline(LogCountTransformer(), ShallowAutoEncoder(solver="exact"))
        search = GridSearchCV(model, {"shallowautoencoder__regularization": GRID}, cv=2)
    display = RegularizationPathDisplay.from_estimator(search.fit(X), marker="x")
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_xdata(), [0.3, 1.0, 10.0])
    means = search.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(line.get_ydata(), means[[1, 2, 0]])
    assert line.get_marker() == "x"
    best = next(v for name, v in search.best_params_.items() if name.endswith("regularization"))
    assert display.best_.get_xdata()[0] == best
    assert display.ax_.get_xscale() == "log"
    assert len(display.bands_) == 1


def test_a_path_has_no_place_for_auto():
    search = ShallowAutoEncoderCV(["auto", 1.0], cv=2).fit(X)
    with pytest.raises(ValueError, match=r"`regularization`='auto' has no place on the axis"):
        RegularizationPathDisplay.from_estimator(search)


def test_a_line_for_each_combination_of_the_others():
    search = ShallowAutoEncoderCV(GRID, dropout=[0.0, 0.5], item_exponent=[0.1], cv=2).fit(X)
    display = RegularizationPathDisplay.from_estimator(search)
    labels = [line.get_label() for line in display.lines_]
    assert labels == ["dropout=0.0, item_exponent=0.1", "dropout=0.5, item_exponent=0.1"]
    assert [len(line.get_xdata()) for line in display.lines_] == [3, 3]


def test_a_line_for_each_iteration_of_a_search_by_halving():
    X = np.random.default_rng(0).poisson(0.5, (90, 12))
    grid = {"regularization": [0.1, 0.3, 1.0, 3.0]}
    model = ShallowAutoEncoder(solver="exact")
    search = HalvingGridSearchCV(model, grid, cv=2, factor=2, random_state=0).fit(X)
    display = RegularizationPathDisplay.from_estimator(search)
    lines = {line.get_label(): line.get_xdata() for line in display.lines_}
    assert lines.keys() == {f"iter={n}" for n in range(search.n_iterations_)}
    assert list(lines["iter=0"]) == [0.1, 0.3, 1.0, 3.0]
    assert all(np.all(np.diff(x) > 0) for x in lines.values())


def test_names_that_end_alike_and_a_regularization_of_nothing():
    params = [
        {"regularization": value, "a__dropout": a, "b__dropout": 0.5}
        for value in (0.0, 0.5, 2.0)
        for a in (0.1, 0.2)
    ]
    scores = np.linspace(0.1, 0.6, 6)
    results = {"params": params, "mean_test_score": scores, "std_test_score": scores / 10}
    display = RegularizationPathDisplay(results).plot()
    labels = [line.get_label() for line in display.lines_]
    assert labels == ["a__dropout=0.1, b__dropout=0.5", "a__dropout=0.2, b__dropout=0.5"]
    left, right = display.ax_.get_xlim()
    places = display.ax_.transData.transform([(value, 0.3) for value in (0, 0.5, 2)])[:, 0]
    assert np.isfinite(places).all()
    assert left < 0 < 2 < right


def test_a_search_for_something_else_has_no_path():
    search = GridSearchCV(ShallowAutoEncoder(solver="exact"), {"dropout": [0.0, 0.5]}, cv=2).fit(X)
    with pytest.raises(ValueError, match=r"one searched parameter `regularization`, found \['dr"):
        RegularizationPathDisplay.from_estimator(search)


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install shallow-ae\[plot\]"):
        LossCurveDisplay([1.0, 0.5]).plot()


def the_first(results):
    return 0 * len(results)


def test_what_a_search_has_found_and_what_it_has_chosen():
    grid = {"max_iter": [2, 3]}
    search = GridSearchCV(ShallowAutoEncoder(random_state=0), grid, cv=2).fit(X)
    display = LossCurveDisplay.from_estimator(search)
    assert len(display.line_.get_ydata()) == search.best_params_["max_iter"]
    with pytest.raises(ValueError, match="an exact fit takes no steps"):
        LossCurveDisplay.from_estimator(ShallowAutoEncoderCV(GRID, cv=2).fit(X))
    last = GridSearchCV(
        ShallowAutoEncoder(solver="exact"),
        [{"regularization": GRID}, {"dropout": [0.5]}],
        refit=the_first,
        cv=2,
    ).fit(X)
    display = RegularizationPathDisplay.from_estimator(last)
    assert display.best_.get_xdata()[0] == 10.0
    assert [len(line.get_xdata()) for line in display.lines_] == [3]


def test_several_scorers_have_no_one_path():
    scoring = {"a": make_ranking_scorer(), "b": make_ranking_scorer("recall")}
    search = GridSearchCV(
        ShallowAutoEncoder(solver="exact"),
        {"regularization": GRID},
        scoring=scoring,
        refit="a",
        cv=2,
    ).fit(X)
    with pytest.raises(ValueError, match="A search with several scorers has several paths"):
        RegularizationPathDisplay.from_estimator(search)
