"""
Choosing the regularization
===========================

A search by cross-validation scores many values of ``regularization`` and ``dropout``. The plot
shows that dropout also regularizes.
"""

import numpy as np
from matplotlib import pyplot as plt

from shallow_ae import IdMapper, LogCountTransformer, ShallowAutoEncoderCV, make_ranking_scorer
from shallow_ae.datasets import make_listens
from shallow_ae.display import RegularizationPathDisplay

listens, _ = make_listens(n_items=500, random_state=0)
X = LogCountTransformer().fit_transform(IdMapper().fit_transform(listens))

# %%
# Thirty settings, four folds
# ---------------------------
#
# ``ShallowAutoEncoderCV`` computes the Gram matrix of all listeners once. The Gram matrix of a
# training part is this matrix minus the Gram matrix of the test part, which makes the 120 exact
# fits fast.

search = ShallowAutoEncoderCV(
    np.geomspace(0.01, 10, 10),
    dropout=[0.0, 0.5, 0.8],
    scoring=make_ranking_scorer("ndcg", k=20),
    cv=4,
).fit(X)
best = search.best_params_
print(f"Best: regularization={best['regularization']:g}, dropout={best['dropout']:g}")

# %%
# The path
# --------
#
# Without dropout, a small regularization lowers the score by more than a quarter. With
# ``dropout=0.8``, all values of ``regularization`` up to 1 are about equally good. Too large a
# value lowers the scores of all models in the same way. A band is one standard deviation over the
# folds.

display = RegularizationPathDisplay.from_estimator(search)
display.ax_.set_title("With dropout, less regularization is enough")
display.ax_.set_ylabel("NDCG@20, mean over folds")
plt.show()
