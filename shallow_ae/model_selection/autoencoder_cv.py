"""ShallowAutoEncoderCV: the exact solution, its parameters chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from typing import Any, Self

from sklearn.base import BaseEstimator

from shallow_ae.data.fitting import copy_names, take_over
from shallow_ae.model_selection.gram_folds import (
    cross_validate,
    fit_on_all_rows,
)
from shallow_ae.model_selection.search import (
    SelectedModelMixin,
    checked_data,
    select,
    splits_of,
)
from shallow_ae.models.autoencoder import ShallowAutoEncoder
from shallow_ae.models.parameters import check_parameters

_VARIANTS = ("dropout", "diagonal_slack", "user_exponent", "item_exponent")


class ShallowAutoEncoderCV(SelectedModelMixin, BaseEstimator):
    """A :class:`~shallow_ae.ShallowAutoEncoder` that chooses its parameters by cross-validation.

    The search fits the exact solution for each split and all combinations of the listed parameter
    values. It then fits the combination with the best mean score to all rows. The result equals the
    result of :class:`~sklearn.model_selection.GridSearchCV`, but computations that several fits
    share are done once, as in :class:`~sklearn.linear_model.RidgeCV`: the Gram matrix of all rows
    is computed once, the Gram matrix of a training part is a difference, and settings that differ
    only in `diagonal_slack` and `item_exponent` share an inverse.

    Parameters
    ----------
    regularizations : sequence of float, default=(0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
        Candidate values of `regularization`, with the scale of ShallowAutoEncoder (per user).
    dropout, diagonal_slack, user_exponent, item_exponent : float or sequence of float, default=0.0
        As in ShallowAutoEncoder. A sequence lists candidate values.
    cv : int, splitter or iterable of (train, test), default=5
        How to split the users. An int is a number of consecutive folds (`KFold`). For splitters
        that need groups, pass their splits: `GroupKFold(5).split(X, groups=groups)`.
    scoring : str, callable or None, default=None
        A scikit-learn scorer, preferably made by :func:`~shallow_ae.make_ranking_scorer`. It
        receives rows as a csr_array. None means NDCG@100 with a fifth of each user's items held
        out.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    best_params_ : dict
        The selected values of `regularization` and of the other listed parameters.
    best_score_ : float
        Mean score of `best_params_` over the splits.
    best_index_ : int
        Index of `best_params_` in `cv_results_`.
    best_estimator_ : ShallowAutoEncoder
        Model with `best_params_`, fitted to all rows. Its `partial_fit` and `forget` change it.
    cv_results_ : dict of ndarray
        Scores, ranks and times of all settings, with the keys and the order of GridSearchCV.
    n_splits_ : int
        Number of splits.
    item_weights_, item_counts_, n_samples_seen_
        The attributes of `best_estimator_`.
    n_features_in_ : int
        Number of items seen in `fit`.
    feature_names_in_ : ndarray of shape (n_items,)
        Item names. Defined only if X has column names that are all strings.

    See Also
    --------
    ShallowAutoEncoder : The model whose parameters are chosen.
    make_ranking_scorer : A scorer with another metric, cutoff or hold-out fraction.

    Notes
    -----
    The search computes one inverse for each split and each combination of `regularization`,
    `dropout` and `user_exponent`. Each thread computes an inverse of its own if the inverses have
    fewer than 8,192 rows, if there are at least as many inverses as threads, and if the scorer
    comes from `make_ranking_scorer` with a metric given by name. Otherwise all threads work on one
    inverse at a time. Scores equal the scores of `GridSearchCV` up to rounding. Rounding differs
    between one and several threads, so a `regularization` near the limit of the data type may be
    refused by one of the two searches only.

    The search needs the memory of an exact fit plus two items x items matrices, or three if several
    values of `diagonal_slack` or `item_exponent` are listed. Each further thread needs one or two
    more such matrices; if these do not fit, all threads work on one inverse at a time. If a
    training part has fewer users than items, each setting needs an inverse of its own, of users x
    users.

    Examples
    --------
    >>> import numpy as np
    >>> from shallow_ae import ShallowAutoEncoderCV
    >>> X = np.random.default_rng(0).poisson(0.4, (80, 15))
    >>> model = ShallowAutoEncoderCV([0.1, 1.0, 10.0], dropout=[0.0, 0.5]).fit(X)
    >>> sorted(model.best_params_), len(model.cv_results_["params"])
    (['dropout', 'regularization'], 6)
    >>> model.recommend(X, k=5).shape
    (80, 5)
    """

    best_estimator_: ShallowAutoEncoder

    def __init__(
        self,
        regularizations: Any = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
        *,
        dropout: Any = 0.0,
        diagonal_slack: Any = 0.0,
        user_exponent: Any = 0.0,
        item_exponent: Any = 0.0,
        cv: Any = 5,
        scoring: str | Callable[..., float] | None = None,
        verbose: int = 0,
    ) -> None:
        self.regularizations = regularizations
        self.dropout = dropout
        self.diagonal_slack = diagonal_slack
        self.user_exponent = user_exponent
        self.item_exponent = item_exponent
        self.cv = cv
        self.scoring = scoring
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Choose the parameters and learn the item weights from all rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions, all finite. A nonzero entry means that the user has seen the item; a
            larger entry counts more. `X` is not modified.
        y : sparse matrix or ndarray of shape (n_users, n_items), default=None
            Held-out items of the same users, against which the scorer compares the
            recommendations. If None, the scorer holds out items of `X`.
            The windows of a :class:`~shallow_ae.TimeWindowSplit`, which a pipeline passes on, are
            ignored: they are for the scorer of the pipeline.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user in the fits, >= 0. Scores weight all users equally.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If ShallowAutoEncoder's exact fit raises it for any setting, or if no user in a test
            part has two items. A note on the error names the split. The estimator is then
            unchanged.
        MemoryError
            If the search needs more than the free memory. Raised before anything is allocated.
        """
        # Imported here because the import takes a fifth of a second and only a search needs it.
        from sklearn.model_selection import ParameterGrid

        listed = self._listed()
        candidates = list(ParameterGrid(listed))
        models = [self._model(candidate) for candidate in candidates]
        trial = copy(self)
        data = checked_data(trial, X, y, sample_weight)
        splits = splits_of(self.cv, data)
        for model in models:
            copy_names(trial, model)
        outcome, gram = cross_validate(models, data, splits, self._scoring(), verbose=self.verbose)
        select(trial, candidates, outcome)
        trial.best_estimator_ = chosen = models[trial.best_index_]
        chosen._fitted = fit_on_all_rows(chosen, data, gram, X, sample_weight)
        return take_over(self, trial)

    def _listed(self) -> dict[str, list[Any]]:
        """Return the candidate values of each listed parameter of ShallowAutoEncoder."""
        listed = {name: getattr(self, name) for name in _VARIANTS}
        listed = {name: values for name, values in listed.items() if _are_several(values)}
        listed["regularization"] = self.regularizations
        for name, values in listed.items():
            is_sequence = _are_several(values) and not isinstance(values, str)
            listed[name] = list(values) if is_sequence else []
            if not listed[name]:
                own = "regularizations" if name == "regularization" else name
                raise ValueError(f"`{own}`={values!r} must be a sequence of one number or more.")
        return listed

    def _model(self, candidate: dict[str, Any]) -> ShallowAutoEncoder:
        fixed = {name: getattr(self, name) for name in _VARIANTS if name not in candidate}
        model = ShallowAutoEncoder(solver="exact", **fixed, **candidate)
        check_parameters(model)
        return model


def _are_several(values: Any) -> bool:
    return isinstance(values, Iterable) and getattr(values, "shape", None) != ()
