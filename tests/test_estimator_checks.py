"""scikit-learn's own checks: every one passes but those listed with a reason, strictly."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from shallow_ae import (
    BlendedRecommender,
    BlendedRecommenderCV,
    IdMapper,
    LogCountTransformer,
    LowRankAutoEncoder,
    PopularityRecommender,
    ShallowAutoEncoder,
    ShallowAutoEncoderCV,
    SparseShallowAutoEncoder,
)
from shallow_ae.models.recommender import RecommenderMixin

SCORES_EVERY_ITEM = "asks for one prediction a row; here it is a score for every item"

OTHER_COLUMNS = "hands over arrays of other than two or three columns"
NO_FEATURES = "asks for features; the columns of a table of interactions are ids and counts"
NOT_A_ROW_A_SAMPLE = "asks for a row of output for each row of input; here it is one for each user"

TABLES_FAIL = {
    "check_n_features_in_after_fitting": NO_FEATURES,
    "check_n_features_in": NO_FEATURES,
    "check_positive_only_tag_during_fit": OTHER_COLUMNS,
    "check_estimators_dtypes": OTHER_COLUMNS,
    "check_complex_data": OTHER_COLUMNS,
    "check_dtype_object": OTHER_COLUMNS,
    "check_estimators_nan_inf": OTHER_COLUMNS,
    "check_array_api_input": OTHER_COLUMNS,
    "check_fit2d_1sample": OTHER_COLUMNS,
    "check_transformer_data_not_an_array": NOT_A_ROW_A_SAMPLE,
    "check_transformer_general": NOT_A_ROW_A_SAMPLE,
    "check_methods_sample_order_invariance": NOT_A_ROW_A_SAMPLE,
    "check_methods_subset_invariance": NOT_A_ROW_A_SAMPLE,
}

RECOMMENDERS_FAIL = {
    "check_estimator_sparse_array": SCORES_EVERY_ITEM,
    "check_estimator_sparse_matrix": SCORES_EVERY_ITEM,
}

PARTS = [("near", SparseShallowAutoEncoder(n_neighbors=2)), ("tastes", LowRankAutoEncoder(2))]


class AsArrays(IdMapper):
    """IdMapper, claiming to take any array, so that scikit-learn tries every check on it."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def expected_failures(estimator):
    if isinstance(estimator, RecommenderMixin):
        return RECOMMENDERS_FAIL
    return TABLES_FAIL if isinstance(estimator, AsArrays) else {}


@parametrize_with_checks(
    [
        ShallowAutoEncoder(),
        ShallowAutoEncoder(solver="exact"),
        ShallowAutoEncoder("auto", solver="auto"),
        ShallowAutoEncoderCV([0.1, 1.0], cv=3),
        SparseShallowAutoEncoder(n_neighbors=2),
        SparseShallowAutoEncoder("auto"),
        LowRankAutoEncoder(2),
        PopularityRecommender(),
        BlendedRecommender(PARTS, weights=[1.0, 0.5]),
        BlendedRecommenderCV(PARTS, cv=3),
        LogCountTransformer(),
        AsArrays(),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_check(estimator, check):
    check(estimator)
