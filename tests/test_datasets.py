"""Listens from files, from a generator and from Last.fm."""

import functools
import hashlib
import http.server
import sys
import threading
import zipfile

import numpy as np
import pandas as pd
import pytest

from shallow_ae import datasets
from shallow_ae.datasets import fetch_lastfm, load_item_lists, load_listens, make_listens


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_listens_are_read_as_they_stand(tmp_path):
    path = written(tmp_path / "listens.txt", 'ann  x 3\nNA\t"nan 1.5\n\n  007 é 0\n\n')
    frame = load_listens(path)
    assert frame.values.tolist() == [["ann", "x", 3.0], ["NA", '"nan', 1.5], ["007", "é", 0.0]]
    assert frame.columns.tolist() == ["user", "item", "count"]


def test_what_was_written_is_read_back_compressed_too(tmp_path):
    listens, _ = make_listens(30, 20, random_state=0)
    listens.to_csv(tmp_path / "listens.txt.gz", sep=" ", header=False, index=False)
    pd.testing.assert_frame_equal(load_listens(tmp_path / "listens.txt.gz"), listens)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a x 1\n\na x\n", r"line 3 \('a x'\) is the first of 1 bad lines"),
        ("a x 1\nb y 1 2\n", r"line 2 \('b y 1 2'\)"),
        ("a x 1\nb y 1 2 3 4\n", r"line 2, saw 6"),
        ("a x 1\nb y many\nc z few\n", r"line 2 \('b y many'\) is the first of 2 bad lines"),
        ("a x -1\n", r"line 1 \('a x -1'\)"),
        ("a x inf\n", "line 1"),
        ("a x nan\n", "line 1"),
        ("", "is empty"),
        ("\n\n", "is empty"),
    ],
)
def test_bad_lines_are_told_with_their_number(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"listens.txt.*{message}(.|\n)*Expected lines of `user"):
        load_listens(written(tmp_path / "listens.txt", text))


def test_item_lists_are_read_in_order(tmp_path):
    path = written(tmp_path / "truth.txt", "ann x y  z\n\nbob\n")
    assert load_item_lists(path) == {"ann": ["x", "y", "z"], "bob": []}


def test_a_second_line_of_a_user_is_told_with_its_number(tmp_path):
    path = written(tmp_path / "truth.txt", "ann x\nbob y\nann z\n")
    with pytest.raises(ValueError, match="line 3: a second line for user 'ann'"):
        load_item_lists(path)


def test_made_listens_are_believable_and_hold_out_a_truth():
    listens, truth = make_listens(500, 1000, items_per_user=20, holdout=0.25, random_state=0)
    assert listens["user"].nunique() == len(truth) == 500
    assert not listens.duplicated(["user", "item"]).any()
    assert listens["count"].min() == 1
    per_user = listens.groupby("user")["item"].agg(set)
    assert all(per_user[user].isdisjoint(items) for user, items in truth.items())
    shares = [len(items) / (len(items) + len(per_user[user])) for user, items in truth.items()]
    assert np.mean(shares) == pytest.approx(0.25, abs=0.01)
    # Heavy tails: a tenth of the songs has over a third of the listeners, a few plays most.
    popularity = listens["item"].value_counts()
    assert popularity.head(100).sum() > popularity.sum() / 3
    assert listens["count"].max() > 100 * listens["count"].median()


def test_made_listens_follow_their_seed():
    first, again, other = (make_listens(30, 20, random_state=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first[0], again[0])
    assert first[1] == again[1]
    assert not first[0].equals(other[0])


@pytest.fixture
def archive(tmp_path):
    """Return a folder with a small archive in the layout of the real one."""
    folder = tmp_path / "server"
    folder.mkdir()
    with zipfile.ZipFile(folder / "lastfm.zip", "w") as zipped:
        zipped.writestr("user_artists.dat", "userID\tartistID\tweight\r\n2\t51\t7\r\n")
        zipped.writestr("artists.dat", 'id\tname\turl\tpictureURL\n51\t"NA\thttp://x\thttp://y\n')
        zipped.writestr("readme.txt", "terms")
    return folder / "lastfm.zip"


@pytest.fixture
def served(archive, monkeypatch):
    """Serve the archive on the loopback interface in place of the real one."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=archive.parent)
    handler.log_message = None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(
            datasets, "_LASTFM_URL", f"http://127.0.0.1:{server.server_port}/{archive.name}"
        )
        yield archive
        server.shutdown()


def test_lastfm_is_downloaded_once_and_checked(served, tmp_path, monkeypatch):
    sha256 = hashlib.sha256(served.read_bytes()).hexdigest()
    monkeypatch.setattr(datasets, "_LASTFM_SHA256", sha256)
    home = tmp_path / "home"
    data = fetch_lastfm(home)
    assert data.listens.to_dict("list") == {"user": [2], "item": [51], "count": [7]}
    assert data.artists[51] == '"NA'
    served.unlink()
    for place in (home, home / "lastfm_2k"):  # both serve as a local copy
        pd.testing.assert_frame_equal(fetch_lastfm(place).listens, data.listens)


def test_lastfm_with_a_wrong_checksum_is_refused(served, tmp_path):
    with pytest.raises(OSError, match=r"Could not download .* Unpack that archive by hand"):
        fetch_lastfm(tmp_path / "home")
    assert not (tmp_path / "home" / "lastfm_2k" / "user_artists.dat").exists()


def test_lastfm_without_a_network_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "_LASTFM_URL", "http://127.0.0.1:9/lastfm.zip")
    with pytest.raises(OSError, match=r"fetch_lastfm\(data_home=folder\)"):
        fetch_lastfm(tmp_path)


def test_lastfm_is_not_downloaded_where_that_is_not_wanted(tmp_path):
    with pytest.raises(OSError, match="download_if_missing is False"):
        fetch_lastfm(tmp_path, download_if_missing=False)


def test_lastfm_names_the_extra_that_downloads_need(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pip install 'shallow-ae\[fetch\]'"):
        fetch_lastfm(tmp_path)


def test_lastfm_as_it_is(lastfm_folder):
    data = fetch_lastfm(lastfm_folder)
    assert data.listens.shape == (92834, 3)
    assert data.listens["user"].nunique() == 1892
    assert data.listens["item"].nunique() == 17632
    assert data.listens["count"].max() == 352698
    assert data.artists[data.listens["item"]].notna().all()
