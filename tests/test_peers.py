"""The comparison with other libraries: tables, plots, absent peers and rows that were ended."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from matplotlib.figure import Figure
from matplotlib.text import Text

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
PEERS = BENCHMARKS / "peers"

if not PEERS.is_dir():
    pytest.skip("the benchmarks are not beside the package", allow_module_level=True)
sys.path[:0] = [str(PEERS), str(BENCHMARKS)]
try:
    import environments
    import plots
    import run
    import suite
    import tables
finally:
    del sys.path[:2]


def row(library, model, data="gowalla", **figures):
    return {
        "library": library,
        "model": model,
        "label": model,
        "data": data,
        "settings": {"penalty": 80.0},
    } | figures


@pytest.fixture
def results():
    done = {"recall": 0.1, "rank_s": 2.0, "request_ms": 0.5}
    about = {"n_users": 100, "n_items": 50, "n_visible": 900, "n_hidden": 90}
    return {
        "machine": {"processor": "a processor", "cores": 2, "threads": 2, "python": "3.11"},
        "limit_s": 300,
        "k": 20,
        "minutes": 1.5,
        "versions": {"shallow_ae": "0.1", "Peer": "2.0"},
        "absent": {"SANSA": "no headers"},
        "data": {"gowalla": about | {"title": "Gowalla"}},
        "rows": [
            row("shallow_ae", "near", ndcg=0.164, fit_s=3.21, peak_mib=400.0, **done),
            row("shallow_ae", "exact", note="no memory"),
            row("Peer", "EASE", note="over 300 s"),
            row("Peer", "slow", fit_s=9.0, peak_mib=5000.0, note="over 300 s"),
            row("Peer", "ALS", ndcg=0.12, fit_s=46.4, peak_mib=130.4, **done),
            row("shallow_ae", "most popular", ndcg=0.03, fit_s=0.001, peak_mib=100.0, **done),
        ],
    }


def lines_of(text, name):
    return next(line for line in text.splitlines() if line.startswith(f"| {name} "))


def test_best_figures_are_bold_and_the_floor_is_no_rival(results):
    text = tables.full(results)
    assert "**.1640**" in lines_of(text, "**near**")
    assert "**3.21**" in lines_of(text, "**near**")
    assert "**130**" in lines_of(text, "Peer ALS")
    assert "**" not in lines_of(text, "most popular")


def test_an_ended_row_says_why(results):
    text = tables.full(results)
    assert lines_of(text, "Peer EASE").split("|")[4].strip() == "over 300 s"
    assert lines_of(text, "**exact**").split("|")[4].strip() == "no memory"
    assert [cell.strip() for cell in lines_of(text, "Peer slow").split("|")[4:6]] == [
        "9.00",
        "over 300 s",
    ]
    assert "over 300 s" in lines_of(tables.short(results), "Peer EASE")


def test_an_absent_peer_is_named_with_the_reason(results):
    assert "- SANSA: `no headers`" in tables.full(results)
    assert "SANSA" in tables.short(results)


@pytest.mark.parametrize("theme", plots.COLORS)
@pytest.mark.parametrize("name", plots.PLOTS)
def test_plots_are_images_without_a_background(name, theme, results):
    image = ET.fromstring(plots.draw(results, name, theme))
    svg = "{http://www.w3.org/2000/svg}"
    background = image.find(f".//{svg}g[@id='patch_1']/{svg}path")
    assert "fill: none" in background.get("style")


def test_there_is_no_headline_without_its_data(results):
    results["data"]["ml-1m"] = results["data"].pop("gowalla")
    for each in results["rows"]:
        each["data"] = "ml-1m"
    assert len(plots.all_plots(results)) == 2 * len(plots.COLORS)


def test_labels_do_not_cover_each_other():
    rng = np.random.default_rng(0)
    rows = [
        row("Peer", "a long name", fit_s=seconds, ndcg=ndcg)
        for seconds, ndcg in zip(rng.uniform(1, 100, 12), rng.uniform(0.1, 0.2, 12), strict=True)
    ]
    figure = Figure((8, 6))
    axes = figure.subplots()
    axes.plot([each["fit_s"] for each in rows], [each["ndcg"] for each in rows], "o")
    plots.place(axes, rows, plots.COLORS["light"])
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert len(boxes) == len(rows)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_a_fit_that_is_over_the_limit_by_far_is_not_tried(results):
    ease = next(row for row in suite.ROWS if row.library == "RecTools")
    results["data"]["ml-1m"] = {"n_users": 100, "n_items": 25}
    results["rows"] = [row("RecTools", "EASE", "ml-1m", fit_s=50.0)]
    assert not run.is_over(ease, "gowalla", results)
    results["rows"] = [row("RecTools", "EASE", "ml-1m", fit_s=60.0)]
    assert run.is_over(ease, "gowalla", results)
    assert not run.is_over(ease._replace(growth=None), "gowalla", results)


def test_a_stage_over_the_limit_ends_the_process(tmp_path):
    (tmp_path / "stage").write_text("fit 0", encoding="utf-8")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert run.ended_by(child, tmp_path, limit=300) == "over 300 s"
    assert child.poll() is not None


@pytest.mark.parametrize(
    ("message", "note"),
    [
        ("MemoryError: 12 GiB", "no memory"),
        ("ValueError: an error of a peer", "failed: ValueError: an error of a peer"),
    ],
)
def test_a_failure_is_told(message, note, tmp_path):
    (tmp_path / "messages").write_text(f"Traceback\n{message}\n", encoding="utf-8")
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
    assert run.ended_by(child, tmp_path, limit=300) == note


def test_a_peer_that_does_not_install_is_absent(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "make_environment", lambda *_: "note\nERROR: no wheel\nhint")
    (tmp_path / "sansa" / "bin").mkdir(parents=True)
    (tmp_path / "sansa" / "bin" / "python").symlink_to(sys.executable)
    found = environments.prepare(tmp_path, ["sansa"])["sansa"]
    assert (found.python, found.versions, found.absent) == ("", {}, "ERROR: no wheel")


@pytest.mark.slow
def test_a_child_measures_and_its_lists_are_scored(tmp_path):
    X = sp.random_array((60, 40), density=0.3, rng=0, format="csr", dtype=np.float32)
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    paths = {part: str(tmp_path / f"{part}.npz") for part in ("data", "hidden")}
    for path in paths.values():
        sp.save_npz(path, X)
    job = {"adapter": "ours:ShallowAE", "settings": {"kind": "exact", "penalty": 9.0}}
    job |= {"threads": 2, "k": suite.K, "serving": False, **paths}
    found = run.figures(sys.executable, job, limit=60)
    assert found["ndcg"] == found["recall"] == 0  # of what each user has: it is left out
    assert {"fit_s", "rank_s", "request_ms", "peak_mib"} <= found.keys()
    assert "note" not in found
