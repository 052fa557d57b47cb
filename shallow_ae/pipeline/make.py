"""make_recommender: a RecommenderPipeline from a model and optional transformers."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import make_pipeline

from shallow_ae.data.ids import IdMapper
from shallow_ae.data.preprocessing import LogCountTransformer
from shallow_ae.models.sparse import SparseShallowAutoEncoder
from shallow_ae.pipeline.recommender_pipeline import RecommenderPipeline


def make_recommender(
    *steps: Any,
    user: str = "user",
    item: str = "item",
    count: str = "count",
    time: str | None = None,
    half_life: Any = None,
    weight: str | None = None,
    min_users: int = 1,
    keep_interactions: bool = False,
    memory: Any = None,
    verbose: bool = False,
) -> RecommenderPipeline:
    """Build a RecommenderPipeline; steps are named as in scikit-learn's `make_pipeline`.

    Parameters
    ----------
    *steps : estimators
        Transformers that weight interactions, and the model as the last step. If the first step is
        not an :class:`~shallow_ae.IdMapper`, one is added before it. No steps mean
        `LogCountTransformer(), SparseShallowAutoEncoder("auto", dropout=0.4)`: 100 weights or fewer
        for each item, with a regularization computed from the data. This model draws no random
        numbers, so that the same listens give the same recommendations.
    user, item, count : str, default="user", "item", "count"
        Column names for the IdMapper that is added.
    time, weight : str, default=None
        Further column names, as in IdMapper.
    half_life : timedelta, str or float, default=None
        Age at which the count of an interaction is halved, as in IdMapper.
    min_users : int, default=1
        Least number of users that an item needs to be learned and recommended, as in IdMapper.
    keep_interactions : bool, default=False
        As in RecommenderPipeline: keep the interactions for `partial_fit`, `forget` and
        `recommend(users=...)`.
    memory, verbose
        As in scikit-learn's `make_pipeline`.

    Returns
    -------
    recommender : RecommenderPipeline
        The pipeline, not fitted.

    Raises
    ------
    ValueError
        If columns, `half_life` or `min_users` are given here, and the first step is an IdMapper.

    Examples
    --------
    >>> from shallow_ae import make_recommender
    >>> recommender = make_recommender(user="listener", item="song")
    >>> [name for name, _ in recommender.steps]
    ['idmapper', 'logcounttransformer', 'sparseshallowautoencoder']
    """
    chain = steps or (LogCountTransformer(), SparseShallowAutoEncoder("auto", dropout=0.4))
    further = {"time": time, "half_life": half_life, "weight": weight, "min_users": min_users}
    mapper = IdMapper(user, item, count, **further)
    if not isinstance(chain[0], IdMapper):
        chain = (mapper, *chain)
    elif mapper.get_params() != IdMapper().get_params():
        raise ValueError(
            "Give these parameters either here or in the IdMapper that is the first step."
        )
    return RecommenderPipeline(
        make_pipeline(*chain).steps,
        memory=memory,
        verbose=verbose,
        keep_interactions=keep_interactions,
    )
