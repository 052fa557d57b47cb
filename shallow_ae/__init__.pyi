"""The public names, for type checkers."""

from shallow_ae.compilation import warm_up as warm_up
from shallow_ae.data.ids import IdMapper as IdMapper
from shallow_ae.data.preprocessing import LogCountTransformer as LogCountTransformer
from shallow_ae.data.splits import (
    hold_out_after as hold_out_after,
)
from shallow_ae.data.splits import (
    hold_out_items as hold_out_items,
)
from shallow_ae.data.splits import (
    hold_out_users as hold_out_users,
)
from shallow_ae.evaluation import evaluate as evaluate
from shallow_ae.metrics import ndcg_score as ndcg_score
from shallow_ae.model_selection import make_ranking_scorer as make_ranking_scorer
from shallow_ae.model_selection.autoencoder_cv import ShallowAutoEncoderCV as ShallowAutoEncoderCV
from shallow_ae.model_selection.blended_cv import BlendedRecommenderCV as BlendedRecommenderCV
from shallow_ae.model_selection.time_windows import TimeWindowSplit as TimeWindowSplit
from shallow_ae.models.autoencoder import ShallowAutoEncoder as ShallowAutoEncoder
from shallow_ae.models.blended import BlendedRecommender as BlendedRecommender
from shallow_ae.models.low_rank import LowRankAutoEncoder as LowRankAutoEncoder
from shallow_ae.models.popularity import PopularityRecommender as PopularityRecommender
from shallow_ae.models.sparse import SparseShallowAutoEncoder as SparseShallowAutoEncoder
from shallow_ae.persistence import ModelFileError as ModelFileError
from shallow_ae.persistence import load_model as load_model
from shallow_ae.persistence import save_model as save_model
from shallow_ae.pipeline import (
    RecommenderPipeline as RecommenderPipeline,
)
from shallow_ae.pipeline import (
    make_recommender as make_recommender,
)
from shallow_ae.serving import ServingRecommender as ServingRecommender

__version__: str
