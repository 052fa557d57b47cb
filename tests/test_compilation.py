"""Ahead-of-time compilation: a process after `warm_up` compiles nothing, wherever it reads from."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import shallow_ae
from shallow_ae._linalg.csr import as_argument

pytestmark = pytest.mark.slow  # most of these compile everything

PACKAGE = Path(shallow_ae.__file__).parent

# Prints the names of the functions that a process compiles.
COUNT = """
import json, os, sys
import numpy as np, scipy.sparse as sp
from numba.core import event

class Compilations(event.Listener):
    names = []
    def on_start(self, started):
        self.names.append(started.data["dispatcher"].py_func.__qualname__)
    def on_end(self, ended):
        pass

event.register("numba:compile", Compilations())
{code}
print(json.dumps(Compilations.names))
"""

RANK = """
import shallow_ae
from shallow_ae import (BlendedRecommender, LowRankAutoEncoder, PopularityRecommender,
    ShallowAutoEncoder, SparseShallowAutoEncoder, ndcg_score)
rng = np.random.default_rng(0)
X = sp.csr_array(sp.random_array((30, 20), density=0.3, rng=rng), dtype=np.float32)
X.data[:] = 1
def lock(X):
    for values in (X.data, X.indices, X.indptr):
        values.flags.writeable = False
    return X
parts = [SparseShallowAutoEncoder(n_neighbors=3), ShallowAutoEncoder(1.0, solver="exact")]
low_rank = LowRankAutoEncoder(n_components=3, random_state=0)
dual = ShallowAutoEncoder(1.0, solver="exact").fit(X[:10])
models = [model.fit(X) for model in [
    *parts, low_rank, PopularityRecommender(),
    BlendedRecommender([("a", parts[0]), ("b", parts[1])]),
]]
for model in [*models, dual]:
    for rows in (X[:1], X, lock(X.copy())):
        lists = [[1, 2]] * rows.shape[0]
        items = model.recommend(rows, k=4)
        model.recommend(rows, k=4, candidates=lists, exclude=[3])
        if model is not models[3]:
            model.explain(rows, items, k=2)
            model.similar_items([1, 2], k=3)
        model.predict(rows)
ndcg_score(X, items, k=3)
"""


# Starts a program to which the permissions of files apply, also if root starts it: it loses
# CAP_DAC_OVERRIDE by PR_CAPBSET_DROP.
UNPRIVILEGED = """
import ctypes, os, sys
if os.geteuid() == 0:
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def compiled(code, cwd, env=None, is_privileged=True):
    """Return the names of the functions that a process compiles which runs some code."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")} | {
        "PYTHONPATH": str(PACKAGE.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-c", COUNT.format(code=code)]
    start = [] if is_privileged else [sys.executable, "-c", UNPRIVILEGED]
    done = subprocess.run(
        [*start, *command],
        cwd=cwd,
        env=environment | (env or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """Return a folder with a copy of the package, beside whose modules the machine code lies."""
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755)
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / "shallow_ae", ignore=without)
    at = {"PYTHONPATH": str(folder), "HOME": str(folder)}
    code = "import shallow_ae; shallow_ae.warm_up(fitting=True)"
    assert {"rank_dense", "solve", "mark_hits"} <= set(compiled(code, folder, env=at))
    return folder


def test_a_process_after_warm_up_compiles_nothing(warm):
    at = {"PYTHONPATH": str(warm), "HOME": str(warm)}
    assert compiled(RANK, warm, env=at) == []


def test_code_is_read_from_folders_that_cannot_be_written_to(warm):
    folders = [warm, *(path for path in warm.rglob("*") if path.is_dir())]
    at = {"PYTHONPATH": str(warm), "HOME": str(warm)}
    attempt = f"open({str(warm / 'shallow_ae' / 'new')!r}, 'w')"
    for folder in folders:
        folder.chmod(0o555)
    try:
        with pytest.raises(AssertionError, match="Permission denied"):
            compiled(attempt, "/", env=at, is_privileged=False)
        assert compiled(RANK, "/", env=at, is_privileged=False) == []
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_code_is_compiled_again_after_a_change_of_a_function_that_it_calls(warm, tmp_path):
    shutil.copytree(warm, tmp_path / "copy")
    at = {"PYTHONPATH": str(tmp_path / "copy"), "HOME": str(tmp_path)}
    code = "import shallow_ae; shallow_ae.warm_up()"
    for file in (tmp_path / "copy").rglob("*.py"):
        os.utime(file, (1e9, 1e9))
    assert compiled(code, tmp_path, env=at) == []
    file = tmp_path / "copy" / "shallow_ae" / "_weights" / "selection.py"
    file.write_text(file.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    found = compiled(code, tmp_path, env=at)
    assert {"rank_dense", "rank_sparse"} <= set(found)


def test_warm_up_knows_two_types():
    with pytest.raises(ValueError, match="int64, expected float32 or float64"):
        shallow_ae.warm_up(dtypes=[np.int64])


@pytest.mark.parametrize("order", ["C", "F"])
def test_arguments_of_kernels_have_one_type(order):
    given = np.asarray(np.arange(6.0).reshape(2, 3), order=order)
    given.flags.writeable = False
    argument = as_argument(given, np.float64)
    assert argument.flags.c_contiguous
    assert argument.flags.writeable
    np.testing.assert_array_equal(argument, given)
    assert np.shares_memory(argument, given) == (order == "C")


def test_an_argument_keeps_the_memory_that_it_shows():
    values = np.arange(1000.0)
    values.flags.writeable = False
    argument = as_argument(values, np.float64)
    del values
    np.testing.assert_array_equal(argument, np.arange(1000.0))
