"""Search the parameters of a whole pipeline by scikit-learn's `GridSearchCV` and a ranking scorer.

Compares learning rates, regularizations, and fits with and without weighted counts, on three folds
of listeners. A fifth of the artists of each test listener is hidden before the first step:

    python examples/tuning.py                    # made-up listens
    python examples/tuning.py --lastfm FOLDER    # HetRec 2011 Last.fm

`--by-hand` repeats the search in a loop without scikit-learn's search, and compares the results.
"""

from __future__ import annotations

import argparse
from statistics import fmean

import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, ParameterGrid

from shallow_ae import (
    LogCountTransformer,
    ShallowAutoEncoder,
    hold_out_items,
    make_ranking_scorer,
    make_recommender,
    ndcg_score,
)
from shallow_ae.datasets import fetch_lastfm, make_listens
from shallow_ae.evaluation import item_lists

LISTENERS = 3  # at least, of an artist to be learned
GRID = [
    {
        "shallowautoencoder__learning_rate": [0.001, 0.003, 0.006],
        "shallowautoencoder__regularization": [0.02, 0.2, 1.0],
    },
    {
        "logcounttransformer": ["passthrough"],  # counts as they come: no rate above fits them
        "shallowautoencoder__learning_rate": ["auto"],
        "shallowautoencoder__regularization": [0.02],
    },
]
FOLDS = GroupKFold(3)


def main(argv: list[str] | None = None) -> GridSearchCV:
    """Print what each setting has come to, and return the search."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lastfm", metavar="FOLDER", help="folder of the HetRec 2011 files")
    parser.add_argument("--by-hand", action="store_true", help="compare with a loop")
    args = parser.parse_args(argv)
    listens = read(args.lastfm)
    print(
        f"{len(listens):,} counts of {listens['user'].nunique():,} listeners and "
        f"{listens['item'].nunique():,} artists\n"
    )
    recommender = make_recommender(
        LogCountTransformer(), ShallowAutoEncoder(max_iter=50, random_state=0)
    )
    search = GridSearchCV(recommender, GRID, scoring=make_ranking_scorer(), cv=FOLDS, n_jobs=2)
    search.fit(listens, groups=listens["user"])
    print(table(search).to_string(index=False))
    print(f"\nChosen: {named(search.best_params_)}")
    if args.by_hand:
        scores = by_hand(recommender, listens)
        apart = max(map(abs, search.cv_results_["mean_test_score"] - scores))
        chosen = list(ParameterGrid(GRID))[scores.index(max(scores))]
        print(f"By hand: {named(chosen)}, no score further apart than {apart:.0e}")
    return search


def read(lastfm: str | None) -> pd.DataFrame:
    """Return a frame of user, item and count, without artists whom hardly anybody hears."""
    listens = make_listens(random_state=0)[0] if lastfm is None else fetch_lastfm(lastfm).listens
    listeners = listens.groupby("item")["user"].transform("size")
    return listens[listeners >= LISTENERS]


def by_hand(recommender, listens: pd.DataFrame) -> list[float]:
    """Return the mean score of each setting, by a loop over settings and folds."""
    means = []
    for setting in ParameterGrid(GRID):
        scores = []
        for train, test in FOLDS.split(listens, groups=listens["user"]):
            model = clone(recommender).set_params(**setting).fit(listens.iloc[train])
            visible, hidden = hold_out_items(listens.iloc[test], 0.2, random_state=0)
            known = visible[visible["item"].isin(model[0].items_)]
            answer = model.recommend(known, k=100)
            scores.append(ndcg_score(item_lists(hidden), item_lists(answer), k=100))
        means.append(fmean(scores))
    return means


def table(search: GridSearchCV) -> pd.DataFrame:
    """Return the settings compared and their scores, the best first."""
    results = search.cv_results_
    rows = [{"logcounttransformer": "on", **named(params)} for params in results["params"]]
    frame = pd.DataFrame(rows).replace("passthrough", "off")
    frame["NDCG@100"] = results["mean_test_score"].round(4)
    frame["std"] = results["std_test_score"].round(4)
    return frame.iloc[results["rank_test_score"].argsort(kind="stable")]


def named(params: dict) -> dict:
    """Return parameters without the names of their steps."""
    return {name.split("__")[-1]: value for name, value in params.items()}


if __name__ == "__main__":
    main()
