"""What ends a fit, and what a model can go on from."""

import _thread
import pickle
import signal

import numpy as np
import pytest
from bounds import rounding
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from shallow_ae import IdMapper, LogCountTransformer, ShallowAutoEncoder, make_recommender
from shallow_ae._solvers.gradient_descent import fit as descent_fit
from shallow_ae._solvers.gradient_descent.fit import has_settled
from shallow_ae._solvers.gradient_descent.loop import DescentLoop
from shallow_ae.datasets import make_listens
from shallow_ae.models.early_stopping import has_peaked

VARIANT = {"dropout": 0.2, "diagonal_slack": 0.3, "user_exponent": 0.4, "item_exponent": 0.3}
# Descents of n steps may be rounding(n) apart: see test_gradient.py. Scores of models so near are
# means over the same lists (seen: equal).


@pytest.fixture(scope="module")
def X():
    """Log-weighted listens of 300 users to 60 songs, in float64."""
    frame, _ = make_listens(300, 60, items_per_user=12, random_state=0)
    return LogCountTransformer().fit_transform(IdMapper().fit_transform(frame).astype(np.float64))


def quick(**parameters):
    return ShallowAutoEncoder(**{"random_state": 0, "batch_size": 100, **parameters})


def test_tol_ends_a_fit_that_has_settled(X):
    model = quick(batch_size=300, tol=0.05, n_iter_no_change=8, max_iter=1000).fit(X)
    losses = np.array(model.loss_curve_)
    assert model.n_iter_ == len(losses) < 200
    assert losses[-16:-8].mean() - losses[-8:].mean() < 0.05
    assert losses[-24:-16].mean() - losses[-16:-8].mean() >= 0.05  # when it was last looked at


def test_tol_out_of_reach_warns_with_the_parameter_to_raise(X):
    with pytest.warns(ConvergenceWarning, match="Raise `max_iter`, or `tol`") as caught:
        quick(tol=0.0, max_iter=10).fit(X)
    assert caught[0].filename == __file__


def test_settled_compares_the_means_of_two_spans():
    assert not has_settled([5, 4, 3], 2, tol=10)  # too short to tell
    assert not has_settled([9, 5, 3, 2, 2], 2, tol=1.9)  # mean 4, then mean 2
    assert has_settled([9, 5, 3, 2, 2], 2, tol=2.1)
    assert has_settled([2, 2, 3, 3], 2, tol=0.0)


def test_peaked_wants_a_new_best_among_the_last_scores():
    assert not has_peaked([0.1, 0.3, 0.2], 3, tol=0)  # too few to tell
    assert not has_peaked([0.1, 0.2, 0.3, 0.2], 2, tol=0)
    assert has_peaked([0.1, 0.3, 0.3, 0.2], 2, tol=0)
    assert has_peaked([0.1, 0.2, 0.25, 0.2], 2, tol=0.1)


@pytest.mark.parametrize("variant", [{}, VARIANT])
def test_early_stopping_keeps_the_best_weights(X, variant):
    seen = {}

    def keep(model):
        seen[model.n_iter_] = model.item_weights_.copy()

    model = quick(early_stopping=True, n_iter_no_change=10, max_iter=500, **variant)
    model.fit(X, callback=keep, callback_every=5)

    scores = model.validation_curve_
    assert model.n_iter_ == 5 * (1 + np.argmax(scores))
    assert len(model.loss_curve_) == 5 * len(scores) == model.n_iter_ + 10 < 500
    np.testing.assert_allclose(
        model.item_weights_, seen[model.n_iter_], rtol=0, atol=rounding(25) if variant else 0
    )
    assert model.item_counts_.sum() < X.nnz * 0.95  # a tenth of the users was held out


def test_early_stopping_looks_at_the_last_step_too(X):
    model = quick(early_stopping=True, max_iter=7).fit(X)
    assert len(model.validation_curve_) == 2
    assert model.n_iter_ in (5, 7)


def test_early_stopping_with_tol_warns_where_scores_still_rise(X):
    with pytest.warns(ConvergenceWarning):
        quick(early_stopping=True, tol=1e-9, max_iter=10).fit(X)
    assert quick(early_stopping=True, tol=1.0, n_iter_no_change=5, max_iter=50).fit(X).n_iter_ <= 10


@pytest.mark.parametrize("rows", [slice(0, 2), slice(0, 1)])
def test_early_stopping_needs_users_to_hold_out_and_to_learn_from(X, rows):
    with pytest.raises(ValueError, match="`early_stopping` holds out 1 of"):
        quick(early_stopping=True).fit(X[rows].toarray() * np.eye(60)[: X[rows].shape[0]])


def test_without_early_stopping_there_is_no_validation_curve(X):
    model = quick(early_stopping=True, max_iter=10).fit(X)
    assert model.validation_curve_
    assert model.set_params(early_stopping=False).fit(X).validation_curve_ == []


@pytest.mark.parametrize("variant", [{}, VARIANT])
def test_a_callback_sees_the_model_of_so_many_steps_and_may_end_the_fit(X, variant):
    steps = []

    def stop_at_14(model):
        steps.append(model.n_iter_)
        assert len(model.loss_curve_) == model.n_iter_
        expected = quick(max_iter=model.n_iter_, **variant).fit(X)
        np.testing.assert_allclose(
            model.item_weights_, expected.item_weights_, rtol=0, atol=rounding(14) if variant else 0
        )
        assert model.score(X) == pytest.approx(expected.score(X))
        with pytest.raises(ValueError, match="read-only"):
            model.item_weights_[0, 1] = 1
        return model.n_iter_ == 14

    model = quick(max_iter=50, **variant).fit(X, callback=stop_at_14, callback_every=7)
    assert steps == [7, 14]
    assert model.n_iter_ == len(model.loss_curve_) == 14
    assert model.item_weights_.flags.writeable


def test_an_error_in_a_callback_leaves_the_fitted_model_as_it_was(X):
    model = quick(max_iter=3).fit(X)
    before = pickle.dumps(model)
    with pytest.raises(ZeroDivisionError):
        model.fit(X, callback=lambda model: model.n_iter_ / 0, callback_every=1)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("change", ["item_exponent", "max_iter", "weights"])
def test_a_callback_that_changes_the_model_is_an_error(X, change):
    def changes(model):
        if change == "weights":
            model.fit(X)
        else:
            model.set_params(**{change: 7})

    model = quick(max_iter=3).fit(X)
    before = pickle.dumps(model)
    told = "its weights" if change == "weights" else f"`{change}`"
    with pytest.raises(ValueError, match=f"`callback` changed {told} of the model that is being"):
        model.fit(X, callback=changes, callback_every=1)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"callback": 3}, TypeError, "`callback`=3 must be a function of the model"),
        ({"callback_every": 0}, ValueError, "`callback_every`=0 must be an integer >= 1"),
    ],
)
def test_bad_callbacks_are_an_error(X, arguments, error, message):
    with pytest.raises(error, match=message):
        quick().fit(X, **arguments)


@pytest.mark.parametrize("variant", [{}, VARIANT])
def test_a_warm_start_goes_on_where_the_fit_before_ended(X, variant):
    model = quick(batch_size=300, warm_start=True, max_iter=9, **variant)
    model.fit(X)
    first = model.item_weights_.copy()
    kept = model.item_weights_
    model.set_params(max_iter=6).fit(X)
    whole = quick(batch_size=300, max_iter=15, **variant).fit(X)
    np.testing.assert_array_equal(kept, first)  # not written over
    np.testing.assert_allclose(model.item_weights_, whole.item_weights_, rtol=0, atol=rounding(15))
    np.testing.assert_allclose(model.loss_curve_, whole.loss_curve_, rtol=rounding(300 * 60))
    assert model.n_iter_ == 15
    assert model.n_samples_seen_ == 300


def test_a_warm_start_with_other_items_is_refused(X):
    model = quick(max_iter=3, warm_start=True).fit(X)
    with pytest.raises(ValueError, match=r"has 59 features, but .* is expecting 60"):
        model.fit(X[:, :59])
    assert model.set_params(warm_start=False).fit(X[:, :59]).n_iter_ == 3


@pytest.mark.parametrize("variant", [{}, VARIANT])
def test_passes_over_the_same_rows_are_full_steps(X, variant):
    if variant:
        variant = {**variant, "item_exponent": 0.0}  # passes count their users anew
    streamed = quick(batch_size=300, **variant)
    for _ in range(6):
        streamed.partial_fit(X)
    whole = quick(batch_size=300, max_iter=6, learning_rate_decay=1.0, **variant).fit(X)
    np.testing.assert_allclose(
        streamed.item_weights_, whole.item_weights_, rtol=0, atol=rounding(6)
    )
    np.testing.assert_allclose(streamed.loss_curve_, whole.loss_curve_, rtol=rounding(300 * 60))
    assert streamed.n_iter_ == 6
    assert streamed.n_samples_seen_ == 1800
    np.testing.assert_array_equal(streamed.item_counts_, 6 * whole.item_counts_)


def test_passes_over_parts_learn_items_as_they_come(X):
    early = X.tolil()
    early[:, 30:] = 0
    model = quick(item_exponent=0.3).partial_fit(early.tocsr())
    assert not model.item_weights_[30:].any()
    assert model.n_iter_ == 3  # batches of 100
    rate = model.learning_rate_
    model.partial_fit(X[:150])
    assert model.n_iter_ == 5
    assert model.learning_rate_ <= rate
    assert model.item_weights_[30:, :30].any()
    np.testing.assert_array_equal(model.item_counts_[30:], (X[:150] != 0).sum(axis=0)[30:])
    assert len(model.loss_curve_) == 5


def test_many_passes_get_as_good_as_a_fit(X):
    model = quick()
    for _ in range(15):
        model.partial_fit(X)
    assert model.score(X) > 0.95 * quick().fit(X).score(X)  # seen: 0.996 times


def test_a_failing_pass_leaves_the_model_as_it_was(X):
    model = quick(max_iter=3).fit(X)
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match="diverges"):
        model.set_params(learning_rate=1e3).partial_fit(X)
    with pytest.raises(ValueError, match="cannot stop early"):
        model.set_params(learning_rate="auto", early_stopping=True).partial_fit(X)
    with pytest.raises(ValueError, match="has 59 features"):
        model.set_params(early_stopping=False).partial_fit(X[:, :59])
    assert pickle.dumps(model) == before


def interrupting(monkeypatch, at, act):
    """Have `act` called in the leader's thread before its dispatch number `at`."""
    calls = []
    advance = DescentLoop._advance

    def interrupted(self, *arguments):
        calls.append(arguments)
        if len(calls) == at:
            act()
        advance(self, *arguments)

    monkeypatch.setattr(DescentLoop, "_advance", interrupted)


@pytest.fixture(autouse=True)
def interrupts_are_raised():
    """Let an interrupt be one, also where the tests were started with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupted_fit_is_a_model_of_so_many_steps(X, monkeypatch):
    interrupting(monkeypatch, 3, _thread.interrupt_main)
    model = quick()
    with pytest.raises(KeyboardInterrupt, match="The model keeps the weights after step 24 of 100"):
        model.fit(X)
    assert model.n_iter_ == len(model.loss_curve_) == 24
    monkeypatch.undo()
    expected = quick(max_iter=24).fit(X)
    np.testing.assert_array_equal(model.item_weights_, expected.item_weights_)
    assert model.recommend(X, k=3).shape == (300, 3)


def test_an_interrupt_in_a_callback_is_one_too(X):
    def interrupt(model):
        raise KeyboardInterrupt

    model = quick(**VARIANT, tol=0.0)
    with pytest.raises(KeyboardInterrupt, match="after step 8 of 100"):
        model.fit(X, callback=interrupt, callback_every=8)
    expected = quick(max_iter=8, **VARIANT).fit(X)
    np.testing.assert_allclose(
        model.item_weights_, expected.item_weights_, rtol=0, atol=rounding(8)
    )


def test_an_interrupt_ends_a_search(X):
    begun = []

    def interrupt(model):
        begun.append(model.max_iter)
        raise KeyboardInterrupt

    search = GridSearchCV(quick(), {"max_iter": [10, 20]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, callback=interrupt)
    assert begun == [10]


@pytest.mark.parametrize("solver", ["sgd", "exact"])
def test_an_interrupted_pipeline_keeps_what_a_descent_has_learned(solver, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    listens, _ = make_listens(100, 40, random_state=0)
    recommender = make_recommender(ShallowAutoEncoder(solver=solver, random_state=0))
    monkeypatch.setattr("shallow_ae._solvers.closed_form.negated_inverse", interrupt)
    arguments = {"shallowautoencoder__callback": interrupt} if solver == "sgd" else {}
    with pytest.raises(KeyboardInterrupt):
        recommender.fit(listens, **arguments)
    if solver == "sgd":
        assert recommender[-1].n_iter_ == 10
        assert len(recommender.recommend(listens, k=1)) == 100
    else:
        assert not hasattr(recommender[-1], "n_iter_")


def test_an_interrupt_with_early_stopping_keeps_the_weights_at_hand(X, monkeypatch):
    interrupting(monkeypatch, 4, _thread.interrupt_main)
    model = quick(early_stopping=True)
    with pytest.raises(KeyboardInterrupt, match="The model keeps the weights"):
        model.fit(X)
    assert model.n_iter_ == len(model.loss_curve_)


def test_an_interrupt_while_the_best_steps_are_taken_again_says_where(X, monkeypatch):
    best = quick(early_stopping=True, max_iter=500).fit(X)
    dispatches = len(best.validation_curve_)  # five steps each
    interrupting(monkeypatch, dispatches + 2, _thread.interrupt_main)
    model = quick(early_stopping=True, max_iter=500)
    with pytest.raises(KeyboardInterrupt) as caught:
        model.fit(X)
    assert f"after step {model.n_iter_} of 500" in str(caught.value)
    assert model.n_iter_ < best.n_iter_


def test_interrupts_that_leave_nothing_to_keep_are_raised(X, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    model = quick(max_iter=12).fit(X)
    before = pickle.dumps(model)
    interrupting(monkeypatch, 2, interrupt)  # as if columns were left at different steps
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    monkeypatch.setattr(descent_fit, "random_start", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert pickle.dumps(model) == before


def test_a_changed_exponent_does_not_scale_the_weights_twice(X):
    for before, after in ((1.0, 0.0), (0.0, 1.0)):
        model = quick(batch_size=300, warm_start=True, max_iter=5, item_exponent=before).fit(X)
        model.set_params(item_exponent=after, max_iter=4).fit(X)
        expected = quick(batch_size=300, max_iter=9, item_exponent=after).fit(X)
        np.testing.assert_allclose(
            model.item_weights_, expected.item_weights_, rtol=0, atol=rounding(9)
        )


def test_an_interrupted_pass_is_raised_and_changes_nothing(X, monkeypatch):
    model = quick(batch_size=20).partial_fit(X)  # 15 steps, in two dispatches
    before = pickle.dumps(model)
    interrupting(monkeypatch, 2, _thread.interrupt_main)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X)
    assert pickle.dumps(model) == before


def test_exponents_out_of_all_proportion_are_a_clear_error(X):
    with pytest.raises(ValueError, match="`item_exponent`=80 gives weights that are too large"):
        quick(item_exponent=80).fit(X.astype(np.float32))
    with pytest.raises(ValueError, match="`user_exponent`=5000 gives weights that are too large"):
        quick(user_exponent=5000).fit(X)


def test_a_batch_size_far_beyond_the_users_costs_nothing(X):
    assert quick(batch_size=10**9, max_iter=2).fit(X).n_iter_ == 2
