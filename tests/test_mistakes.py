"""Common mistakes: the message names what was found and what to do, or the call works."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline

import shallow_ae
from shallow_ae import (
    IdMapper,
    LogCountTransformer,
    LowRankAutoEncoder,
    PopularityRecommender,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    SparseShallowAutoEncoder,
    make_recommender,
)

LISTENS = pd.DataFrame(
    [
        ("ann", "Hey Jude", 3),
        ("ann", "Kashmir", 1),
        ("bob", "Kashmir", 5),
        ("bob", "Hey Jude", 2),
        ("bob", "Clocks", 1),
        ("cleo", "Clocks", 2),
    ],
    columns=["user", "item", "count"],
)
NUMBERED = pd.DataFrame({"user": [1, 1, 2, 2, 2, 3], "item": [7, 8, 8, 7, 9, 9], "count": 1})
ESTIMATORS = [
    ShallowAutoEncoder(),
    ShallowAutoEncoder(solver="exact"),
    SparseShallowAutoEncoder(),
    LowRankAutoEncoder(2),
    PopularityRecommender(),
    ShallowAutoEncoderCV([1.0], cv=2),
    LogCountTransformer(),
]
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)


@each_estimator
def test_pivoted_frame_with_missing_values(estimator):
    pivoted = LISTENS.pivot(index="user", columns="item", values="count")
    with pytest.raises(ValueError, match=r"NaN.*row 0, column 0 \('Clocks'\).*`X\.fillna\(0\)`"):
        estimator.fit(pivoted)


def test_array_and_sparse_matrix_with_missing_values():
    for X in (np.array([[1, np.nan], [1, 1]]), sp.csr_array([[1, np.nan], [1, 1]])):
        for estimator in (ShallowAutoEncoder(), LogCountTransformer()):
            with pytest.raises(ValueError, match=r"NaN.*row 0, column 1.*numpy\.nan_to_num\("):
                estimator.fit(X)
    with pytest.raises(ValueError, match=r"Input X contains infinity"):
        ShallowAutoEncoder().fit([[1.0, np.inf]])


@each_estimator
@pytest.mark.parametrize(
    "interactions",
    [LISTENS, NUMBERED, NUMBERED.rename(columns={"user": "UserId", "item": "song_id"})],
    ids=["text ids", "numeric ids", "other names"],
)
@pytest.mark.parametrize("library", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
def test_interactions_passed_to_an_estimator(estimator, interactions, library):
    with pytest.raises(ValueError, match=r"interactions.*`make_recommender\(.*`IdMapper"):
        estimator.fit(library(interactions))


def test_tuples_passed_to_an_estimator():
    with pytest.raises(ValueError, match=r"'ann'.*interactions.*`make_recommender\("):
        ShallowAutoEncoder().fit(list(LISTENS.itertuples(index=False, name=None)))


def test_user_column_that_is_not_the_index_of_a_matrix():
    pivoted = LISTENS.pivot_table(index="user", columns="item", values="count", fill_value=0)
    with pytest.raises(ValueError, match=r"column 'user' holds text.*`X\.set_index\('user'\)`"):
        ShallowAutoEncoder().fit(pivoted.reset_index())
    numbered = pivoted.set_axis([1, 2, 3]).rename_axis("user_id").reset_index()
    with pytest.warns(UserWarning, match=r"'user_id'.*taken as an item.*`X\.set_index\('user_id'"):
        ShallowAutoEncoder().fit(numbered)


def unconverged():
    return ShallowAutoEncoder(max_iter=2, tol=1e-9, random_state=0)


def test_warnings_point_to_the_callers_line_through_pipelines_and_searches():
    X = np.random.default_rng(0).poisson(0.5, (12, 8))
    for warn in (
        lambda: make_recommender(unconverged()).fit(LISTENS),
        lambda: make_pipeline(LogCountTransformer(), unconverged()).fit(X),
        lambda: GridSearchCV(unconverged(), {"batch_size": [6]}, cv=2).fit(X),
        lambda: cross_validate(unconverged(), X, cv=2),
    ):
        with pytest.warns(ConvergenceWarning) as caught:
            warn()
        line = warn.__code__.co_firstlineno
        assert {(one.filename, one.lineno) for one in caught} == {(__file__, line)}


@pytest.mark.parametrize("file", ["<stdin>", f"{Path(shallow_ae.__file__).parent}_trial/ask.py"])
def test_warnings_point_to_a_prompt_and_to_a_folder_named_like_the_package(file):
    names = {"__name__": "__main__", "mapper": IdMapper().fit(LISTENS)}
    with pytest.warns(UserWarning, match="not seen in fit") as caught:
        exec(compile("\nmapper.transform([('ann', '?')])", file, "exec"), names)
    assert (caught[0].filename, caught[0].lineno) == (file, 2)
