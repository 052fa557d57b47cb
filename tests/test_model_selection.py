"""Scorers in scikit-learn's searches: what is hidden, from whom, and what is found.

Scores are means over users of the same lists, which float64 rounds in the last digit: pytest's 1e-6
is far from that, and far from what one item in another place changes.
"""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Binarizer

from shallow_ae import (
    IdMapper,
    LogCountTransformer,
    ShallowAutoEncoder,
    hold_out_items,
    make_ranking_scorer,
    make_recommender,
    ndcg_score,
)
from shallow_ae.datasets import make_listens
from shallow_ae.evaluation import item_lists
from shallow_ae.metrics import recall_score


@pytest.fixture(scope="module")
def listens():
    return make_listens(80, 40, items_per_user=8, random_state=0)[0]


@pytest.fixture(scope="module")
def X(listens):
    return IdMapper().fit_transform(listens)


class Remembers(TransformerMixin, BaseEstimator):
    """Passes rows on and keeps those that it saw last."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        self.seen_ = X
        return X


def exact():
    return ShallowAutoEncoder(0.3, solver="exact")


def test_score_is_the_scorer_with_default_settings(X, listens):
    model = exact().fit(X)
    assert model.score(X) == make_ranking_scorer()(model, X)
    recommender = make_recommender(exact()).fit(listens)
    assert recommender.score(listens) == make_ranking_scorer()(recommender, listens)


def test_it_is_the_metric_of_what_was_hidden(X):
    model = exact().fit(X)
    visible, hidden = hold_out_items(X, 3, random_state=7)
    expected = recall_score(hidden, model.recommend(visible, 5), k=5)
    scorer = make_ranking_scorer("recall", k=5, holdout=3, random_state=7)
    assert scorer(model, X) == pytest.approx(expected)
    own = make_ranking_scorer(recall_score, k=5, holdout=3, random_state=7)
    assert own(model, X) == pytest.approx(expected)


def test_items_are_hidden_before_the_steps_see_them(X, listens):
    visible, hidden = hold_out_items(X, random_state=0)
    pipeline = make_pipeline(Remembers(), LogCountTransformer(), exact()).fit(X)
    score = make_ranking_scorer(k=10)(pipeline, X)
    assert (pipeline[0].seen_ != visible).nnz == 0
    items = pipeline[-1].recommend(LogCountTransformer().fit_transform(visible), 10)
    assert score == pytest.approx(ndcg_score(hidden, items, k=10))

    recommender = make_recommender(Remembers(), exact()).fit(listens)
    make_ranking_scorer()(recommender, listens)
    assert recommender[1].seen_.nnz < X.nnz


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, "tuples", "array"])
def test_a_pipeline_is_scored_as_by_raw_ids(listens, kind):
    if kind == "array":
        given = listens.to_numpy(dtype=object)
    elif kind == "tuples":
        given = list(listens.itertuples(index=False, name=None))
    else:
        given = kind(listens.to_dict("list"))
    known = listens[listens["item"] != listens["item"][0]]
    recommender = make_recommender(LogCountTransformer(), exact()).fit(known)
    visible, hidden = hold_out_items(listens, random_state=0)
    with pytest.warns(UserWarning, match="not seen in fit"):
        answer = recommender.recommend(visible, 20)
    expected = ndcg_score(item_lists(hidden), item_lists(answer), k=20)
    assert make_ranking_scorer(k=20)(recommender, given) == pytest.approx(expected)
    steps = Pipeline(recommender.steps)  # of scikit-learn
    assert make_ranking_scorer(k=20)(steps, given) == pytest.approx(expected)


def test_what_a_step_drops_is_seen_all_the_same(X):
    often = Binarizer(threshold=1)
    pipeline = make_pipeline(often, exact()).fit(X)
    visible, hidden = hold_out_items(X, random_state=0)
    items = pipeline[-1].recommend(often.fit_transform(visible), 10, exclude=visible)
    expected = ndcg_score(hidden, items, k=10)
    assert make_ranking_scorer(k=10)(pipeline, X) == pytest.approx(expected)


def test_held_out_items_may_be_given(X, listens):
    visible, hidden = hold_out_items(X, random_state=3)
    model, scorer = exact().fit(X), make_ranking_scorer()
    expected = make_ranking_scorer(random_state=3)(model, X)
    assert scorer(model, visible, hidden) == pytest.approx(expected)
    assert scorer(model, visible, hidden.toarray()) == pytest.approx(expected)
    assert scorer(model, X, np.arange(X.shape[0])) == scorer(model, X)  # no held-out items

    recommender = make_recommender(exact()).fit(listens)
    visible, hidden = hold_out_items(listens, random_state=3)
    expected = make_ranking_scorer(random_state=3)(recommender, listens)
    is_hidden = listens.index.isin(hidden.index)
    for given, held_out in (
        (visible, hidden),
        (visible, item_lists(hidden)),
        (listens, is_hidden),
    ):
        assert scorer(recommender, given, held_out) == pytest.approx(expected)


def test_who_is_only_in_the_truth_has_found_nothing(listens):
    recommender = make_recommender(exact()).fit(listens)
    visible, hidden = hold_out_items(listens, random_state=0)
    truth = item_lists(hidden)
    n, score = len(truth), recommender.score(visible, truth)
    truth["a stranger"] = [listens["item"][0]]
    assert recommender.score(visible, truth) == pytest.approx(score * n / (n + 1))


def test_a_search_on_frames_keeps_users_together(listens):
    grid = {
        "shallowautoencoder__regularization": [0.1, 1.0],
        "logcounttransformer": [LogCountTransformer(), "passthrough"],
    }
    search = GridSearchCV(
        make_recommender(LogCountTransformer(), exact()),
        grid,
        scoring=make_ranking_scorer(k=10),
        cv=GroupKFold(3),
    ).fit(listens, groups=listens["user"])
    by_hand = []
    for train, test in GroupKFold(3).split(listens, groups=listens["user"]):
        visible, hidden = hold_out_items(listens.iloc[test], random_state=0)
        recommender = make_recommender(LogCountTransformer(), exact())
        recommender.set_params(**search.best_params_).fit(listens.iloc[train])
        answer = recommender.recommend(visible, 10)
        by_hand.append(ndcg_score(item_lists(hidden), item_lists(answer), k=10))
    assert search.best_score_ == pytest.approx(np.mean(by_hand))
    assert len(search.cv_results_["params"]) == 4


@pytest.mark.slow
def test_a_search_runs_in_processes(X):
    search = GridSearchCV(
        make_pipeline(LogCountTransformer(), exact()),
        {"shallowautoencoder__regularization": [0.1, 1.0]},
        scoring=make_ranking_scorer("map", k=10),
        cv=2,
        n_jobs=2,
    )
    parallel = search.fit(X).cv_results_["mean_test_score"]
    alone = search.set_params(n_jobs=1).fit(X).cv_results_["mean_test_score"]
    np.testing.assert_allclose(alone, parallel)


def test_several_scorers_and_halving(X):
    scoring = {"ndcg": make_ranking_scorer(), "recall": make_ranking_scorer("recall", k=5)}
    results = cross_validate(exact(), X, scoring=scoring, cv=3)
    expected = cross_val_score(exact(), X, scoring=scoring["recall"], cv=3)
    np.testing.assert_array_equal(results["test_recall"], expected)
    assert (results["test_ndcg"] > 0).all()
    halving = HalvingGridSearchCV(
        exact(), {"regularization": [0.3, 1.0, 10.0]}, scoring=scoring["ndcg"], cv=2, random_state=0
    ).fit(LogCountTransformer().fit_transform(X))
    assert halving.best_params_["regularization"] in (0.3, 1.0, 10.0)


def test_frames_of_users_x_items_keep_their_names(X):
    frame = pd.DataFrame(X.toarray(), columns=[f"i{j}" for j in range(X.shape[1])])
    pipeline = make_pipeline(LogCountTransformer(), exact())
    folds = KFold(3)
    of_frame = cross_val_score(pipeline, frame, scoring=make_ranking_scorer(), cv=folds)
    of_matrix = cross_val_score(pipeline, X, scoring=make_ranking_scorer(), cv=folds)
    np.testing.assert_allclose(of_frame, of_matrix)


def test_a_scorer_is_a_value():
    scorer = make_ranking_scorer("recall", k=5)
    assert pickle.loads(pickle.dumps(scorer)) == scorer
    assert repr(scorer) == "RankingScorer(metric='recall', k=5, holdout=0.2, random_state=0)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "auc"}, "`metric`='auc' must be one of 'ndcg'"),
        ({"k": 0}, "`k`=0 must be an integer >= 1"),
        ({"holdout": 1.5}, "`holdout`=1.5 must be a finite number > 0 and <= 1"),
        ({"holdout": 0}, "`holdout`=0 must be an integer >= 1"),
        ({"random_state": "a"}, "'a' cannot be used to seed"),
    ],
)
def test_bad_settings_are_refused_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_ranking_scorer(**arguments)


def test_a_truth_of_another_shape_is_refused(X):
    with pytest.raises(ValueError, match="`y` has shape"):
        make_ranking_scorer()(exact().fit(X), X, sp.csr_array((3, X.shape[1])))


def test_nobody_to_judge_by_is_an_error(listens):
    recommender = make_recommender(exact()).fit(listens)
    with pytest.raises(ValueError, match="Nothing to measure"):
        recommender.score(listens.drop_duplicates("user"))


def test_columns_are_found_by_name_or_refused(X):
    names = [f"i{j}" for j in range(X.shape[1])]
    frame = pd.DataFrame(X.toarray(), columns=names)
    visible, hidden = (
        pd.DataFrame(part.toarray(), columns=names) for part in hold_out_items(X, random_state=0)
    )
    scorer, model = make_ranking_scorer(k=10), exact().fit(frame)
    expected = scorer(model, visible, hidden)
    assert expected == pytest.approx(scorer(model, frame))
    assert scorer(model, visible[names[::-1]], hidden) == pytest.approx(expected)
    assert scorer(model, visible, hidden[names[::-1]]) == pytest.approx(expected)
    assert model.score(visible, hidden[names[::-1]]) == pytest.approx(model.score(visible, hidden))
    piped = make_pipeline(LogCountTransformer(), exact()).fit(frame)
    assert scorer(piped, visible[names[::-1]], hidden) == pytest.approx(
        scorer(piped, visible, hidden)
    )
    mixed = frame.astype({"i0": bool}) if frame["i0"].max() <= 1 else frame.astype(object)
    assert np.isfinite(scorer(exact().fit(mixed), mixed))


def test_searches_and_pipelines_in_others_are_judged_by_what_they_hold(X, listens):
    scorer = make_ranking_scorer(k=10)
    grid = {"regularization": [3.0, 10.0]}
    search = GridSearchCV(exact(), grid, scoring=scorer, cv=2).fit(X)
    assert scorer(search, X) == scorer(search.best_estimator_, X)
    assert np.isfinite(cross_val_score(search, X, scoring=scorer, cv=2)).all()
    nested = make_pipeline(make_pipeline(LogCountTransformer()), exact()).fit(X)
    flat = make_pipeline(LogCountTransformer(), exact()).fit(X)
    assert scorer(nested, X) == scorer(flat, X)
    of_ids = Pipeline([("ids", IdMapper()), ("rest", flat)]).fit(listens)
    recommender = make_recommender(LogCountTransformer(), exact()).fit(listens)
    assert scorer(of_ids, listens) == scorer(recommender, listens)
    with pytest.raises(TypeError, match="ends in one, got LogCount"):
        scorer(LogCountTransformer().fit(X), X)


def test_what_is_no_held_out_interaction_is_refused(listens):
    recommender = make_recommender(exact()).fit(listens)
    visible, hidden = hold_out_items(listens, random_state=3)
    expected = recommender.score(visible, hidden)
    tuples = list(hidden.itertuples(index=False, name=None))
    assert recommender.score(visible, tuples) == pytest.approx(expected)
    assert recommender.score(visible, hidden.to_numpy()) == pytest.approx(expected)
    is_hidden = listens.index.isin(hidden.index)
    with pytest.raises(ValueError, match=r"`y` is an array of int64 of shape \(574,\)"):
        recommender.score(listens, is_hidden.astype(int))
    with pytest.raises(ValueError, match="an array of bool of shape"):
        recommender.score(listens, is_hidden[:-1])
    with pytest.raises(TypeError, match="found a single string"):
        recommender.score(visible, {"user_01": "song_02"})


def test_a_listen_of_no_times_is_none(listens):
    recommender = make_recommender(exact()).fit(listens)
    nothing = listens.assign(item=listens["item"][::-1].to_numpy(), count=0)
    both = pd.concat([listens, nothing]).drop_duplicates(["user", "item"])
    assert len(both) > len(listens)
    assert recommender.score(both) == pytest.approx(recommender.score(listens))
