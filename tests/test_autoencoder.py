"""The estimator's contract, beyond what scikit-learn checks by itself."""

import pickle

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from bounds import rounding
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from shallow_ae import IdMapper, LogCountTransformer, ShallowAutoEncoder
from shallow_ae.datasets import make_listens


@pytest.fixture(scope="module")
def listens():
    """Listens of 120 users to 40 songs, as a frame."""
    return make_listens(120, 40, items_per_user=8, random_state=0)[0]


@pytest.fixture(scope="module")
def X(listens):
    return IdMapper().fit_transform(listens)


def quick(**parameters):
    return ShallowAutoEncoder(**{"max_iter": 5, "random_state": 0, **parameters})


def test_a_fit_sets_numpy_attributes_of_the_stated_shapes(X):
    model = quick().fit(X)
    assert type(model.item_weights_) is np.ndarray
    assert model.item_weights_.shape == (X.shape[1], X.shape[1])
    assert model.item_weights_.flags.writeable
    assert not model.item_weights_.diagonal().any()
    assert len(model.loss_curve_) == model.n_iter_ == 5
    assert all(type(loss) is float for loss in model.loss_curve_)
    assert model.n_features_in_ == X.shape[1]


def test_the_same_seed_gives_the_same_weights_and_another_others(X):
    first, again, other = (quick(batch_size=50, random_state=s).fit(X) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.item_weights_, again.item_weights_)
    assert (first.item_weights_ != other.item_weights_).any()
    state = quick(batch_size=50, random_state=np.random.RandomState(0)).fit(X)
    np.testing.assert_array_equal(first.item_weights_, state.item_weights_)


def test_the_first_loss_is_the_objective_at_the_start(X):
    model = quick(init_scale=0.0).fit(X)
    assert model.loss_curve_[0] == pytest.approx(
        (X.data**2).sum() / X.shape[0], rel=rounding(X.nnz, np.float32)
    )


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"regularization": -1}, ValueError, "`regularization`=-1 must be a finite number >= 0"),
        ({"regularization": np.nan}, ValueError, "`regularization`=nan must be a finite number"),
        ({"regularization": "much"}, TypeError, "`regularization`='much' must be a number >= 0"),
        ({"solver": "magic"}, ValueError, "`solver`='magic' must be one of 'sgd'"),
        ({"learning_rate": 0}, ValueError, "`learning_rate`=0 must be a finite number > 0"),
        ({"learning_rate": "slow"}, TypeError, "`learning_rate`='slow' must be a number > 0"),
        ({"learning_rate_decay": 1.1}, ValueError, "must be a finite number > 0 and <= 1"),
        ({"max_iter": 0}, ValueError, "`max_iter`=0 must be an integer >= 1"),
        ({"max_iter": 2.5}, TypeError, "`max_iter`=2.5 must be an integer >= 1, got float"),
        ({"batch_size": 0}, ValueError, "`batch_size`=0 must be an integer >= 1"),
        ({"tol": -1.0}, ValueError, "`tol`=-1.0 must be a finite number >= 0"),
        ({"early_stopping": "no"}, TypeError, "`early_stopping`='no' must be True or False"),
        ({"warm_start": 1}, TypeError, "`warm_start`=1 must be True or False"),
        ({"n_iter_no_change": 0}, ValueError, "`n_iter_no_change`=0 must be an integer >= 1"),
        ({"validation_fraction": 1}, ValueError, "must be a finite number > 0 and < 1"),
        ({"dropout": 1.0}, ValueError, "`dropout`=1.0 must be a finite number >= 0 and < 1"),
        ({"diagonal_slack": 1.5}, ValueError, "must be a finite number >= 0 and <= 1"),
        ({"user_exponent": np.inf}, ValueError, "`user_exponent`=inf must be a finite number."),
        ({"item_exponent": "x"}, TypeError, "`item_exponent`='x' must be a number, got str"),
        ({"init_scale": -1e-3}, ValueError, "`init_scale`=-0.001 must be a finite number >= 0"),
    ],
)
def test_parameters_out_of_range_are_refused_in_fit(X, parameters, error, message):
    with pytest.raises(error, match=message):
        quick(**parameters).fit(X)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.array([[1.0, np.nan]]), "contains NaN"),
        (np.array([[1.0, np.inf]]), "contains infinity"),
        (sp.csr_array(np.array([[1.0, np.inf]])), "contains infinity"),
        (np.empty((0, 3)), "minimum of 1 is required"),
        (np.ones(3), "Expected 2D array"),
    ],
)
def test_bad_data_are_an_error_and_leave_the_fitted_model_as_it_was(X, bad, message):
    model = quick().fit(X)
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match=message):
        model.fit(bad)
    assert pickle.dumps(model) == before


def test_a_diverging_fit_leaves_the_fitted_model_as_it_was(X):
    model = quick().fit(X)
    before = vars(model).copy()
    with pytest.raises(ValueError, match="diverges"):
        model.set_params(learning_rate=1e3).fit(X[:, :10])
    assert vars(model) == {**before, "learning_rate": 1e3}


@pytest.mark.parametrize("weights", [[1.0, -1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0], [1, np.nan, 1]])
def test_bad_sample_weights_are_an_error(weights):
    with pytest.raises(ValueError, match="sample_weight"):
        quick().fit(np.eye(3), sample_weight=weights)


@pytest.mark.parametrize("method", ["predict", "recommend", "score"])
def test_use_before_fit_and_other_items_than_in_fit_are_errors(X, method):
    with pytest.raises(NotFittedError):
        getattr(quick(), method)(X)
    with pytest.raises(ValueError, match=r"has 39 features, but .* is expecting 40 features"):
        getattr(quick().fit(X), method)(X[:, :39])


def test_names_of_items_are_those_of_a_frame(X):
    frame = pd.DataFrame(X.toarray(), columns=[f"song {i}" for i in range(40)])
    model = quick().fit(frame)
    assert model.feature_names_in_[3] == "song 3"
    assert model.score(frame) == model.score(X)
    with pytest.raises(ValueError, match="Feature names unseen at fit time"):
        model.predict(frame.rename(columns={"song 3": "song x"}))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, bool, np.float16, np.float32])
def test_types_other_than_float64_are_computed_in_float32(X, dtype):
    counts = np.minimum(X.toarray(), 200).astype(dtype)
    model = quick().fit(counts)
    assert model.item_weights_.dtype == np.float32
    expected = quick().fit(counts.astype(np.float32))
    np.testing.assert_array_equal(model.item_weights_, expected.item_weights_)


@pytest.mark.parametrize("layout", [sp.csc_array, sp.coo_matrix, sp.lil_array, sp.dok_array])
def test_any_sparse_layout_gives_the_same_weights(X, layout):
    expected = quick().fit(X)
    model = quick().fit(layout(X))
    np.testing.assert_array_equal(model.item_weights_, expected.item_weights_)


def test_small_integers_in_coo_duplicates_do_not_overflow():
    entries = (np.array([200, 200, 1], dtype=np.uint8), (np.array([0, 0, 1]), np.array([0, 0, 1])))
    X = sp.coo_array(entries, shape=(2, 2))
    assert quick(init_scale=0.0).fit(X).loss_curve_[0] == (400**2 + 1) / 2  # exact in float32
    exact = ShallowAutoEncoder(100.0, solver="exact").fit(X)  # nothing to learn: the same loss
    assert exact.loss_curve_[0] == pytest.approx((400**2 + 1) / 2, rel=rounding(9, np.float32))


def test_the_callers_data_are_not_changed(X):
    arrays = (X.data.copy(), X.indices[::-1].copy(), X.indptr.copy())  # unsorted
    unsorted = sp.csr_array(arrays, shape=X.shape)
    kept = [array.copy() for array in arrays]
    dense, weights = X.toarray(), np.ones(X.shape[0])
    for data in (unsorted, dense):
        model = quick().fit(data, sample_weight=weights)
        model.predict(data)
        model.recommend(data, k=3)
        model.score(data)
    for now, before in zip((unsorted.data, unsorted.indices, unsorted.indptr), kept, strict=True):
        np.testing.assert_array_equal(now, before)
    np.testing.assert_array_equal(dense, X.toarray())
    assert (weights == 1).all()


def test_parameters_set_after_construction_win(X):
    changed = quick().set_params(regularization=0.5, max_iter=3).fit(X)
    expected = quick(regularization=0.5, max_iter=3).fit(X)
    np.testing.assert_array_equal(changed.item_weights_, expected.item_weights_)


def test_clone_and_pickle(X):
    model = quick(regularization=0.5).fit(X)
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "item_weights_")
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.recommend(X, k=5), model.recommend(X, k=5))


def test_html_representation_shows_the_model():
    pipeline = make_pipeline(IdMapper(), LogCountTransformer(), ShallowAutoEncoder())
    html = pipeline._repr_html_()
    assert all(name in html for name in ("IdMapper", "LogCountTransformer", "ShallowAutoEncoder"))


def test_set_output_leaves_the_recommender_alone(listens, X):
    pipeline = make_pipeline(LogCountTransformer(), quick()).set_output(transform="pandas")
    names = [f"song {i}" for i in range(40)]
    pipeline.fit(pd.DataFrame(X.toarray(), columns=names))
    assert pipeline[-1].feature_names_in_.tolist() == names
    assert isinstance(pipeline.predict(pd.DataFrame(X.toarray(), columns=names)), np.ndarray)


def test_silent_by_default_and_a_bar_with_the_loss_on_request(X, capfd):
    quick().fit(X)
    assert capfd.readouterr() == ("", "")
    quick(verbose=1).fit(X)
    out, err = capfd.readouterr()
    assert out == ""
    assert "5/5" in err
    assert "loss=" in err


def test_jax_settings_are_left_as_they_were(X):
    before = jax.config.values.copy()
    model = quick().fit(X.astype(np.float64))
    model.recommend(X)
    assert model.item_weights_.dtype == np.float64
    assert jax.config.values == before


def test_a_pipeline_learns_and_scores_from_a_frame(listens):
    pipeline = make_pipeline(IdMapper(), LogCountTransformer(), quick())
    pipeline.fit(listens)
    new = pd.DataFrame({"user": ["new"], "item": [listens["item"][0]], "count": [3]})
    scores = pipeline.predict(new)
    assert scores.shape == (1, listens["item"].nunique())
    X = LogCountTransformer().fit_transform(IdMapper().fit_transform(listens))
    np.testing.assert_array_equal(pipeline.predict(listens), quick().fit(X).predict(X))


@pytest.mark.slow
def test_grid_search_over_users_in_two_processes(X):
    X = LogCountTransformer().fit_transform(X)
    grid = {"learning_rate": [1e-4, 1e-2], "regularization": [0.02, 2.0]}
    search = GridSearchCV(ShallowAutoEncoder(random_state=0), grid, cv=3, n_jobs=2)
    search.fit(X)
    folds = np.array([search.cv_results_[f"split{i}_test_score"] for i in range(3)])
    assert ((folds > 0) & (folds < 1)).all()
    assert search.best_params_["learning_rate"] == 1e-2

    def mean_score(model, rows, y=None):
        return model.predict(rows).mean()

    custom = GridSearchCV(quick(), grid, cv=3, scoring=mean_score, n_jobs=2).fit(X)
    assert np.isfinite(custom.cv_results_["mean_test_score"]).all()
    assert custom.best_estimator_.recommend(X, k=2).shape == (120, 2)
