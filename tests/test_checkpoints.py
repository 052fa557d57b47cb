"""Checkpoints: a fit that is killed continues, and leads to the bits of an uninterrupted fit."""

from contextlib import suppress

import dask.array as da
import numpy as np
import pytest
import scipy.sparse as sp

from shallow_ae import ModelFileError, ShallowAutoEncoder, load_model, make_recommender, save_model
from shallow_ae._model_files.container import Contents, read, write
from shallow_ae._solvers import costs
from shallow_ae.models import checkpoints

VARIANTS = {
    "plain": {},
    "all parameters": {
        "dropout": 0.3,
        "diagonal_slack": 0.3,
        "user_exponent": 0.4,
        "item_exponent": 0.2,
        "regularization": "auto",
    },
    "early stopping": {"early_stopping": True, "n_iter_no_change": 25, "item_exponent": 0.2},
    "tolerance": {"tol": 3e-2},
    "all users in each step": {"batch_size": 1000},
}


class Killed(BaseException):
    """Stands for the end of a process, after which only files are left."""


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return sp.csr_array(rng.poisson(0.15, (400, 60)).astype(np.float32))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.safetensors"


@pytest.fixture
def killed_after(monkeypatch):
    """Return a function that lets fits end right after a given number of checkpoints."""
    write = checkpoints.Checkpoint.write

    def killed_after(n_checkpoints):
        left = [None] * n_checkpoints

        def write_and_die(self, saved):
            write(self, saved)
            left.pop()
            if not left:
                monkeypatch.setattr(checkpoints.Checkpoint, "write", write)
                raise Killed

        monkeypatch.setattr(checkpoints.Checkpoint, "write", write_and_die)

    return killed_after


def estimator(**parameters):
    return ShallowAutoEncoder(**{"max_iter": 60, "batch_size": 64, "random_state": 0} | parameters)


def assert_equal_fits(model, expected):
    np.testing.assert_array_equal(model.item_weights_, expected.item_weights_)
    for name in ("loss_curve_", "validation_curve_", "validation_steps_"):
        assert getattr(model, name) == getattr(expected, name)
    assert (model.n_iter_, model.learning_rate_) == (expected.n_iter_, expected.learning_rate_)


@pytest.mark.parametrize("n_checkpoints", [1, 3])
@pytest.mark.parametrize("layout", ["sparse", "dense"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_killed_fit_continues_to_the_same_bits(
    X, path, killed_after, variant, layout, n_checkpoints
):
    rows = X if layout == "sparse" else X.toarray().astype(np.float64)
    parameters = VARIANTS[variant]
    expected = estimator(**parameters).fit(rows, checkpoint=path, checkpoint_every=7)
    assert not path.exists()
    killed_after(n_checkpoints)
    with pytest.raises(Killed):
        estimator(**parameters).fit(rows, checkpoint=path, checkpoint_every=7)
    model = estimator(**parameters).fit(rows, checkpoint=path, checkpoint_every=7)
    assert not path.exists()
    assert_equal_fits(model, expected)
    if variant != "tolerance":  # which is checked at other steps without checkpoints
        assert_equal_fits(model, estimator(**parameters).fit(rows))


def test_a_fit_without_a_seed_continues_with_the_numbers_it_has_drawn(X, path, killed_after):
    killed_after(3)
    with pytest.raises(Killed):
        estimator(random_state=None).fit(X, checkpoint=path, checkpoint_every=10)
    saved = path.read_bytes()
    first = estimator(random_state=None).fit(X, checkpoint=path, checkpoint_every=10)
    path.write_bytes(saved)
    second = estimator(random_state=None).fit(X, checkpoint=path, checkpoint_every=10)
    assert_equal_fits(first, second)
    third = estimator(random_state=None).fit(X, checkpoint=path, checkpoint_every=10)
    assert third.loss_curve_ != second.loss_curve_


def test_a_warm_start_continues_from_the_same_model_only(X, path, killed_after):
    def begun():
        return estimator(max_iter=20, warm_start=True).fit(X)

    expected = begun().set_params(max_iter=40).fit(X)
    killed_after(2)
    with pytest.raises(Killed):
        begun().set_params(max_iter=40).fit(X, checkpoint=path, checkpoint_every=10)
    with pytest.raises(ValueError, match="another `warm_start`"):
        estimator(max_iter=40, warm_start=True).fit(X, checkpoint=path, checkpoint_every=10)
    model = begun().set_params(max_iter=40).fit(X, checkpoint=path, checkpoint_every=10)
    assert_equal_fits(model, expected)


def test_an_interrupted_fit_leaves_its_checkpoint(X, path):
    def interrupt(model):
        if model.n_iter_ == 36:
            raise KeyboardInterrupt

    model = estimator()
    with pytest.raises(KeyboardInterrupt, match="after step 36 of 60"):
        model.fit(X, callback=interrupt, callback_every=12, checkpoint=path, checkpoint_every=10)
    assert model.n_iter_ == 36
    with pytest.raises(ValueError, match="`callback_every`=12, not None"):
        estimator().fit(X, checkpoint=path, checkpoint_every=10)
    steps = []
    model = estimator().fit(
        X,
        callback=lambda model: steps.append(model.n_iter_),
        callback_every=12,
        checkpoint=path,
        checkpoint_every=10,
    )
    assert steps == [36, 48, 60]
    assert_equal_fits(model, estimator().fit(X))


def test_a_callback_is_called_again_at_a_step_whose_checkpoint_is_written(X, path, killed_after):
    steps = []
    killed_after(2)
    for _ in range(2):
        with suppress(Killed):
            estimator().fit(
                X,
                callback=lambda model: steps.append(model.n_iter_),
                callback_every=20,
                checkpoint=path,
                checkpoint_every=20,
            )
    assert steps == [20, 40, 60]


def test_a_pipeline_passes_the_checkpoint_on(path, killed_after):
    rng = np.random.default_rng(0)
    plays = [(int(user), int(item)) for user, item in rng.integers(0, 40, (600, 2))]
    arguments = {
        "shallowautoencoder__checkpoint": path,
        "shallowautoencoder__checkpoint_every": 20,
    }
    killed_after(1)
    with pytest.raises(Killed):
        make_recommender(estimator()).fit(plays, **arguments)
    found = make_recommender(estimator()).fit(plays, **arguments)
    assert not path.exists()
    assert_equal_fits(found[-1], make_recommender(estimator()).fit(plays)[-1])


OTHER_FITS = {
    "`max_iter`=60, not 80": {"max_iter": 80},
    "`regularization`=0.02, not 0.5": {"regularization": 0.5},
    "`random_state`=0, not 1": {"random_state": 1},
    "`checkpoint_every`=10, not 20": {"checkpoint_every": 20},
    "another `X`": {"X": slice(1, None)},
    "another `sample_weight`": {"sample_weight": np.arange(400)},
}


@pytest.mark.parametrize("told", OTHER_FITS)
def test_the_checkpoint_of_another_fit_is_neither_continued_nor_replaced(
    X, path, killed_after, told
):
    killed_after(2)
    with pytest.raises(Killed):
        estimator().fit(X, checkpoint=path, checkpoint_every=10)
    saved, other = path.read_bytes(), dict(OTHER_FITS[told])
    rows = X[other.pop("X", slice(None))]
    arguments = {"checkpoint_every": 10, "sample_weight": None}
    arguments |= {name: other.pop(name) for name in list(other) if name in arguments}
    model = estimator(**other)
    with pytest.raises(ValueError, match=rf"another fit: with .*{told}.*delete the file"):
        model.fit(rows, checkpoint=path, **arguments)
    assert path.read_bytes() == saved
    assert not hasattr(model, "item_weights_")


def test_the_form_of_the_same_data_does_not_matter(X, path, killed_after):
    killed_after(2)
    with pytest.raises(Killed):
        estimator().fit(X, checkpoint=path, checkpoint_every=10)
    other = sp.csr_matrix(X.astype(np.int64))
    other.indices, other.indptr = other.indices.astype(np.int64), other.indptr.astype(np.int64)
    model = estimator(verbose=0).fit(other, checkpoint=path, checkpoint_every=10)
    assert_equal_fits(model, estimator().fit(X))


def test_files_that_are_no_checkpoint_are_not_replaced(X, path):
    model = ShallowAutoEncoder(solver="exact").fit(X)
    save_model(model, path)
    saved = path.read_bytes()
    with pytest.raises(ModelFileError, match="the file of a model, expected that of a checkpoint"):
        estimator().fit(X, checkpoint=path)
    assert path.read_bytes() == saved
    path.write_text("notes")
    with pytest.raises(ModelFileError, match="Pass another path"):
        estimator().fit(X, checkpoint=path)
    assert path.read_text() == "notes"


def test_a_damaged_checkpoint_is_refused(X, path, killed_after):
    killed_after(2)
    with pytest.raises(Killed):
        estimator().fit(X, checkpoint=path, checkpoint_every=10)
    saved = path.read_bytes()
    with pytest.raises(ModelFileError, match="of a checkpoint, expected that of a model"):
        load_model(path)
    for damaged in (saved[:-1], saved[:-10] + bytes(10), b""):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match="delete the file to fit from the start"):
            estimator().fit(X, checkpoint=path, checkpoint_every=10)


OF_ARRAYS = {
    "P without a column": lambda arrays: arrays.update(P=arrays["P"][:, 1:].copy()),
    "P of another type": lambda arrays: arrays.update(P=arrays["P"].astype(np.float64)),
    "no P": lambda arrays: arrays.pop("P"),
    "19 losses": lambda arrays: arrays.update(losses=arrays["losses"][:-1].copy()),
    "60 losses": lambda arrays: arrays.update(losses=np.ones(60)),
    "no losses": lambda arrays: arrays.update(losses=np.ones(0)),
    "losses in a column": lambda arrays: arrays.update(losses=np.ones((20, 1))),
    "float32 scores": lambda arrays: arrays.update(validation_curve=np.ones(1, np.float32)),
}
OF_DOCUMENT = {
    "entries below 0": lambda document: document.update(n_stored=-1),
    "a text as seed": lambda document: document.update(seed="0"),
    "no learning rate": lambda document: document.update(learning_rate=None),
    "no fit": lambda document: document.pop("fit"),
    "no data": lambda document: document["fit"].pop("X"),
}


@pytest.mark.parametrize("part", [*OF_ARRAYS, *OF_DOCUMENT])
def test_a_checkpoint_whose_parts_do_not_fit_each_other_is_refused(X, path, killed_after, part):
    killed_after(2)
    with pytest.raises(Killed):
        estimator().fit(X, checkpoint=path, checkpoint_every=10)
    document, arrays = read(path, mapped=False)
    if part in OF_ARRAYS:
        OF_ARRAYS[part](arrays)
    else:
        OF_DOCUMENT[part](document)
    write(path, Contents(document, arrays))
    with pytest.raises(ModelFileError, match="is damaged"):
        estimator().fit(X, checkpoint=path, checkpoint_every=10)


def test_what_cannot_work_is_told_before_the_first_step(X, path, tmp_path):
    with pytest.raises(ValueError, match="`checkpoint` come between steps"):
        estimator(solver="exact").fit(X, checkpoint=path)
    with pytest.raises(TypeError, match=r"`checkpoint`=3 must be the path of a file"):
        estimator().fit(X, checkpoint=3)
    with pytest.raises(ValueError, match=r"`checkpoint_every`=0 must be an integer >= 1"):
        estimator().fit(X, checkpoint=path, checkpoint_every=0)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        estimator().fit(X, checkpoint=tmp_path / "absent" / "fit.safetensors")
    with pytest.raises(ValueError, match="`checkpoint` needs X and the weights in one process"):
        estimator().fit(da.from_array(X.toarray()), checkpoint=path)
    assert estimator(solver="auto").fit(X, checkpoint=path).solver_ == "sgd"


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_fit(X, path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write", full)
    with pytest.warns(UserWarning, match="No checkpoint after step 40, .*No space left"):
        model = estimator().fit(X, checkpoint=path, checkpoint_every=40)
    assert_equal_fits(model, estimator().fit(X))


def test_two_fits_with_one_path_do_not_mix(X, path):
    other = estimator(regularization=0.5)
    with pytest.raises(ValueError, match=r"written by another fit: with `regularization`=0\.02"):
        estimator().fit(
            X,
            callback=lambda _: other.fit(X, checkpoint=path),
            callback_every=15,
            checkpoint=path,
            checkpoint_every=10,
        )
    path.unlink()

    def end(_):
        raise InterruptedError

    def begin_another(model):
        if model.n_iter_ == 15:
            with suppress(InterruptedError):
                other.fit(X, callback=end, callback_every=12, checkpoint=path, checkpoint_every=10)

    model = estimator()
    with pytest.raises(ValueError, match="written by another fit during this fit"):
        model.fit(
            X, callback=begin_another, callback_every=15, checkpoint=path, checkpoint_every=20
        )
    assert not hasattr(model, "item_weights_")
    assert path.exists()  # the file of the other fit


def test_a_symbolic_link_leads_to_the_checkpoint(X, path, tmp_path, killed_after):
    link = tmp_path / "link"
    link.symlink_to(path)
    killed_after(1)
    with pytest.raises(Killed):
        estimator().fit(X, checkpoint=link, checkpoint_every=10)
    assert path.exists()
    model = estimator().fit(X, checkpoint=link, checkpoint_every=10)
    assert link.is_symlink()
    assert not path.exists()
    assert_equal_fits(model, estimator().fit(X))


def test_memory_for_the_copy_that_is_written_is_checked(X, path, monkeypatch):
    need = costs.descent_need(X, 64, 60, "sparse").bytes
    monkeypatch.setattr(costs, "free_memory", lambda: need + 60**2 * 4 - 1)
    estimator().fit(X)
    with pytest.raises(MemoryError):
        estimator().fit(X, checkpoint=path)
