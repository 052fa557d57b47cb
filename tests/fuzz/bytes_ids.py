"""Interactions whose ids and counts are any scalars: IdMapper numbers them as a dictionary does.

The bytes of a case choose the rows, the types of their values and the form of the table. In lists
and arrays of objects, ids compare as in Python: 1 == 1.0 == True, and "1" is another id. Frames of
pandas and Polars convert some values on their way, so what they hold is read back from them.
"""

import datetime
import decimal
import fractions
import math
import uuid
import warnings

import numpy as np
import pandas as pd
import polars as pl
from byte_fuzzing import Target, instrumented, main

with instrumented():
    from shallow_ae.data.ids import IdMapper

_FLOATS = [0.0, -0.0, 0.5, 1.0, 2.0, 2.0**53, 1e300, math.nan, math.inf, -1.0]
_INTEGERS = [0, 1, 2, -1, 127, 255, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**70)]
_TEXTS = ["", "a", "b", "1", "nan", "None", "é", "e\u0301", "\0", "a\0", " a", "\ud800", "😀"]
_DAY = datetime.date(2020, 1, 1)


class Choices:
    """Chooses values by the bytes of a case; 0 at their end."""

    def __init__(self, data):
        self._left = iter(data)

    def below(self, n):
        return next(self._left, 0) % n

    def of(self, values):
        return values[self.below(len(values))]


# Not among them: np.bool_, which cannot be compared with large integers, np.datetime64, which is
# equal to a date and has another hash, and Decimal, which cannot be compared with NumPy's integers.
KINDS = [
    lambda choose: choose.of(_TEXTS),
    lambda choose: choose.of(_INTEGERS),
    lambda choose: choose.of(_FLOATS),
    lambda choose: choose.of([True, False]),
    lambda choose: np.int64(choose.below(4)),
    lambda choose: np.uint8(choose.below(4)),
    lambda choose: np.float32(choose.below(4) / 2),
    lambda choose: np.float64(choose.of(_FLOATS)),
    lambda choose: np.str_(choose.of(_TEXTS)),
    lambda choose: bytes([choose.below(3)]) * choose.below(3),
    lambda choose: (choose.below(2), choose.of(_TEXTS)),
    lambda choose: frozenset({choose.below(3)}),
    lambda choose: fractions.Fraction(choose.below(4), 2),
    lambda choose: uuid.UUID(int=choose.below(3)),
    lambda choose: _DAY + datetime.timedelta(choose.below(2)),
    lambda choose: pd.Timestamp(2020, 1, 1 + choose.below(2)),
    lambda choose: pd.Timedelta(choose.below(2), "D"),
    lambda choose: complex(choose.below(2), choose.below(2)),
    lambda choose: choose.of([None, pd.NA, pd.NaT, np.datetime64("NaT"), [], {}]),
]


def rows_of(choose):
    """Return a list of tuples, and whether they have counts."""
    kinds = [choose.of(KINDS) for _ in range(1 + choose.below(3))]
    has_counts = bool(choose.below(2))
    rows = []
    for _ in range(1 + choose.below(9)):
        ids = choose.of(kinds)(choose), choose.of(kinds)(choose)
        rows.append((*ids, count_of(choose)) if has_counts else ids)
    return rows, has_counts


def count_of(choose):
    if choose.below(8):
        return choose.of([1, 2, 1.5, 0, np.float32(3), np.int8(2), True])
    return choose.of([*_INTEGERS, *_FLOATS, "3", "many", None, 1j, _DAY, decimal.Decimal(2), [1]])


def is_missing(own):
    return own is None or own is pd.NA or own is pd.NaT or not own == own  # noqa: SIM201


class Refused(Exception):  # noqa: N818
    """A dictionary cannot count these rows."""


def counted(rows, has_counts):
    """Return the users, the items and the counts of each pair, as a dictionary has them."""
    users, items, sums = {}, {}, {}
    for user, item, *rest in rows:
        try:
            if is_missing(user) or is_missing(item):
                raise Refused("a missing id")
            row, column = users.setdefault(user, len(users)), items.setdefault(item, len(items))
        except (TypeError, ValueError):
            raise Refused("an id that is not hashable") from None
        count = number_of(rest[0]) if has_counts else 1.0
        sums[row, column] = sums.get((row, column), 0.0) + count
    if not any(sums.values()):
        raise Refused("all counts are 0")
    largest = np.finfo(np.float64).max
    if max(sums.values()) > largest:
        raise Refused("a sum beyond the range of the type")
    return list(users), list(items), sums


def number_of(own):
    if isinstance(own, complex | datetime.date | np.datetime64):
        raise Refused("no number")
    try:
        number = float(own)
    except (TypeError, ValueError, OverflowError):
        raise Refused("no number") from None
    if not 0 <= number < math.inf:
        raise Refused("a count that is negative or not finite")
    return number


def as_list(rows, _):
    return rows, rows


def as_objects(rows, has_counts):
    array = np.empty((len(rows), 2 + has_counts), object)
    for place, row in enumerate(rows):
        for column, own in enumerate(row):
            array[place, column] = own
    return array, rows


def as_pandas(rows, has_counts):
    names = ["user", "item", "count"][: 2 + has_counts]
    columns = {name: list(own) for name, own in zip(names, zip(*rows, strict=True), strict=True)}
    frame = pd.DataFrame({name: pd.Series(own) for name, own in columns.items()})
    return frame, list(zip(*(frame[name].tolist() for name in names), strict=True))


def as_polars(rows, has_counts):
    frame = pl.DataFrame(as_pandas(rows, has_counts)[0].to_dict("list"))
    return frame, frame.rows()


FORMS = [as_list, as_objects, as_pandas, as_polars]


def check(data):
    """Check one table."""
    choose = Choices(data)
    form = choose.of(FORMS)
    rows, has_counts = rows_of(choose)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            table, held = form(rows, has_counts)
        except Exception:  # pandas or Polars makes no such frame
            return
        check_table(table, held, has_counts)


def check_table(table, rows, has_counts):
    mapper = IdMapper()
    try:
        wanted = counted(rows, has_counts)
    except Refused as error:
        wanted = error
    try:
        X = mapper.fit_transform(table)
    except (TypeError, ValueError) as error:
        is_too_large = "holds at most" in str(error)
        assert isinstance(wanted, Refused) or is_too_large, f"{error!r} for {rows}"
        return
    assert not isinstance(wanted, Refused), f"no error, though: {wanted}, {rows}"
    users, items, sums = wanted
    same_ids(mapper.users_, users)
    same_ids(mapper.items_, items)
    assert X.shape == (len(users), len(items))
    expected = np.zeros(X.shape)
    for place, count in sums.items():
        expected[place] = count
    np.testing.assert_allclose(X.toarray(), expected, rtol=1e-6)
    again = IdMapper().fit(table)
    assert (again.transform(table) != X).nnz == 0
    for index, own in ((again.item_index, again.items_), (again.user_index, again.users_)):
        assert index(own).tolist() == list(range(len(own)))
        if own.dtype.kind not in "mM":  # NumPy's dates of a Polars column are no dates of Python
            assert index(items if own is again.items_ else users).tolist() == index(own).tolist()
    same_ids(again.item_ids(range(len(items))), items)
    same_ids(again.users_in(table), users)


def same_ids(found, wanted):
    assert len(found) == len(wanted), f"{list(found)} in place of {wanted}"
    for one, other in zip(list(found), wanted, strict=True):
        is_date = isinstance(other, datetime.date | datetime.timedelta)
        assert one == other or (is_date and same_date(one, other)), f"{one!r} {other!r}"


def same_date(one, other):
    read = pd.Timedelta if isinstance(other, datetime.timedelta) else pd.Timestamp
    return read(one) == read(other)


def seeds():
    """Return bytes that choose each form and each kind of ids."""
    found = []
    for form in range(len(FORMS)):
        for kind in range(len(KINDS)):
            found.append(bytes([form, 1, kind, 0, kind % 2, 6, *range(kind % 3, 40)]))
    return found


TARGET = Target(check, seeds)

if __name__ == "__main__":
    main(TARGET)
