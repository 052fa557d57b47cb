"""Listens from files, from a generator and from Last.fm."""

import errno
import functools
import hashlib
import http.server
import sys
import threading
import zipfile
from pathlib import Path

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
        ("a x 1\nb y 1 2 3 4\n", r"line 2"),
        ("a x 1\n" * 100_000 + "b y 1 2 3 4\n", r"line 100001"),
        ("\n\na x 1\n\n\nb y 1 2\n", r"line 6"),
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


@pytest.mark.parametrize("before", ["", "a x 1\n", "\n"])
def test_a_long_line_is_refused_unread_and_told_in_short(tmp_path, before, monkeypatch):
    read, read_csv = [], pd.read_csv
    monkeypatch.setattr(pd, "read_csv", lambda *a, **k: read.append(read_csv(*a, **k)) or read[-1])
    path = written(tmp_path / "listens.txt", f"{before}a x {'y ' * 50_000}\n")
    with pytest.raises(ValueError, match=r"listens.txt.*line [12].*Expected lines of") as told:
        load_listens(path)
    # An index of all fields but the last four would take half a minute.
    assert all(isinstance(table.index, pd.RangeIndex) and table.shape[1] == 4 for table in read)
    assert len(str(told.value)) < 250 + len(str(path))


def test_what_is_quoted_of_a_line_is_short(tmp_path):
    path = written(tmp_path / "listens.txt", f"a {'x' * 10_000} many\n")
    with pytest.raises(ValueError, match=r"line 1 \('a x{75}\.\.\.'\)"):
        load_listens(path)


LISTENS = pd.DataFrame({"user": ["ann", "bob"], "item": ["x", "y"], "count": [3, 1]})


@pytest.mark.parametrize("blank", ["\n", "  \n", "\t\n", "\r\n"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_blank_line_leaves_counts_whole_numbers(tmp_path, blank, place):
    lines = ["ann x 3\n", "bob y 1\n"]
    lines.insert(place, blank)
    path = written(tmp_path / "listens.txt", "".join(lines))
    pd.testing.assert_frame_equal(load_listens(path), LISTENS, check_dtype=True)
    assert load_listens(path)["count"].dtype == np.int64


ODD = ["\u00a0", "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\u2028", "\u3000", "\ufeff", '"', "#"]


@pytest.mark.parametrize("odd", ODD)
def test_only_spaces_and_tabs_part_fields_in_both_formats(tmp_path, odd):
    ids = [f"a{odd}b", f"{odd}x", f"y{odd}"]
    if odd == "\ufeff":  # at the start of the file it would be a mark
        ids = [f"{letter}{odd}{letter}" for letter in "abc"]
    path = tmp_path / "lines.txt"
    path.write_bytes(f"{ids[0]} {ids[1]}\t1\n \t{ids[2]}  {ids[0]} 2".encode())
    assert load_listens(path).values.tolist() == [[*ids[:2], 1], [ids[2], ids[0], 2]]
    assert load_item_lists(path) == {ids[0]: [ids[1], "1"], ids[2]: [ids[0], "2"]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lines_end_alike_and_begin_alike_in_both_formats(tmp_path, end, mark):
    path = tmp_path / "lines.txt"
    path.write_bytes((mark + end.join(["ann x 3", "", "bob y 1", ""])).encode())
    pd.testing.assert_frame_equal(load_listens(path), LISTENS)
    assert load_item_lists(path) == {"ann": ["x", "3"], "bob": ["y", "1"]}
    path.write_bytes((mark + end.join(["ann x 3", "", "ann y"])).encode())
    with pytest.raises(ValueError, match="line 3"):
        load_listens(path)
    with pytest.raises(ValueError, match="line 3: a second line for user 'ann'"):
        load_item_lists(path)


def compressed(path, listens):
    listens.to_csv(path, sep=" ", header=False, index=False)
    return path.read_bytes()


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zip"])
def test_a_file_that_is_cut_short_or_damaged_is_told_by_its_name(tmp_path, ending):
    path = tmp_path / f"listens.txt.{ending}"
    listens, _ = make_listens(200, 100, random_state=0)
    whole = compressed(path, listens)
    for share in (0.3, 0.7, 0.99):
        path.write_bytes(whole[: int(len(whole) * share)])
        told = "cut short or damaged" if ending == "zip" else "cut short"
        with pytest.raises(ValueError, match=rf"listens.txt.{ending} is {told}.*again"):
            load_listens(path)
    damaged = bytearray(whole)
    damaged[40:60] = bytes(20)
    for content in (bytes(damaged), b"ann x 3\n" * 20):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"listens.txt.{ending} is .*damaged.*again"):
            load_listens(path)


@pytest.mark.parametrize(
    ("place", "own", "told"),
    [
        (8, 1, "encrypted, or damaged"),
        (10, 99, "cut short or damaged"),  # a compression that zipfile does not know
        (73, 255, "damaged"),  # leads to a place before the file
    ],
)
def test_a_zip_file_with_a_damaged_directory_is_told_by_its_name(tmp_path, place, own, told):
    path = tmp_path / "listens.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("listens.txt", "ann x 3\n")
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(b"PK\1\2") + place] = own
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=rf"listens.zip is {told} .*again"):
        load_listens(path)


def test_a_file_that_is_not_there_is_no_damaged_one(tmp_path):
    for name in ("listens.txt", "listens.txt.gz", "listens.txt.zip"):
        with pytest.raises(FileNotFoundError):
            load_listens(tmp_path / name)


@pytest.mark.parametrize("data", [b"ann x\xff 3\n", b"\xef", b"\xef\xbb"])
def test_bytes_that_are_no_text_are_told_with_the_name_of_the_file(tmp_path, data):
    path = tmp_path / "lines.txt"
    path.write_bytes(data)
    for load in (load_listens, load_item_lists):
        with pytest.raises(ValueError, match=r"lines.txt is no text in UTF-8"):
            load(path)


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


def test_lastfm_that_cannot_be_unpacked_leaves_no_file(served, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "_LASTFM_SHA256", hashlib.sha256(served.read_bytes()).hexdigest())

    def begin_to_unpack(name, action, pup):
        (Path(name).parent / "user_artists.dat").write_text("userID\tartistID", encoding="utf-8")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pooch.Unzip", lambda **_: begin_to_unpack)
    with pytest.raises(OSError, match=r"No space left .* nothing was written.* Free some space"):
        fetch_lastfm(tmp_path / "home")
    assert list((tmp_path / "home" / "lastfm_2k").iterdir()) == []


def test_lastfm_with_a_wrong_checksum_is_refused(served, tmp_path):
    with pytest.raises(OSError, match=r"Could not download .* Unpack that archive by hand"):
        fetch_lastfm(tmp_path / "home")
    assert not (tmp_path / "home" / "lastfm_2k" / "user_artists.dat").exists()


def test_lastfm_without_a_network_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "_LASTFM_URL", "http://127.0.0.1:9/lastfm.zip")
    with pytest.raises(OSError, match=r"fetch_lastfm\(data_home=folder\)"):
        fetch_lastfm(tmp_path)


def test_lastfm_is_not_downloaded_where_that_is_not_wanted(tmp_path):
    with pytest.raises(OSError, match="`download_if_missing` is False"):
        fetch_lastfm(tmp_path, download_if_missing=False)


def test_lastfm_names_the_extra_that_downloads_need(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pip install 'shallow-ae\[fetch\]'"):
        fetch_lastfm(tmp_path)


PLAYS = "userID\tartistID\tweight\r\n" + "".join(f"{u}\t5{u}\t1{u}\r\n" for u in range(1, 9))
ARTISTS = "id\tname\turl\tpictureURL\n" + "".join(
    f"5{u}\tname {u}\thttp://x\thttp://y\n" for u in range(1, 9)
)


def test_lastfm_cut_short_anywhere_is_refused(tmp_path):
    plays, artists = tmp_path / "user_artists.dat", tmp_path / "artists.dat"
    plays.write_bytes(PLAYS.encode())
    artists.write_bytes(ARTISTS.encode())
    assert fetch_lastfm(tmp_path).listens.shape == (8, 3)
    again = "Delete it and download it again"
    for end in range(len(PLAYS)):
        plays.write_bytes(PLAYS[:end].encode())
        if PLAYS[:end].endswith("\n") and PLAYS[:end].count("\n") > 1:
            assert len(fetch_lastfm(tmp_path).listens) < 8  # a shorter file, not a cut one
            continue
        with pytest.raises(ValueError, match=rf"user_artists.dat .*{again}"):
            fetch_lastfm(tmp_path)
    plays.write_bytes(PLAYS.encode())
    for end in range(len(ARTISTS)):
        artists.write_bytes(ARTISTS[:end].encode())
        with pytest.raises(ValueError, match=rf"artists.dat .*{again}"):
            fetch_lastfm(tmp_path)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1\t51", "other than 3 fields in line 10"),
        ("1\t51\t2\t3", "other than 3 fields in line 10"),
        ("1\t\t2", "no whole number of 64 bits in line 10"),
        ("1\t51\t" + "5" * 20, "no whole number of 64 bits in line 10"),
        ("1\t51\tx", "no whole number of 64 bits in line 10"),
        ("", "other than 3 fields in line 10"),
        ("\0\0\0\0", "other than 3 fields in line 10"),
        ("1\t99\t2", "no name for the item 99"),
    ],
)
def test_lastfm_with_a_bad_line_is_refused(tmp_path, line, told):
    (tmp_path / "user_artists.dat").write_bytes(f"{PLAYS}{line}\r\n".encode())
    (tmp_path / "artists.dat").write_bytes(ARTISTS.encode())
    with pytest.raises(ValueError, match=rf"\.dat .*{told}.*download it again"):
        fetch_lastfm(tmp_path)


def test_lastfm_as_it_is(lastfm_folder):
    data = fetch_lastfm(lastfm_folder)
    assert data.listens.shape == (92834, 3)
    assert data.listens["user"].nunique() == 1892
    assert data.listens["item"].nunique() == 17632
    assert data.listens["count"].max() == 352698
    assert data.artists[data.listens["item"]].notna().all()
