"""Text files of any bytes: a reader in plain Python reads the same from them, or both refuse.

The first byte of a case chooses the format, and the rest is the file.
"""

import contextlib
import csv
import io
import math
import re
import tempfile
import warnings
from pathlib import Path

from byte_fuzzing import Target, instrumented, main

with instrumented():
    from shallow_ae.data.ids import IdMapper
    from shallow_ae.data.sources import as_table
    from shallow_ae.datasets import fetch_lastfm, load_item_lists, load_listens

FOLDER = tempfile.TemporaryDirectory()
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
_LASTFM_NAMES = ("userID\tartistID\tweight", "id\tname\turl\tpictureURL")


class Refused(Exception):  # noqa: N818
    """The plain reader takes this for no file of its format, for a line of this number."""


def lines_of(data):
    """Return the fields of each line by its number, without blank lines."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(None) from None
    lines = enumerate(re.split("\r\n|\n|\r", text), start=1)
    fields = {number: [own for own in re.split("[ \t]+", line) if own] for number, line in lines}
    return {number: own for number, own in fields.items() if own}


def plain_listens(data):
    lines = lines_of(data)
    if not lines:
        raise Refused(None)
    for number, fields in lines.items():
        count = fields[-1].strip("\v\f")  # as `float` does
        if len(fields) != 3 or not _NUMBER.fullmatch(count) or not 0 <= float(count) < math.inf:
            raise Refused(number)
    return [(user, item, float(count)) for user, item, count in lines.values()]


def plain_lists(data):
    lists = {}
    for number, (user, *items) in lines_of(data).items():
        if user in lists:
            raise Refused(number)
        lists[user] = items
    return lists


def compared(read, expected, data, path):
    """Return what both readers return, or None if both refuse; else raise an AssertionError."""
    try:
        wanted, refused = expected(data), None
    except Refused as error:
        wanted, refused = None, error
    try:
        found = read(path)
    except ValueError as error:
        assert refused is not None, f"refused, though plain Python reads it: {error}"
        check_message(error, path)
        if (number := refused.args[0]) is not None:
            told = re.search(r"\bline (\d+)", str(error))
            assert told, f"no line in: {error}"
            assert int(told[1]) >= number, f"line {number} is the first bad one, not: {error}"
        return None
    assert refused is None, f"read, though plain Python refuses it for line {refused.args[0]}"
    return found, wanted


def check_message(error, path):
    assert type(error) is ValueError, f"{type(error).__name__} in place of a ValueError: {error}"
    assert str(path) in str(error), f"an error without the name of the file: {error}"


def check_listens(data):
    both = compared(load_listens, plain_listens, data, written("listens.txt", data))
    if both:
        frame, wanted = both
        columns = frame[["user", "item", "count"]].itertuples(index=False)
        assert len(frame) == len(wanted)
        for (user, item, count), (*ids, number) in zip(columns, wanted, strict=True):
            assert [user, item] == ids
            assert math.isclose(count, number, rel_tol=1e-14, abs_tol=5e-324), (count, number)


def check_lists(data):
    both = compared(load_item_lists, plain_lists, data, written("truth.txt", data))
    if both:
        assert list(both[0].items()) == list(both[1].items())


def check_separated(data, suffix, separator):
    """Compare the ids of a file without quotation marks; of any file, only the kind of errors."""
    path = written(f"interactions{suffix}", data)
    try:
        table = as_table(path, "user", "item", "count")
    except ValueError as error:
        return check_message(error, path)
    with contextlib.suppress(ValueError):  # an unsuitable column
        IdMapper().fit(path)
    if b'"' in data or b"\0" in data or not {"user", "item"} <= set(table.columns):
        return None
    text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if any_text(row)]
    header, *rows = rows
    if len(set(header)) < len(header) or {len(row) for row in rows} - {len(header)}:
        return None  # pandas renames columns that are named alike, and fills short rows
    assert len(table) == len(rows), f"{len(table)} rows in place of {len(rows)}"
    for name in ("user", "item"):
        if table[name].dtype.kind in "OT" or str(table[name].dtype) == "str":
            own = ["" if given != given else str(given) for given in table[name]]
            assert own == [row[header.index(name)] for row in rows]
    return None


def any_text(row):
    return len(row) > 1 or (len(row) == 1 and row[0].strip(" \t"))


def check_compressed(data, suffix):
    path = written(f"listens.txt{suffix}", data)
    try:
        load_listens(path)
    except ValueError as error:
        check_message(error, path)


def check_lastfm(data):
    """Check that the numbers of a Last.fm file are whole, or its name is told."""
    plays, _, artists = data.partition(b"\0")
    folder = Path(FOLDER.name)
    for name, own in (("user_artists.dat", plays), ("artists.dat", artists)):
        (folder / name).write_bytes(own)
    try:
        found = fetch_lastfm(folder, download_if_missing=False)
    except ValueError as error:
        return check_message(error, folder)
    lines = plays.decode().replace("\r\n", "\n")[:-1].split("\n")[1:]
    wanted = [tuple(map(int, line.split("\t"))) for line in lines]
    assert list(found.listens.itertuples(index=False, name=None)) == wanted
    return None


def written(name, data):
    path = Path(FOLDER.name, name)
    path.write_bytes(data)
    return path


CHECKS = [
    check_listens,
    check_lists,
    lambda data: check_separated(data, ".csv", ","),
    lambda data: check_separated(data, ".tsv", "\t"),
    check_lastfm,
    check_listens,
    *[lambda data, suffix=suffix: check_compressed(data, suffix) for suffix in _COMPRESSED],
]


def check(data):
    """Check one file, in the format that the first byte chooses."""
    if data:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", UserWarning)  # of names of columns, for the user
            CHECKS[data[0] % len(CHECKS)](data[1:])


def seeds():
    """Return files of each format, with what each format gives a meaning to."""
    listens = ["ann x 3\nbob\ty 1.5\n", "\ufeffann x 3\r\n\r\n  bob y 1e3\r", 'NA "nan 0\n\n']
    listens += [
        "a x 1\nb y 1 2 3 4\n",
        "a x -1\n",
        "a x inf\n",
        "ann x 3 \n",
        "\n \n",
        "é\v \x85 1",
    ]
    tables = ["user,item,count\nann,x,3\n007,NA,1\n", 'user,item\n"a,b","x\ny"\n\n', "user,item\n"]
    tables += ["\ufeffuser,item,time,count\r\nann,x,2020-01-01,1.5\r\n", "user,item\n1,2\n,3\n"]
    lastfm = "{}\n2\t51\t13883\n2\t52\t1\n\0{}\n51\tDuran Duran\tu\tp\n52\tMorcheeba\tu\tp\n"
    found = [bytes([n]) + own.encode() for n in (0, 1) for own in listens]
    found += [b"\2" + own.encode() for own in tables]
    found += [b"\3" + own.replace(",", "\t").encode() for own in tables]
    found.append(b"\4" + lastfm.format(*_LASTFM_NAMES).encode())
    return [*found, *(bytes([6 + n]) + packed(own) for n, own in enumerate(_COMPRESSED))]


def packed(suffix):
    import pandas as pd

    path = Path(FOLDER.name, f"packed.txt{suffix}")
    pd.DataFrame({"u": ["ann"], "i": ["x"], "c": [3]}).to_csv(
        path, sep=" ", header=False, index=False
    )
    return path.read_bytes()


TARGET = Target(check, seeds)

if __name__ == "__main__":
    main(TARGET)
