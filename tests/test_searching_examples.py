"""The programs that search and draw, run as a person would."""

import importlib.util
from pathlib import Path

import pytest

from shallow_ae.datasets import make_listens

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def program(request):
    path = ROOT / "examples" / f"{request.param}.py"
    spec = importlib.util.spec_from_file_location(request.param, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("program", ["tuning"], indirect=True)
@pytest.mark.slow
def test_the_search_chooses_what_a_loop_does(program, monkeypatch, capsys):
    rates, unweighted = program.GRID
    fewer = {
        "shallowautoencoder__learning_rate": [0.004],
        "shallowautoencoder__regularization": [0.02],
    }
    assert fewer.keys() == rates.keys()
    monkeypatch.setattr(program, "GRID", [fewer, unweighted])
    listens, _ = make_listens(300, 150, random_state=0)
    monkeypatch.setattr(program, "read", lambda _: listens)
    search = program.main(["--by-hand"])
    told = capsys.readouterr().out
    chosen = told.split("Chosen: ")[1].splitlines()[0]
    assert f"By hand: {chosen}, no score further apart than" in told
    assert float(told.split()[-1]) < 1e-9  # means of one set of numbers; seen: 1e-16
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] > scores[1]  # weighted counts, and counts as they come: .49 and .31


@pytest.mark.parametrize("program", ["pictures"], indirect=True)
@pytest.mark.slow
def test_the_pictures_are_drawn(program, tmp_path):
    program.main(["--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "loss_curve.svg",
        "regularization_path.svg",
    ]
    assert all((ROOT / "docs" / "images" / path.name).exists() for path in tmp_path.iterdir())


@pytest.mark.parametrize("program", ["model_pictures"], indirect=True)
@pytest.mark.slow
def test_the_pictures_of_the_mathematics_are_drawn(program, tmp_path):
    program.main(["--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "closed_form.svg",
        "polynomial.svg",
        "shrinkage.svg",
        "zero_diagonal.svg",
    ]
    assert all((ROOT / "docs" / "images" / path.name).exists() for path in tmp_path.iterdir())
