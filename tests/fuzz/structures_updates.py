"""Pipelines that keep their interactions, after any sequence of updates, against one fit."""

import harness  # isort: skip: it comes before what imports Numba
import pickle

import numpy as np
from hypothesis import strategies as st
from outcomes import outcome
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfTransformer
from updates import assert_same, learner

from shallow_ae import (
    BlendedRecommender,
    LogCountTransformer,
    LowRankAutoEncoder,
    PopularityRecommender,
    ShallowAutoEncoder,
    SparseShallowAutoEncoder,
)

NEAREST = SparseShallowAutoEncoder(0.3, n_neighbors=3)
TASTES = LowRankAutoEncoder(8, random_state=0)  # all components: of few, rounding may choose
MODELS = {
    "exact": ShallowAutoEncoder(0.3, solver="exact"),
    "exact, auto": ShallowAutoEncoder("auto", solver="exact"),
    "nearest": SparseShallowAutoEncoder(0.3, n_neighbors=9),
    "low rank": TASTES,
    "popular": PopularityRecommender(),
    "sum": BlendedRecommender([("popular", PopularityRecommender()), ("tastes", TASTES)]),
}
BETWEEN = {"nothing": (), "log": (LogCountTransformer(),), "tf-idf": (TfidfTransformer(),)}
USERS, ITEMS = [f"u{n}" for n in range(6)], [f"s{n}" for n in range(5)]
EVENT = st.tuples(
    st.sampled_from(USERS), st.sampled_from(ITEMS), st.sampled_from([0.0, 0.5, 1.0, 2.0])
)
EVENTS = st.lists(EVENT, min_size=1, max_size=8)
WEIGHTS = st.none() | st.dictionaries(st.sampled_from(USERS), st.sampled_from([0.5, 1.0, 3.0]))
BAD = [("u0", "s0", np.nan), ("u0", None, 1.0), ("u0", "s0", -1.0), ("u0", "s0", np.inf)]
STEPS = st.one_of(
    st.tuples(st.just("learn"), EVENTS, WEIGHTS),
    st.tuples(st.just("forget users"), st.lists(st.sampled_from(USERS), unique=True)),
    st.tuples(st.just("forget events"), st.sets(st.integers(0, 30), max_size=4)),
    st.tuples(st.just("forget others"), EVENTS),
    st.tuples(st.just("learn bad"), EVENTS, st.sampled_from(BAD)),
    st.tuples(st.just("pickle")),
    st.tuples(st.just("set"), st.sampled_from([0.1, 1.0])),
)


@st.composite
def cases(draw):
    """Return a pipeline, first events, and steps."""
    return {
        "model": draw(st.sampled_from(sorted(MODELS))),
        "between": draw(st.sampled_from(sorted(BETWEEN))),
        "first": draw(st.lists(EVENT, min_size=3, max_size=12)),
        "weights": draw(WEIGHTS),
        "steps": draw(st.lists(STEPS, min_size=1, max_size=5)),
    }


class Kept:
    """The events that remain, and the weights of users, as a list and a dictionary."""

    def __init__(self, events, weights):
        self.events, self.weights = list(events), {}
        self.learn([], {} if weights is None else weights)

    def learn(self, events, weights):
        self.events = self.events + events
        if weights is not None:
            self.weights |= weights

    def forget(self, events):
        """Take back the last of the events that equal each of these."""
        left = list(self.events)
        for event in events:
            if event not in left:
                return False
            del left[len(left) - 1 - left[::-1].index(event)]
        self.events = left
        return True

    def params(self):
        """Return the parameters of a fit to what is kept."""
        users = dict.fromkeys(user for user, _, _ in self.events)
        self.weights = {user: n for user, n in self.weights.items() if user in users}
        if not self.weights:
            return {}
        return {"sample_weight": {user: self.weights.get(user, 1.0) for user in users}}


def check(case):
    """After each step, the pipeline is as fitted to what is kept; errors leave it as it was."""
    users = {user for user, _, _ in case["first"]}
    weights = case["weights"]
    weights = None if weights is None else {u: weights.get(u, 1.0) for u in users}
    kept = Kept(case["first"], weights)
    recommender = learner(MODELS[case["model"]], *BETWEEN[case["between"]])
    first = outcome(recommender.fit, case["first"], **kept.params())
    if first.error is not None:
        assert not any(count for _, _, count in case["first"]), f"fit: {first.error!r}"
        return
    for step in case["steps"]:
        recommender = taken(step, recommender, kept)
        compare(recommender, kept)


def taken(step, recommender, kept):
    """Take one step with the pipeline and with what is kept, and return the pipeline."""
    what, *rest = step
    if what == "pickle":
        return pickle.loads(pickle.dumps(recommender))
    if what == "set":
        if "regularization" in recommender[-1].get_params():
            recommender.set_params(**{f"{recommender.steps[-1][0]}__regularization": rest[0]})
            updated(recommender, kept, recommender.partial_fit, [("u0", "s0", 1.0)])
            kept.learn([("u0", "s0", 1.0)], None)
    elif what == "learn":
        events, weights = rest
        own = {user for user, _, _ in events}
        weights = None if weights is None else {user: weights.get(user, 1.0) for user in own}
        if updated(recommender, kept, recommender.partial_fit, events, sample_weight=weights):
            kept.learn(events, weights)
    elif what == "learn bad":
        events, bad = rest
        assert not updated(recommender, kept, recommender.partial_fit, [*events, bad]), "took NaN"
    else:
        forget(what, rest[0], recommender, kept)
    return recommender


def forget(what, chosen, recommender, kept):
    """Forget users, events, or events that may never have been."""
    before = list(kept.events)
    if what == "forget users":
        known = {user for user, _, _ in before}
        done = updated(recommender, kept, recommender.forget, users=chosen)
        assert done or not set(chosen) <= known or not left_of(before, chosen), "refused to forget"
        if done:
            kept.events = [event for event in before if event[0] not in chosen]
        return
    if what == "forget others":
        events = chosen
    else:
        events = [before[row] for row in sorted(chosen) if row < len(before)]
    if not events:
        return
    there = kept.forget(events)
    if not updated(recommender, kept, recommender.forget, events):
        assert not there or not any(count for *_, count in kept.events), "refused to forget"
        kept.events = before
    else:
        assert there, f"forgot {events}, which are not among {before}"


def left_of(events, users):
    """Return whether others than these users have an interaction."""
    return any(count for user, _, count in events if user not in users)


def updated(recommender, kept, method, *args, **kwargs):
    """Return whether an update was made."""
    return outcome(method, *args, **kwargs).error is None


def compare(recommender, kept):
    """Compare with a fit to what is kept; popularity has no weights to compare."""
    if hasattr(recommender[-1], "item_weights_"):
        assert_same(recommender, kept.events, **kept.params())
        return
    whole = clone(recommender).fit(kept.events, **kept.params())
    np.testing.assert_allclose(recommender[-1].item_counts_, whole[-1].item_counts_, rtol=1e-12)


if __name__ == "__main__":
    harness.run(check, cases())
