"""The pipeline that most people want, from as few words as it takes."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import make_pipeline

from shallow_ae.data.ids import IdMapper
from shallow_ae.data.preprocessing import LogCountTransformer
from shallow_ae.models.autoencoder import ShallowAutoEncoder
from shallow_ae.pipeline import RecommenderPipeline


def make_recommender(
    *steps: Any,
    user: str = "user",
    item: str = "item",
    count: str = "count",
    memory: Any = None,
    verbose: bool = False,
) -> RecommenderPipeline:
    """Build a pipeline that recommends, its steps named as by scikit-learn's `make_pipeline`.

    Parameters
    ----------
    *steps : estimators
        What weights interactions, and last the model. None given means
        `LogCountTransformer(), ShallowAutoEncoder()`. An :class:`~shallow_ae.IdMapper` is put in
        front if the first step is none.
    user, item, count : str, default="user", "item", "count"
        Names of columns, for that IdMapper.
    memory, verbose
        As in scikit-learn's `make_pipeline`.

    Returns
    -------
    recommender : RecommenderPipeline

    Examples
    --------
    >>> from shallow_ae import LogCountTransformer, ShallowAutoEncoder, make_recommender
    >>> recommender = make_recommender(user="listener", item="song")
    >>> [name for name, _ in recommender.steps]
    ['idmapper', 'logcounttransformer', 'shallowautoencoder']
    """
    chain = steps or (LogCountTransformer(), ShallowAutoEncoder())
    mapper = IdMapper(user=user, item=item, count=count)
    if not isinstance(chain[0], IdMapper):
        chain = (mapper, *chain)
    elif repr(mapper) != repr(IdMapper()):
        raise ValueError("Name the columns either here or in the IdMapper that is the first step.")
    return RecommenderPipeline(make_pipeline(*chain).steps, memory=memory, verbose=verbose)
