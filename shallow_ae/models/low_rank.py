"""LowRankAutoEncoder: weights between all items through a few hundred components."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any, Self

from numpy.random import RandomState
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from shallow_ae._cluster.low_rank import leading_spectrum_of_partitions
from shallow_ae._cluster.rows import PartitionedRows
from shallow_ae._objective.objective import check_item_exponent
from shallow_ae._objective.training_data import TrainingRows
from shallow_ae._solvers.costs import Cost, check_components_fit, low_rank_cost
from shallow_ae._solvers.low_rank import Spectrum, leading_spectrum, low_rank_weights
from shallow_ae._typing import Array
from shallow_ae._weights.item_weights import ItemWeights
from shallow_ae._weights.low_rank import LowRankWeights
from shallow_ae._weights.ranking import check_rows
from shallow_ae.data.fitting import snapshot, take_over
from shallow_ae.models.fitted import FittedAttribute, FittedState
from shallow_ae.models.kept_rows import KeptRowsMixin, checked_training_rows
from shallow_ae.models.parameters import check_parameters, low_rank_settings_of
from shallow_ae.models.recommender import checked_rows


@dataclass(frozen=True, eq=False, kw_only=True)
class LowRankState(FittedState):
    """The result of a fit by a truncated SVD."""

    singular_values: Array


class LowRankAutoEncoder(
    KeptRowsMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Recommend with weights between all items through a few hundred components.

    The model describes each item by a vector of `n_components` numbers. The weight between two
    items is the product of their vectors. Time and memory grow with the number of items, not with
    the number of pairs of items. The vectors come from a truncated singular value decomposition
    (SVD).

    Let X be the matrix of interactions, with row u multiplied by the square root of the user's
    weight and column i divided by ``(users of i) ** item_normalization``, and let V hold the right
    singular vectors of its `n_components` largest singular values s. The weights are

        P_ij = (users of j / users of i) ** item_exponent * (V f(s) V')_ij,
        f(s) = s^2 / (s^2 + regularization * s_1^2),

    where s_1 is the largest singular value. As in the other models, no item predicts itself:
    P_jj = 0.

    Parameters
    ----------
    n_components : int, default=512
        Number of components. More components reproduce the training data more exactly, including
        items with few users.
    regularization : float, default=0.1
        Strength of the filter f, relative to the largest singular value. At 0, f is 1 for all
        `n_components` components and the other components are left out. A larger value reduces the
        components with small singular values gradually. The same value suits any number of users.
    item_normalization : float, default=0.4
        Exponent of an item's number of users in the division of its column. At 0, the columns are
        not divided, and popular items dominate the components. 0.5 gives each item the same weight.
    user_exponent : float, default=1.0
        The weight of a user is multiplied by ``(number of items) ** -user_exponent``, as in
        ShallowAutoEncoder. 1 gives each user the same weight.
    item_exponent : float, default=0.4
        Multiplies P_ij by ``(users of j / users of i) ** item_exponent``, as in
        ShallowAutoEncoder. A larger value recommends popular items more often.
    random_state : int, RandomState instance or None, default=None
        Determines the start of the randomized SVD. Pass an int for reproducible fits.

    Attributes
    ----------
    item_vectors_ : ndarray of shape (n_items, n_components)
        Vector of each item. The products with the vectors that `transform` returns for users are
        the users' scores, so an index for maximum inner products can search them. For an item that
        the user has seen, the product also includes what the item adds to its own score.
    singular_values_ : ndarray of shape (n_components,)
        Singular values of the scaled matrix relative to the first, s / s_1, in descending order.
    item_weights_ : ndarray of shape (n_items, n_items)
        P: entry (i, j) is the amount that one unit of item i adds to the score of item j. Computed
        each time it is read; the model does not need it.
    item_counts_ : ndarray of shape (n_items,)
        Sum of the sample weights of each item's users in training: their number by default.
    n_samples_seen_ : int
        Number of users in the training data.
    n_features_in_ : int
        Number of items seen in `fit`.
    feature_names_in_ : ndarray of shape (n_items,)
        Item names. Defined only if X has column names that are all strings.

    See Also
    --------
    SparseShallowAutoEncoder : Weights between each item and its nearest items.
    BlendedRecommender : A weighted sum of models.

    Notes
    -----
    The SVD is scikit-learn's :func:`~sklearn.utils.extmath.randomized_svd`. It costs 16
    multiplications for each component and interaction, and about ten for each pair of components
    and each user and item. It is an approximation: components with nearly equal singular values are
    mixed, and a component near the cut may be replaced by one with a slightly smaller singular
    value.

    The model is a linear autoencoder of low rank, and includes published models:

    - PureSVD [1]_ is ``regularization=0, item_normalization=0, user_exponent=0, item_exponent=0``.
      With other values of `item_normalization`, it is EigenRec [2]_.
    - The ideal low-pass filter of GF-CF [3]_ is ``regularization=0, item_normalization=0.5,
      user_exponent=1, item_exponent=0.5``. GF-CF also adds the Gram matrix of the scaled rows. That
      part is not included; a sum with SparseShallowAutoEncoder can take its place.
    - With ``regularization > 0``, ``item_normalization=0`` and ``item_exponent=0``, it is ridge
      regression of each item on all items, itself included, on the leading components.
    - ELSA [4]_ has the same form, products of item vectors without the diagonal, but finds the
      vectors by gradient descent on unit vectors.

    The model keeps its training rows for `partial_fit` and `forget`.

    References
    ----------
    .. [1] P. Cremonesi, Y. Koren and R. Turrin, "Performance of Recommender Algorithms on Top-N
       Recommendation Tasks", RecSys 2010.
    .. [2] A. N. Nikolakopoulos, V. Kalantzis, E. Gallopoulos and J. D. Garofalakis, "EigenRec:
       Generalizing PureSVD for Effective and Efficient Top-N Recommendations", KAIS 2019.
    .. [3] Y. Shen et al., "How Powerful is Graph Convolution for Recommendation?", CIKM 2021.
    .. [4] V. Vančura, R. Alves, P. Kasalický and P. Kordík, "Scalable Linear Shallow Autoencoder
       for Collaborative Filtering", RecSys 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from shallow_ae import LowRankAutoEncoder
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    >>> model = LowRankAutoEncoder(2, random_state=0).fit(X)
    >>> model.recommend([[1, 0, 0, 0]], k=1)
    array([[1]])
    >>> model.item_vectors_.shape, model.transform([[1, 0, 0, 0]]).shape
    ((4, 2), (1, 2))
    """

    _fitted: LowRankState
    singular_values_ = FittedAttribute[Array]()

    def __init__(
        self,
        n_components: int = 512,
        *,
        regularization: float = 0.1,
        item_normalization: float = 0.4,
        user_exponent: float = 1.0,
        item_exponent: float = 0.4,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.regularization = regularization
        self.item_normalization = item_normalization
        self.user_exponent = user_exponent
        self.item_exponent = item_exponent
        self.random_state = random_state

    @property
    def item_weights_(self) -> Array:
        """P, of shape (n_items, n_items), computed on each access and not kept.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import LowRankAutoEncoder
        >>> X = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0]])
        >>> model = LowRankAutoEncoder(n_components=2, random_state=0).fit(X)
        >>> model.item_weights_.shape, model.item_vectors_.shape
        ((4, 4), (4, 2))
        """
        return self._weights.materialized().P

    @property
    def item_vectors_(self) -> Array:
        """Vector of each item, of shape (n_items, n_components)."""
        return self._weights.vectors

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn the item vectors from interactions.

        Parameters
        ----------
        X : array-like, sparse matrix or Dask array of shape (n_users, n_items)
            Interactions, all finite. A nonzero entry means that the user has seen the item; a
            larger entry counts more. `X` is not modified. If it has fewer users or items than
            `n_components`, the model has as many components as the smaller number. A Dask array
            has blocks of rows, csr or ndarray, and the fit runs on its workers.
        y : None
            Ignored; present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_users,), default=None
            Weight of each user, >= 0; None means 1. Only ratios between weights matter.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is out of range or the data are not finite. The estimator is then
            unchanged.
        MemoryError
            If the fit needs more than the free memory. Raised before anything large is allocated.
        """
        return self._fit_rows(X, sample_weight)

    def transform(self, X: Any) -> Array:
        """Return the vector of each user, whose products with `item_vectors_` are the scores.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions of any users. The users need not have been in `fit`.

        Returns
        -------
        user_vectors : ndarray of shape (n_users, n_components)
            One vector for each row of `X`, in the data type of the model.

        Examples
        --------
        >>> import numpy as np
        >>> from shallow_ae import LowRankAutoEncoder
        >>> X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1]])
        >>> model = LowRankAutoEncoder(2, random_state=0).fit(X)
        >>> products = model.transform(X) @ model.item_vectors_.T
        >>> bool(np.allclose(products[X == 0], model.predict(X)[X == 0]))
        True
        """
        at = snapshot(self)
        rows, weights = checked_rows(at, X), at._weights
        check_rows(weights, rows)
        return weights.user_vectors(rows)

    def plan(self, X: Any) -> Cost:
        """Estimate the memory and time of a fit to `X`, without fitting.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_users, n_items)
            Interactions, as for `fit`.

        Returns
        -------
        cost : (form, bytes, kept_bytes, multiplications, seconds)
            `form` is "low-rank". `bytes` is an upper bound of the peak memory beside `X`, and
            `kept_bytes` the part of it that the fitted model keeps. `multiplications` counts
            multiplications of numbers, and `seconds` is a rough estimate. The conversion of a dense
            `X` may need more memory and is not counted.

        Examples
        --------
        >>> import scipy.sparse as sp
        >>> from shallow_ae import LowRankAutoEncoder, ShallowAutoEncoder
        >>> X = sp.random_array((20_000, 20_000), density=0.001, dtype="float32", rng=0)
        >>> everything = ShallowAutoEncoder().plan(X)["exact"]
        >>> LowRankAutoEncoder(64).plan(X).bytes < everything.bytes / 5
        True
        """
        check_parameters(self)
        trial = copy(self)
        rows = checked_training_rows(trial, X, None, is_kept=False)
        return low_rank_cost(rows.X, self.n_components)

    @property
    def _weights(self) -> LowRankWeights:
        form = self._fitted.weights.form
        assert isinstance(form, LowRankWeights)  # true because `item_weights_` is not kept
        return form

    @property
    def _n_features_out(self) -> int:
        return int(self.item_vectors_.shape[1])

    def _learn(self, trial: Self, data: TrainingRows, free: int) -> Self:
        """Fit to the given rows only, or raise a MemoryError if `free` bytes are too few."""
        check_components_fit(data.X, self.n_components, free)
        settings, counts = low_rank_settings_of(self), data.item_counts
        check_item_exponent(counts, settings.item_exponent, data.dtype)
        spectrum = leading_spectrum(data, counts, settings, self.n_components, self.random_state)
        return self._take(trial, data, counts, spectrum)

    def _learn_partitions(self, trial: Self, data: PartitionedRows) -> Self:
        """Fit to the given rows on Dask's workers."""
        settings, counts = low_rank_settings_of(self), data.item_counts
        check_item_exponent(counts, settings.item_exponent, data.dtype)
        size = (self.n_components, self.random_state)
        spectrum = leading_spectrum_of_partitions(data, counts, settings, *size)
        return self._take(trial, data, counts, spectrum)

    def _take(
        self,
        trial: Self,
        data: TrainingRows | PartitionedRows,
        counts: Array,
        spectrum: Spectrum,
    ) -> Self:
        settings = low_rank_settings_of(self)
        trial._fitted = LowRankState(
            weights=ItemWeights(low_rank_weights(spectrum, counts, settings)),
            item_counts=counts,
            n_samples_seen=data.n_rows,
            training_data=data,
            singular_values=spectrum.singular_values,
        )
        return take_over(self, trial)
