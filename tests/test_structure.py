"""The public names, and the page on structure against the files."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import shallow_ae

PACKAGE = Path(shallow_ae.__file__).parent
PAGE = PACKAGE.parent / "docs" / "structure.md"

PUBLIC = {
    "shallow_ae": {
        "BlendedRecommender",
        "BlendedRecommenderCV",
        "IdMapper",
        "LogCountTransformer",
        "LowRankAutoEncoder",
        "ModelFileError",
        "PopularityRecommender",
        "RecommenderPipeline",
        "ServingRecommender",
        "ShallowAutoEncoder",
        "ShallowAutoEncoderCV",
        "SparseShallowAutoEncoder",
        "TimeWindowSplit",
        "evaluate",
        "hold_out_after",
        "hold_out_items",
        "hold_out_users",
        "load_model",
        "make_ranking_scorer",
        "make_recommender",
        "ndcg_score",
        "save_model",
        "warm_up",
    },
    "shallow_ae.metrics": {
        "coverage_score",
        "gini_score",
        "hit_rate_score",
        "map_score",
        "mrr_score",
        "ndcg_score",
        "novelty_score",
        "precision_score",
        "recall_score",
    },
    "shallow_ae.evaluation": {"evaluate", "item_lists"},
    "shallow_ae.datasets": {"fetch_lastfm", "load_item_lists", "load_listens", "make_listens"},
    "shallow_ae.display": {"LossCurveDisplay", "RegularizationPathDisplay"},
    "shallow_ae.model_selection": {
        "BlendedRecommenderCV",
        "RankingScorer",
        "ShallowAutoEncoderCV",
        "TimeWindowSplit",
        "make_ranking_scorer",
    },
    "shallow_ae.persistence": {"ModelFileError", "load_model", "save_model"},
    "shallow_ae.serving": {"Recommendations", "ScoredItems", "ServingRecommender"},
    "shallow_ae.pipeline": {"RecommenderPipeline", "make_recommender"},
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_can_be_imported(module):
    found = importlib.import_module(module)
    assert all(hasattr(found, name) for name in PUBLIC[module])
    if hasattr(found, "__all__"):
        assert set(found.__all__) == PUBLIC[module]
        assert set(dir(found)) >= PUBLIC[module]


def test_type_checkers_see_the_public_names():
    stub = ast.parse(PACKAGE.joinpath("__init__.pyi").read_text(encoding="utf-8"))
    imported = {
        name.asname: importlib.import_module(line.module)
        for line in ast.walk(stub)
        if isinstance(line, ast.ImportFrom)
        for name in line.names
    }
    assert set(imported) == PUBLIC["shallow_ae"]
    assert all(getattr(shallow_ae, name) is getattr(own, name) for name, own in imported.items())


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'recommend'"):
        shallow_ae.recommend  # noqa: B018


def documented():
    """Return what the page says of each file."""
    block = re.search("```\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL).group(1)
    folders, lines = [], {}
    for line in block.splitlines():
        indent = (len(line) - len(line.lstrip())) // 4
        name, sentence = line.split(maxsplit=1)
        folders[indent:] = [name.rstrip("/")]
        file = "/".join(folders)
        lines[f"{file}/__init__.py" if name.endswith("/") else file] = sentence
    return lines


@pytest.mark.skipif(not PAGE.exists(), reason="the docs are not beside the package")
def test_the_page_on_structure_lists_each_file_with_its_first_line():
    files = [file for file in PACKAGE.rglob("*.py") if file != PACKAGE / "__init__.py"]
    first_lines = {
        file.relative_to(PACKAGE).as_posix(): ast.get_docstring(
            ast.parse(file.read_text(encoding="utf-8"))
        ).splitlines()[0]
        for file in files
    }
    assert documented() == first_lines


@pytest.mark.parametrize(
    "work",
    [
        "pass",
        "m = shallow_ae.ShallowAutoEncoder(solver='exact').fit(X); m.recommend(X, 1)",
        "m = shallow_ae.SparseShallowAutoEncoder().fit(X); m.recommend(X, 1)",
        "m = shallow_ae.LowRankAutoEncoder().fit(X); m.recommend(X, 1)",
    ],
)
def test_jax_is_not_imported_before_a_descent(work):
    before = "import shallow_ae, sys, numpy as np; from shallow_ae import *"
    after = "print('jax' in sys.modules)"
    code = f"{before}; X = np.eye(4) + 1; {work}; {after}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_importing_compiles_nothing():
    code = "import sys; from shallow_ae import *; print('numba' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
