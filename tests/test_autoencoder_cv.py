"""A search that shares its work finds what one that does not finds."""

import pickle
import threading
import tracemalloc
from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from bounds import rounding
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, PredefinedSplit, ShuffleSplit
from sklearn.pipeline import make_pipeline

from shallow_ae import (
    LogCountTransformer,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    hold_out_items,
    make_ranking_scorer,
)
from shallow_ae._objective.training_gram import gram_of
from shallow_ae.metrics import recall_score
from shallow_ae.model_selection import RankingScorer, gram_folds

REGULARIZATIONS = [0.1, 0.5, 2.0]


def interactions(n_users, n_items, dtype=np.float64, seed=0):
    """Return rows of two tastes, with some items and users that have next to nothing."""
    rng = np.random.default_rng(seed)
    tastes = rng.gamma(0.5, size=(2, n_items))
    counts = rng.poisson(tastes[rng.integers(0, 2, n_users)])
    counts[:, :2] = 0
    counts[3, 0] = 1  # an item that one user has, and one that nobody has
    counts[5] = 0
    return LogCountTransformer().fit_transform(sp.csr_array(counts.astype(dtype)))


@pytest.fixture(scope="module")
def X():
    return interactions(120, 25)


def smallest_weights(model, X, y=None):
    return -abs(model.item_weights_).sum() - X.shape[0]


def grid_search(X, grid, *, sample_weight=None, fixed=None, **settings):
    model = ShallowAutoEncoder(solver="exact", **(fixed or {}))
    return GridSearchCV(model, grid, **settings).fit(X, sample_weight=sample_weight)


def assert_same_search(ours, theirs, rtol=1e-9):
    # Scores are equal, or one item further from each other, which is more than this. Sums of
    # weights were seen 1.4e-14 apart; weights were seen to be equal, and may be eps times the
    # condition apart, some 1,000.
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_index_ == theirs.best_index_
    assert ours.best_score_ == pytest.approx(theirs.best_score_, rel=rtol)
    assert ours.n_splits_ == theirs.n_splits_
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    for name, expected in theirs.cv_results_.items():
        values = ours.cv_results_[name]
        if "test_score" in name and name != "rank_test_score":
            np.testing.assert_allclose(values, expected, rtol=rtol, err_msg=name)
        elif name.startswith("param_") or name == "rank_test_score":
            assert type(values) is type(expected)
            assert values.dtype == expected.dtype
            np.testing.assert_array_equal(values, expected, err_msg=name)
    np.testing.assert_allclose(
        ours.item_weights_, theirs.best_estimator_.item_weights_, rtol=0, atol=1e-9
    )


@pytest.mark.parametrize(
    "listed",
    [
        {},
        {"dropout": [0.0, 0.4]},
        {"diagonal_slack": [0.0, 0.3], "item_exponent": [-0.1, 0.0, 0.2]},
        {"user_exponent": [0.0, 0.5]},
        {"dropout": [0.2], "user_exponent": [0.5, 0.0], "item_exponent": [0.1, 0.0]},
    ],
    ids=lambda listed: "+".join(listed) or "regularization",
)
def test_it_is_grid_search(X, listed):
    ours = ShallowAutoEncoderCV(REGULARIZATIONS, **listed, cv=3).fit(X)
    theirs = grid_search(X, {"regularization": REGULARIZATIONS, **listed}, cv=3)
    assert_same_search(ours, theirs)


@pytest.mark.parametrize(
    "settings",
    [
        {"cv": ShuffleSplit(3, test_size=0.3, random_state=0)},
        {"cv": ShuffleSplit(3, test_size=0.2, train_size=0.3, random_state=0)},
        {"cv": PredefinedSplit(np.arange(120) % 4 - 1)},  # some are in no test part
        {"cv": KFold(4, shuffle=True, random_state=0)},
        {"cv": [(np.r_[:90, :20], np.r_[90:120]), (np.r_[30:120], np.r_[:30])]},  # some twice
        {"cv": [(np.arange(120) >= 30, np.arange(120) < 30), (list(range(90)), [95, 99])]},
        {"cv": 3, "scoring": make_ranking_scorer("recall", k=5, random_state=1)},
        {"cv": 3, "scoring": smallest_weights},
    ],
    ids=["shuffled", "sparing", "predefined", "folds", "repeated", "masks", "recall", "own"],
)
def test_by_any_splits_and_scorers(X, settings):
    ours = ShallowAutoEncoderCV(REGULARIZATIONS, **settings).fit(X)
    assert_same_search(ours, grid_search(X, {"regularization": REGULARIZATIONS}, **settings))


@pytest.mark.parametrize("n_items", [30, 50, 90])  # primal; dual in folds only; dual
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_in_either_form_and_type(n_items, dtype):
    X = interactions(60, n_items, dtype)
    ours = ShallowAutoEncoderCV(REGULARIZATIONS, dropout=0.2, cv=3).fit(X)
    theirs = grid_search(X, {"regularization": REGULARIZATIONS}, fixed={"dropout": 0.2}, cv=3)
    assert ours.item_weights_.dtype == dtype
    if dtype == np.float64:
        assert_same_search(ours, theirs)
    else:  # seen to be equal: one item in another place moves a mean by up to a hundredth
        mean = "mean_test_score"
        np.testing.assert_allclose(ours.cv_results_[mean], theirs.cv_results_[mean], rtol=1e-4)


@pytest.mark.filterwarnings("ignore:The scoring .* does not support sample_weight")
def test_sample_weights_count_in_the_fits(X):
    weights = np.random.default_rng(0).integers(0, 4, X.shape[0])
    ours = ShallowAutoEncoderCV(REGULARIZATIONS, cv=3).fit(X, sample_weight=weights)
    theirs = grid_search(X, {"regularization": REGULARIZATIONS}, sample_weight=weights, cv=3)
    assert_same_search(ours, theirs)


def test_held_out_items_may_be_given(X):
    visible, hidden = hold_out_items(X, random_state=3)
    ours = ShallowAutoEncoderCV(REGULARIZATIONS, cv=3).fit(visible, hidden)
    model = ShallowAutoEncoder(solver="exact")
    theirs = GridSearchCV(model, {"regularization": REGULARIZATIONS}, cv=3).fit(visible, hidden)
    assert_same_search(ours, theirs)


def test_held_out_items_in_a_frame_are_found_by_name(X):
    names = [f"i{j}" for j in range(X.shape[1])]
    parts = hold_out_items(X, random_state=3)
    visible, hidden = (pd.DataFrame(part.toarray(), columns=names) for part in parts)
    search = ShallowAutoEncoderCV(REGULARIZATIONS, cv=3)
    expected = search.fit(visible, hidden).best_score_
    assert search.fit(visible, hidden[names[::-1]]).best_score_ == expected


def test_the_gram_matrix_of_the_data_is_formed_once(X, monkeypatch):
    from shallow_ae._objective import training_gram

    lengths = []
    original = training_gram.add_gram

    def counting(rows, weights, gram):
        lengths.append(rows.shape[0])
        original(rows, weights, gram)

    monkeypatch.setattr(training_gram, "add_gram", counting)
    monkeypatch.setattr("shallow_ae._solvers.closed_form.add_gram", None)
    ShallowAutoEncoderCV(REGULARIZATIONS, dropout=[0.0, 0.3], cv=4).fit(X)
    # All users, and each of the test parts.
    assert lengths == [120, 30, 30, 30, 30]


def test_nothing_is_left_of_items_that_only_others_have(X):
    rows = sp.csr_array(X.astype(np.float32))
    rows = sp.csr_array(sp.vstack([rows[:, 2:], rows[:60, 2:]]))
    only = np.zeros((rows.shape[0], 1), np.float32)
    only[:50] = 1 + np.log(np.arange(2, 52))[:, None]
    rows = sp.csr_array(sp.hstack([rows, only]))
    gram = gram_of(rows, np.ones(rows.shape[0]), 0.0, np.float32)
    order = np.random.default_rng(0).permutation(50)  # or the sums would round alike
    rest = gram.without(rows[order], np.ones(50))
    assert not rest.matrix[-1].any()
    assert not rest.matrix[:, -1].any()
    expected = gram_of(rows[50:], np.ones(rows.shape[0] - 50), 0.0, np.float32)
    off = rounding(rows.shape[0], np.float32) * expected.matrix.max()
    np.testing.assert_allclose(rest.matrix, expected.matrix, rtol=0, atol=off)
    np.testing.assert_array_equal(rest.item_counts, expected.item_counts)


def test_settings_share_an_inverse(X, monkeypatch):
    from shallow_ae._solvers import closed_form

    sizes = []
    original = closed_form.negated_inverse

    def counting(A, **settings):
        sizes.append(len(A))
        original(A, **settings)

    monkeypatch.setattr(closed_form, "negated_inverse", counting)
    ShallowAutoEncoderCV(
        REGULARIZATIONS, diagonal_slack=[0.0, 0.5], item_exponent=[0.0, 0.1, 0.2], cv=3
    ).fit(X)
    assert sizes == [25] * (3 * 3 + 1)


def test_it_is_a_model_like_any_other(X):
    model = ShallowAutoEncoderCV(REGULARIZATIONS, cv=3).fit(X)
    plain = ShallowAutoEncoder(**model.best_params_, solver="exact").fit(X)
    np.testing.assert_array_equal(model.recommend(X, 5), plain.recommend(X, 5))
    np.testing.assert_array_equal(model.item_counts_, plain.item_counts_)
    assert model.n_samples_seen_ == 120
    assert model.score(X) == pytest.approx(plain.score(X))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.similar_items([4], 3), plain.similar_items([4], 3))
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "best_params_")
    piped = make_pipeline(LogCountTransformer(), ShallowAutoEncoderCV(REGULARIZATIONS, cv=3))
    assert piped.fit(X)[-1].best_params_["regularization"] in REGULARIZATIONS


def test_the_chosen_model_learns_on_and_forgets(X):
    model = ShallowAutoEncoderCV(REGULARIZATIONS, cv=3).fit(X)
    chosen = model.best_estimator_.forget(X[:10])
    expected = ShallowAutoEncoder(**model.best_params_, solver="exact").fit(X[10:])
    assert_close = partial(np.testing.assert_allclose, rtol=0, atol=1e-11)  # seen: 1.6e-16
    assert_close(chosen.item_weights_, expected.item_weights_)
    assert_close(model.item_weights_, expected.item_weights_)
    assert model.n_samples_seen_ == 110


def test_weights_are_formed_for_both(X):
    wide = interactions(40, 90)
    model = ShallowAutoEncoderCV(REGULARIZATIONS, cv=3).fit(wide)
    assert model.item_weights_ is model.best_estimator_.item_weights_


def test_names_are_kept(X):
    names = [f"i{j}" for j in range(X.shape[1])]
    model = ShallowAutoEncoderCV(REGULARIZATIONS, cv=3).fit(
        pd.DataFrame(X.toarray(), columns=names)
    )
    assert model.feature_names_in_.tolist() == names
    assert model.best_estimator_.feature_names_in_.tolist() == names


def test_a_failed_fit_changes_nothing(X):
    model = ShallowAutoEncoderCV(REGULARIZATIONS, cv=3).fit(X)
    before = dict(vars(model))
    model.regularizations = [0.1, 0.0]
    with pytest.raises(ValueError, match="`regularization`=0 must be > 0"):
        model.fit(X[:, :20])
    after = vars(model) | {"regularizations": REGULARIZATIONS}
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before if name != "regularizations")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regularizations": 0.1}, "`regularizations`=0.1 must be a sequence of one number"),
        ({"regularizations": []}, r"`regularizations`=\[\] must be a sequence"),
        ({"dropout": []}, r"`dropout`=\[\] must be a sequence of one number"),
        ({"dropout": [0.1, 1.0]}, "`dropout`=1.0 must be a finite number >= 0 and < 1"),
        ({"regularizations": [-1.0]}, "`regularization`=-1.0 must be a finite number >= 0"),
        ({"cv": 1000}, "Cannot have number of splits n_splits=1000"),
    ],
)
def test_bad_settings_are_refused(X, settings, message):
    with pytest.raises(ValueError, match=message):
        ShallowAutoEncoderCV(**settings).fit(X)


def test_an_array_without_a_dimension_is_no_number(X):
    with pytest.raises(TypeError, match=r"`dropout`=array\(0.1\) must be a number >= 0"):
        ShallowAutoEncoderCV(dropout=np.array(0.1)).fit(X)


def test_held_out_items_of_other_users_are_refused(X):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ShallowAutoEncoderCV(REGULARIZATIONS).fit(X, X[1:])


@pytest.fixture
def n_cores(request, monkeypatch):
    """Let there be so many cores."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("joblib.effective_n_jobs", lambda _: request.param)
    return request.param


two_cores = pytest.mark.parametrize("n_cores", [2], indirect=True)


@pytest.mark.parametrize(
    "n_cores", [1, 2, 4], indirect=True
)  # one after the other; at once; too few at once
@pytest.mark.parametrize("n_items", [25, 90])
def test_it_is_grid_search_on_any_number_of_threads(monkeypatch, n_cores, n_items):
    at_once = spy_on_threads(monkeypatch)
    rows = interactions(60, n_items)
    ours = ShallowAutoEncoderCV(REGULARIZATIONS, item_exponent=[0.0, 0.1], cv=3).fit(rows)
    assert at_once == ([3, 3, 3] if n_cores == 2 else [])
    grid = {"regularization": REGULARIZATIONS, "item_exponent": [0.0, 0.1]}
    assert_same_search(ours, grid_search(rows, grid, cv=3))


def spy_on_threads(monkeypatch):
    """Return a list that grows by how many inverses are handed to threads at once."""
    at_once = []
    original = gram_folds.map_single_threaded

    def noting(function, tasks, done):
        at_once.append(len(tasks))
        original(function, tasks, done)

    monkeypatch.setattr(gram_folds, "map_single_threaded", noting)
    return at_once


@two_cores
@pytest.mark.usefixtures("n_cores")
@pytest.mark.parametrize("limit", ["memory", "size", "accelerator"])
def test_threads_share_inverses_that_are_large(X, monkeypatch, limit):
    if limit == "memory":
        monkeypatch.setattr(gram_folds, "free_memory", lambda: 1000)
    elif limit == "size":
        monkeypatch.setattr("shallow_ae._linalg.inverse._APART", 25)
    else:
        monkeypatch.setattr("shallow_ae._linalg.inverse.backend", lambda: "gpu")
    at_once = spy_on_threads(monkeypatch)
    ours = ShallowAutoEncoderCV(REGULARIZATIONS, cv=3).fit(X)
    assert_same_search(ours, grid_search(X, {"regularization": REGULARIZATIONS}, cv=3))
    assert at_once == []


@pytest.mark.usefixtures("n_cores")
@pytest.mark.parametrize("n_cores", [1, 2], indirect=True)
def test_a_setting_that_cannot_be_fitted_ends_the_search():
    X = np.ones((60, 9), np.float32)
    with pytest.raises(ValueError, match="`regularization`=1e-12 is too small") as raised:
        ShallowAutoEncoderCV([0.1, 1e-12, 1.0], cv=3).fit(X)
    assert raised.value.__notes__[0].startswith("In split 0 of 3, of 40 users to learn from")


class Tenth(RankingScorer):
    def __call__(self, estimator, X, y=None):
        return 0.1 * super().__call__(estimator, X, y)


def by_regularization(model, X):
    assert threading.current_thread() is threading.main_thread()
    return -model.regularization


def found(y_true, y_rec, *, k):
    assert threading.current_thread() is threading.main_thread()
    return recall_score(y_true, y_rec, k=k)


@two_cores
@pytest.mark.usefixtures("n_cores")
@pytest.mark.parametrize(
    "scoring",
    [by_regularization, make_ranking_scorer(found, k=5), Tenth(k=5)],
    ids=["function", "scorer", "object"],
)
def test_what_others_have_written_is_called_as_ever(X, scoring):
    settings = {"cv": 3, "scoring": scoring}
    ours = ShallowAutoEncoderCV(REGULARIZATIONS, **settings).fit(X)
    assert_same_search(ours, grid_search(X, {"regularization": REGULARIZATIONS}, **settings))


@two_cores
@pytest.mark.usefixtures("n_cores")
@pytest.mark.parametrize(
    ("n_users", "too_little", "enough"),
    [(40, 1.9, 3), (400, 6.9, 8)],  # dual; primal and dual, with Gram matrices and inverses, too
)
def test_dual_solutions_on_threads_may_all_form_their_weights(
    monkeypatch, n_users, too_little, enough
):
    X = sp.random_array((n_users, 200), density=0.05, rng=0, dtype=np.float32, format="csr")
    splits = [(np.arange(n_users - 199), np.arange(n_users - 199, n_users))] * (n_users > 200)
    splits += [(np.arange(min(n_users - 1, 199)), np.arange(min(n_users - 1, 199), n_users))]
    scoring = make_ranking_scorer(k=5)
    need = gram_folds.exact_need(X.shape, X.nnz, 4).bytes
    of_inverse = min(n_users, 200) ** 2 * 4  # is in what an exact fit takes
    at_once = spy_on_threads(monkeypatch)
    for n_matrices, expected in [(too_little, []), (enough, [3] * len(splits))]:
        free = need - of_inverse + n_matrices * 200**2 * 4
        monkeypatch.setattr(gram_folds, "free_memory", lambda free=free: free)
        ShallowAutoEncoderCV(REGULARIZATIONS, cv=splits, scoring=scoring).fit(X)
        assert at_once == expected


def test_what_does_not_fit_in_memory_is_refused(X, set_free_memory):
    set_free_memory(10_000)
    with pytest.raises(MemoryError, match=r"needs .* for 25 items and .* are free"):
        ShallowAutoEncoderCV(REGULARIZATIONS).fit(X)


def test_a_progress_bar_on_request(X, capfd):
    ShallowAutoEncoderCV(REGULARIZATIONS, cv=3).fit(X)
    assert capfd.readouterr().err == ""
    ShallowAutoEncoderCV(REGULARIZATIONS, cv=3, verbose=1).fit(X)
    assert "cross-validation: 100%" in capfd.readouterr().err


@pytest.mark.filterwarnings("ignore:The weights are inexact")
def test_a_user_larger_than_all_others_leaves_no_rounding_errors():
    X = np.random.default_rng(0).poisson(0.3, (200, 30)).astype(np.float32)
    X[3] *= 3000
    settings = {"cv": 5, "scoring": make_ranking_scorer(k=10)}
    ours = ShallowAutoEncoderCV([1, 10, 100], **settings).fit(X)
    theirs = grid_search(X, {"regularization": [1, 10, 100]}, **settings)
    name = "split0_test_score"  # whose test part has that user; seen to be equal
    np.testing.assert_allclose(ours.cv_results_[name], theirs.cv_results_[name], rtol=1e-4)


@two_cores
@pytest.mark.usefixtures("n_cores")
@pytest.mark.parametrize("is_tight", [False, True])
@pytest.mark.slow
def test_memory_is_what_is_documented(monkeypatch, is_tight):
    if is_tight:
        monkeypatch.setattr(gram_folds, "free_memory", lambda: 1000)
    further = 0 if is_tight else 1
    X = sp.random_array((2400, 1200), density=0.02, rng=0, dtype=np.float32, format="csr")
    square = 1200**2 * 4
    ShallowAutoEncoderCV([0.1], cv=2).fit(X)  # compiles
    peaks = []
    for search in (
        ShallowAutoEncoder(solver="exact"),
        ShallowAutoEncoderCV([0.1, 1.0], cv=3),
        ShallowAutoEncoderCV([0.1, 1.0], diagonal_slack=[0.0, 0.3, 0.5], cv=3),
    ):
        tracemalloc.start()
        search.fit(X)
        peaks.append(tracemalloc.get_traced_memory()[1] / square)
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2.2 + further
    assert peaks[2] < peaks[0] + 3.2 + 2 * further


def not_a_number_at_first(model, X, y=None):
    return np.nan if model.regularization == 0.1 else model.similar_items([4], 2)[0, 0]


def test_no_score_is_the_worst_score(X):
    settings = {"cv": 3, "scoring": not_a_number_at_first}
    ours = ShallowAutoEncoderCV(REGULARIZATIONS, **settings).fit(X)
    assert ours.cv_results_["rank_test_score"][0] == 3
    assert ours.best_params_["regularization"] != 0.1


def test_a_scorer_is_handed_what_scikit_learn_hands_it(X):
    def scorer(model, X):  # no y where there is none
        return model.score(X)

    ours = ShallowAutoEncoderCV(REGULARIZATIONS, cv=3, scoring=scorer).fit(X)
    assert_same_search(ours, grid_search(X, {"regularization": REGULARIZATIONS}, cv=3))


def test_a_split_with_nobody_to_judge_by_is_named(X):
    rows = X[np.argsort(-X.count_nonzero(axis=1))]
    rows = sp.csr_array(sp.vstack([rows[:60], rows[-1:], rows[-1:]]))
    with pytest.raises(ValueError, match="Nothing to measure") as raised:
        ShallowAutoEncoderCV(REGULARIZATIONS, cv=31).fit(rows)
    assert "In split 30 of 31" in raised.value.__notes__[0]
    weights = np.repeat([1, 0], [20, 42])
    with pytest.raises(ValueError, match="0 for all users to learn from"):
        ShallowAutoEncoderCV(REGULARIZATIONS, cv=3).fit(rows, sample_weight=weights)


def test_it_scores_by_its_own_scorer(X):
    scorer = make_ranking_scorer("recall", k=3)
    model = ShallowAutoEncoderCV(REGULARIZATIONS, cv=3, scoring=scorer).fit(X)
    assert model.score(X) == scorer(model.best_estimator_, X)
