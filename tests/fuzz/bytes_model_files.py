"""Model files with any contents and the right checksum: a ModelFileError, or a model that works.

A model that loads must answer every question without an index out of bounds, and its
recommendations must be the best of its own scores. Reading must execute no code of the file and
must not allocate much more memory than the file is large.
"""

import encodings.cp437  # noqa: F401  # zipfile imports it for odd names
import functools
import linecache
import os
import sys
import tempfile
import traceback
import tracemalloc
import uuid
import warnings
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from byte_fuzzing import Target, instrumented, main
from sealed_files import mutated
from sklearn.exceptions import NotFittedError

with instrumented():
    import shallow_ae
    from shallow_ae import ModelFileError, load_model, save_model
    from shallow_ae.models.recommender import RecommenderMixin
    from shallow_ae.persistence import model_file  # noqa: F401
    from shallow_ae.pipeline import RecommenderPipeline
    from shallow_ae.serving import ServingRecommender

FOLDER = tempfile.TemporaryDirectory()
FILES = Path(__file__).parents[1] / "model_files"
_LIBRARY = str(Path(shallow_ae.__file__).parent)
_BYTES_FOR_ONE = 200  # Python's objects for one byte of JSON, at most
_K = 4
_EXECUTING = ("exec", "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen")
_EXECUTING += ("pickle.find_class", "socket.connect", "os.remove", "os.rename", "ctypes.dlopen")


class Watch:
    """Notes what reading a file does that it must not do, and prevents it."""

    is_on, seen, is_installed = False, (), False

    @classmethod
    def hook(cls, event, arguments):
        if cls.is_on and (event in _EXECUTING or (event == "open" and _writes(*arguments))):
            cls.seen += (f"{event} {arguments!r:.200}",)
            raise PermissionError("reading a model file must not do this")


def _writes(_, mode, flags):
    if mode is None:
        return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return bool(set("wax+") & set(mode))


def watched(read, path):
    """Return what `read` makes of a file, or None after a ModelFileError."""
    size = path.stat().st_size
    tracemalloc.start()
    Watch.is_on, Watch.seen = Watch.is_installed, ()
    try:
        return read(path)
    except ModelFileError as error:
        assert str(path) in str(error), f"an error without the name of the file: {error}"
        return None
    finally:
        Watch.is_on = False
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert not Watch.seen, Watch.seen
        limit = 2**22 + _BYTES_FOR_ONE * size
        assert peak < limit, f"{peak:,} bytes for a file of {size:,}"


def asked(function, *arguments, **named):
    """Return an answer; None if the library itself refuses to give one."""
    try:
        return function(*arguments, **named)
    except NotFittedError:
        return None
    except (AttributeError, ValueError, TypeError, MemoryError) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        line = linecache.getline(place.filename, place.lineno).strip()
        if place.filename.startswith(_LIBRARY) and line.startswith("raise "):
            return None
        raise


def check_model(model):
    """Check the answers of a model to rows of counts."""
    n_items = getattr(model, "n_features_in_", None)
    if n_items is None:
        return
    X = np.zeros((3, n_items), np.float32)
    X[0, 0], X[1, : n_items // 2], X[2, -1] = 1, 2, 3
    for rows in (X, sp.csr_array(X)):
        scores = asked(model.predict, rows)
        best = asked(model.recommend, rows, _K, return_scores=True)
        if scores is not None and best is not None:
            check_best(X > 0, scores, *best)
    for answer in (
        asked(model.similar_items, [0, n_items - 1], _K),
        *(asked(model.explain, X, [0, n_items - 1, 0], _K) or ())[:1],
    ):
        assert answer is None or ((answer >= -1) & (answer < n_items)).all(), answer
    asked(model.largest_weights, 2)
    asked(repr, model)


def check_best(seen, scores, items, best):
    """Check that items are the unseen ones of each row with the best scores."""
    assert scores.shape == seen.shape, scores.shape
    assert items.max(initial=0) < seen.shape[1], items
    assert items.min(initial=0) >= -1, items
    if not (np.isfinite(scores).all() and np.abs(scores).max(initial=0) < 1e30):
        return  # sums that exceed the range of their type have no order
    allowed = 1e-3 * max(1.0, float(np.abs(scores).max(initial=0)))
    for own, known, row, found in zip(items, seen, scores, best, strict=True):
        own, found = own[own >= 0], found[own >= 0]
        unseen = np.sort(row[~known])[::-1]
        assert len(set(own.tolist())) == len(own) == min(_K, len(unseen)), own
        assert not known[own].any(), own
        np.testing.assert_allclose(found, row[own], atol=allowed, rtol=1e-3)
        np.testing.assert_allclose(found, unseen[: len(own)], atol=allowed, rtol=1e-3)
        assert (np.diff(found) <= 0).all(), found


def check_pipeline(recommender):
    """Check the answers of a pipeline to interactions, and return scores for a history."""
    ids = getattr(recommender[0], "items_", None)
    if ids is None:
        return None
    own = ids.tolist()[:3]
    rows = [("someone", item, 2) for item in own]
    frame = asked(recommender.recommend, rows, _K)
    asked(recommender.recommend, [("nobody", "no such item")], _K)
    asked(recommender.similar_items, own[:1], _K)
    asked(recommender.explain, rows, {"someone": own[:1]}, _K)
    asked(recommender.largest_weights, 2)
    if hasattr(recommender[0], "users_"):
        asked(recommender[0].user_index, recommender[0].users_)
        if recommender.keep_interactions:
            asked(recommender.recommend, None, _K)
    return None if frame is None else frame.iloc[:, 2].to_numpy()


def check_serving(serving):
    """Check the answers of a serving recommender, and return scores for a history."""
    own = list(serving.items[:3].tolist())
    answer = asked(serving.recommend, dict.fromkeys(own, 2), _K)
    asked(serving.recommend, ["no such item"], _K)
    asked(serving.recommend_batch, [own, [], own[:1]], _K)
    asked(serving.explain, own, own[0], _K)
    asked(serving.similar_items, own[0], _K)
    if answer is None:
        return None
    assert len(set(map(repr, answer.items))) == len(answer.items) <= _K
    assert not set(map(repr, answer.items)) & set(map(repr, own))
    return np.array(answer.scores)


def check_file(path, reads):
    """Check the models that functions read from a file, and that they agree."""
    scores, is_consistent = [], True
    for read in reads:
        model = watched(read, path)
        if isinstance(model, ServingRecommender):
            scores.append(check_serving(model))
        elif isinstance(model, RecommenderPipeline):
            scores.append(check_pipeline(model))
            model = model[-1]
            is_consistent = has_one_answer(model)
        if isinstance(model, RecommenderMixin):
            check_model(model)
    if is_consistent and len(scores) == 2 and all(own is not None for own in scores):
        one, other = scores
        if np.isfinite(one).all() and np.abs(one).max(initial=0) < 1e30:
            allowed = 1e-3 * max(1.0, float(np.abs(one).max(initial=0)))
            np.testing.assert_allclose(one, other, atol=allowed, rtol=1e-3)


def has_one_answer(model):
    """Return False for an inverse that is not symmetric: the order of products matters then."""
    form = getattr(getattr(model, "_fitted", None), "weights", None)
    M = getattr(getattr(form, "form", None), "M", None)
    return M is None or np.array_equal(M, M.T)


READS = (functools.partial(load_model, memory_map=False), ServingRecommender.load)


def check(data, reads=READS):
    """Check the bytes of one file."""
    path = Path(FOLDER.name, "model")
    path.write_bytes(data)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            check_file(path, reads)
        except Exception:
            if b"skops" not in data or Watch.seen:  # a step of another library fails as it wants
                raise


def made(model, **arguments):
    """Return the bytes of a file of a model."""
    path = Path(FOLDER.name, "seed")
    save_model(model, path, **arguments)
    return path.read_bytes()


def seeds():
    """Return small files of every kind of model, of ids and of steps."""
    if "--child" in sys.argv or "--case" in sys.argv:
        Watch.is_installed = True
        sys.addaudithook(Watch.hook)
    found = [path.read_bytes() for path in sorted(FILES.glob("*.safetensors"))]
    for data in list(found):
        path = Path(FOLDER.name, "all")
        path.write_bytes(data)
        found.append(made(load_model(path, memory_map=False)))
    odd = [1, "1", 1.5, ("a", (1, None)), b"1", pd.Timestamp(0), uuid.UUID(int=7), Decimal("1.5")]
    odd += [date(2020, 1, 1), np.datetime64(1, "s"), np.float32(2.5), 2**70, "\ud800"]
    dates = np.array(["2020-01-01", "2020-01-02"], "M8[D]").astype(object)
    for ids in (odd, [3, 5], [0.5, 2.5], list(dates), np.array(["a", "b"]).tolist()):
        rows = [(user, item, 1 + n) for n, item in enumerate(ids) for user in ids[: n + 1]]
        for keep in (False, True):
            model = shallow_ae.SparseShallowAutoEncoder(0.1, n_neighbors=1)
            recommender = shallow_ae.make_recommender(model, keep_interactions=keep)
            found.append(made(recommender.fit(rows), keep="all"))
    state = np.random.RandomState(1)
    found.append(made(shallow_ae.ShallowAutoEncoder(random_state=state)))
    found.append(made(with_scaler()))
    return found


def with_scaler():
    from sklearn.preprocessing import MaxAbsScaler

    rows = [("a", "x", 2), ("a", "y", 1), ("b", "x", 1), ("b", "z", 3)]
    model = shallow_ae.PopularityRecommender()
    return shallow_ae.make_recommender(MaxAbsScaler(), model).fit(rows)


TARGET = Target(check, seeds, mutated)

if __name__ == "__main__":
    if "--case" in sys.argv:
        seeds()
    main(TARGET)
