"""The example, run as a person would."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from shallow_ae import ndcg_score
from shallow_ae.datasets import load_item_lists, make_listens

PATH = Path(__file__).resolve().parents[1] / "examples" / "jukebox.py"


@pytest.fixture(scope="module")
def jukebox():
    spec = importlib.util.spec_from_file_location("jukebox", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder with the listens and the truth in the notebook's formats."""
    folder = tmp_path_factory.mktemp("listens")
    listens, truth = make_listens(1100, 300, items_per_user=12, random_state=0)
    listens.to_csv(folder / "listen_count.txt", sep=" ", header=False, index=False)
    lines = [" ".join([user, *items]) for user, items in truth.items()]
    (folder / "TEST_DATA.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


def recommended_lines(folder):
    return (folder / "rec_result.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("settings", [[], ["--notebook"]])
def test_from_files_to_files(jukebox, files, tmp_path, settings, capsys):
    paths = [str(files / "listen_count.txt"), "--truth", str(files / "TEST_DATA.txt")]
    score = jukebox.main([*paths, "--out", str(tmp_path), *settings])

    truth = load_item_lists(files / "TEST_DATA.txt")
    recommended = load_item_lists(tmp_path / "rec_result.txt")
    ruler = {"ideal": "full", "no_recommendations": "omit"} if settings else {}
    assert ndcg_score(truth, recommended, k=100, **ruler) == score
    users = (tmp_path / "user_id.txt").read_text(encoding="utf-8").split()
    assert users == list(recommended)
    assert all(len(items) == 100 == len(set(items)) for items in recommended.values())

    told = capsys.readouterr().out
    assert "of 1,100 users and 300 songs" in told
    figures = [float(line.split()[-1]) for line in told.splitlines() if line.startswith("  ")]
    assert figures[0] == pytest.approx(score, abs=1e-4)  # printed with four decimals
    assert figures[0] > max(figures[1:])  # seen: 1.6 times


@pytest.mark.slow
def test_the_default_is_made_up_and_follows_its_seed(jukebox, tmp_path):
    arguments = ["--seed", "1", "--out"]
    first = jukebox.main([*arguments, str(tmp_path / "a")])
    assert jukebox.main([*arguments, str(tmp_path / "b")]) == first
    assert recommended_lines(tmp_path / "a") == recommended_lines(tmp_path / "b")
    assert len(recommended_lines(tmp_path / "a")) == 2000


def test_names_are_shown_where_they_are_known(jukebox, tmp_path, capsys):
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, [30, 40], size=(500, 2)), axis=0)
    listens = "".join(f"{user}\t{item}\t{user + item + 1}\r\n" for user, item in pairs)
    artists = "".join(f"{item}\tArtist {item}\turl\turl\n" for item in range(40))
    files = {
        "user_artists.dat": "userID\tartistID\tweight\r\n" + listens,
        "artists.dat": "id\tname\turl\tpictureURL\n" + artists,
    }
    for name, lines in files.items():  # as they are, on Windows too
        (tmp_path / name).write_text(lines, encoding="utf-8", newline="")
    jukebox.main(["--lastfm", str(tmp_path), "--out", str(tmp_path / "out")])
    told = capsys.readouterr().out
    assert told.count("played most: Artist") == 3
    assert told.count("recommended: Artist") == 3


def test_truth_without_listens_is_refused(jukebox, capsys):
    with pytest.raises(SystemExit):
        jukebox.main(["--truth", "TEST_DATA.txt"])
    assert "--truth goes with a file of listens" in capsys.readouterr().err
