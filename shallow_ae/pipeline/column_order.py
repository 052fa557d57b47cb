"""The order of columns: a check that no step moves counts to other items."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from shallow_ae.data.arguments import plain
from shallow_ae.data.preprocessing import LogCountTransformer
from shallow_ae.serving.servable import transformed


def check_column_order(steps: list[Any]) -> None:
    """Raise a ValueError if fitted transformers give an item's counts to another item.

    `steps` are an IdMapper, the transformers and a model. The transformers get one row for each
    binary digit of the items' numbers. A step may set counts to 0. A step with more nonzero entries
    in its output than in its input does not weight interactions, and is not checked.
    """
    mapper, *between, model = steps
    is_checked = any(type(step) is not LogCountTransformer for step in between)
    if not is_checked or not hasattr(mapper, "users_"):  # a Dask DataFrame keeps no users
        return
    n_items = len(mapper.items_)
    digits = np.arange(n_items) >> np.arange(n_items.bit_length())[:, None] & 1
    given = np.vstack([np.ones(n_items, np.int64), digits]).astype(np.float32)
    found = transformed(between, sp.csr_array(given))
    is_met, was_met = sp.csr_array(found).toarray() != 0, given != 0
    if is_met.sum() > was_met.sum() or not (is_met & ~was_met).any():
        return
    place = int((is_met & ~was_met).any(axis=0).argmax())
    raise ValueError(
        f"The steps between IdMapper and {type(model).__name__} must keep the order of the items: "
        f"column {place}, the item {plain(mapper.items_[place])!r} before these steps, holds the "
        "counts of another item after them. Leave out the step that reorders columns."
    )
