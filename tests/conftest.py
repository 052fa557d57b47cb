"""Strict JAX and Numba for every test, how many examples are tried, and the real data sets."""

import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

# Both are read by Numba at import. An index out of bounds is an error instead of any number, and
# what is compiled so is not kept for those who import the library.
os.environ["NUMBA_BOUNDSCHECK"] = "1"
if "PYTEST_XDIST_WORKER" not in os.environ:  # these processes share what each of them compiles
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp()
os.environ["SCIPY_ARRAY_API"] = "1"  # read by scipy at import: runs scikit-learn's array API check

import atexit
import shutil
from pathlib import Path

import jax
import pytest
import scipy.sparse as sp
from hypothesis import settings

from shallow_ae._solvers import costs
from shallow_ae._weights import item_weights
from shallow_ae.models import kept_rows, pruning

if "PYTEST_XDIST_WORKER" not in os.environ:
    atexit.register(shutil.rmtree, os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# The same examples in each run; `HYPOTHESIS_PROFILE=thorough` tries more of them.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=25)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Programs of their own, which test_faults.py, test_fuzz.py and test_sameness.py try for a moment.
collect_ignore = ["faults", "fuzz", "golden"]

# Files whose tests share something that takes long to start: one process runs all of them. (The
# marks of pytest-xdist 3.8 have no effect with pytest 9.2.)
GROUPS = {
    "test_cluster_neighborhood.py": "a cluster",
    "test_compilation.py": "compiled code",
    "test_dask.py": "a cluster",
    "test_devices.py": "devices",
    "test_web_service.py": "a web service",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Return a scheduler that gives single tests to processes, but keeps groups together."""
    from xdist.scheduler import LoadScopeScheduling

    class GroupScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return GROUPS.get(Path(nodeid.partition("::")[0]).name, nodeid)

    return GroupScheduling(config, log)


DATA = Path(
    os.environ.get("SHALLOW_AE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)


@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium, or skip."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(names)} is installed")
    flags = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
    flags += "disable-component-update disable-sync"
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program, args=[f"--{flag}" for flag in flags.split()]
        )
        with closing(browser):
            yield browser


@pytest.fixture(scope="session")
def lastfm_folder():
    """Return the folder of the HetRec 2011 Last.fm files, or skip."""
    folder = DATA / "lastfm-2k"
    if not folder.is_dir():
        pytest.skip(f"the Last.fm data are not at {folder}; name their parent in SHALLOW_AE_DATA")
    return folder


@pytest.fixture(scope="session")
def ml_1m():
    """Return the training and test part of MovieLens-1M as zeros and ones, or skip."""
    folder = DATA / "ml-1m"
    if not folder.is_dir():
        pytest.skip(f"MovieLens-1M is not at {folder}; name its parent in SHALLOW_AE_DATA")
    return [sp.csr_array(sp.load_npz(folder / f"{part}.npz")) for part in ("train", "test")]


@pytest.fixture
def nothing_more_begins(monkeypatch):
    """Return an event that is set once a pool of threads has dropped what has not begun.

    Tasks that wait for it hold their threads until then. A pool that drops nothing would wait for
    them: for its sake, wait with a time limit.
    """
    dropped, shutdown = threading.Event(), ThreadPoolExecutor.shutdown

    def noted(pool, wait=True, *, cancel_futures=False):
        if cancel_futures:
            shutdown(pool, wait=False, cancel_futures=True)
            dropped.set()
        shutdown(pool, wait=wait)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", noted)
    return dropped


@pytest.fixture
def set_free_memory(monkeypatch):
    """Return a function that sets how many bytes are free, wherever that is asked."""

    def set_free_memory(n_bytes):
        for module in (costs, pruning, kept_rows, item_weights):
            monkeypatch.setattr(module, "free_memory", lambda: n_bytes)

    return set_free_memory
