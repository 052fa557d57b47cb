"""Columns of times of every kind as numbers, and lengths of time in the same unit."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from shallow_ae.data.times import as_duration, times_in

DAYS = [dt.date(2024, 1, 2), dt.date(1969, 12, 31)]
MOMENTS = [dt.datetime(2024, 1, 2, 3, 4, 5, 6), dt.datetime(1969, 12, 31)]
SECONDS = [moment.replace(microsecond=0) for moment in MOMENTS]
PARIS = dt.timezone(dt.timedelta(hours=1))
IN_PARIS = [moment.replace(tzinfo=PARIS) for moment in MOMENTS]
IN_UTC = [moment - dt.timedelta(hours=1) for moment in MOMENTS]
STAMPS = pd.Series(pd.to_datetime(MOMENTS))
MONTHS = [dt.datetime(2024, 1, 1), dt.datetime(1969, 12, 1)]


def nanoseconds(moments):
    days = [(moment - type(moment)(1970, 1, 1)) for moment in moments]
    return [length // dt.timedelta(microseconds=1) * 1000 for length in days]


def polars_dates(moments, unit, zone=None):
    return pl.Series(moments).dt.cast_time_unit(unit).dt.replace_time_zone(zone)


DATES = {
    "pandas ns": (STAMPS.astype("datetime64[ns]"), MOMENTS),
    "pandas us": (STAMPS.astype("datetime64[us]"), MOMENTS),
    "pandas ms": (pd.Series(pd.to_datetime(SECONDS)).astype("datetime64[ms]"), SECONDS),
    "pandas s": (pd.Series(pd.to_datetime(SECONDS)).astype("datetime64[s]"), SECONDS),
    "pandas with a zone": (pd.Series(pd.to_datetime(IN_PARIS)), IN_UTC),
    "objects: days": (pd.Series(DAYS, dtype=object), DAYS),
    "objects: moments": (pd.Series(MOMENTS, dtype=object), MOMENTS),
    "objects: both": (pd.Series([DAYS[1], MOMENTS[0]], dtype=object), [MOMENTS[1], MOMENTS[0]]),
    "objects with zones": (
        pd.Series([IN_PARIS[0], IN_PARIS[1].astimezone(dt.UTC)], dtype=object),
        IN_UTC,
    ),
    "objects of NumPy": (
        pd.Series([np.datetime64("2024-01-02"), np.datetime64("1969-12-31")], dtype=object),
        DAYS,
    ),
    "periods": (STAMPS.dt.to_period("M"), MONTHS),
    "Arrow days in pandas": (pd.Series(DAYS, dtype=pd.ArrowDtype(pa.date32())), DAYS),
    "Arrow in pandas": (pd.Series(MOMENTS, dtype=pd.ArrowDtype(pa.timestamp("us"))), MOMENTS),
    "Arrow in pandas with a zone": (
        pd.Series(IN_PARIS, dtype=pd.ArrowDtype(pa.timestamp("us", tz="Europe/Paris"))),
        IN_UTC,
    ),
    "polars days": (pl.Series(DAYS), DAYS),
    "polars ns": (polars_dates(MOMENTS, "ns"), MOMENTS),
    "polars us": (polars_dates(MOMENTS, "us"), MOMENTS),
    "polars ms": (polars_dates(SECONDS, "ms"), SECONDS),
    "polars with a zone": (polars_dates(MOMENTS, "us", "Europe/Paris"), IN_UTC),
    "Arrow days": (pa.array(DAYS, pa.date32()), DAYS),
    "Arrow date64": (pa.array(DAYS, pa.date64()), DAYS),
    "Arrow s": (pa.array(SECONDS, pa.timestamp("s")), SECONDS),
    "Arrow ns": (pa.array(MOMENTS, pa.timestamp("ns")), MOMENTS),
    "Arrow with a zone": (pa.array(IN_PARIS, pa.timestamp("us", tz="Europe/Paris")), IN_UTC),
}


def frame_of(column):
    """Return a frame of the column's library with the column "when"."""
    if isinstance(column, pl.Series):
        return pl.DataFrame({"when": column})
    if isinstance(column, pa.Array):
        return pa.table({"when": column})
    return pd.DataFrame({"when": column})


@pytest.mark.parametrize("kind", DATES)
def test_dates_of_every_kind_become_nanoseconds(kind):
    column, moments = DATES[kind]
    values, is_date = times_in(frame_of(column), "when")
    assert is_date
    assert values.dtype == np.int64
    np.testing.assert_array_equal(values, nanoseconds(moments))


def test_nanoseconds_of_objects_are_kept():
    stamps = [pd.Timestamp("2024-01-02"), pd.Timestamp("2024-01-02 00:00:00.000000001")]
    values, _ = times_in(frame_of(pd.Series(stamps, dtype=object)), "when")
    assert np.diff(values).tolist() == [1]


NUMBERS = {
    "int64": (pd.Series([2024, 1969]), np.int64),
    "int8": (pd.Series([20, 19], dtype="int8"), np.int64),
    "uint64": (pl.Series([2024, 1969], dtype=pl.UInt64), np.int64),
    "nullable integers": (pd.Series([2024, 1969], dtype="Int64"), np.int64),
    "Arrow integers": (pa.array([2024, 1969], pa.int32()), np.int64),
    "objects: integers": (pd.Series([2024, np.int64(1969)], dtype=object), np.int64),
    "float32": (pd.Series([0.5, 0.25], dtype="float32"), np.float64),
    "float64": (pl.Series([1.5e9, 1.25]), np.float64),
    "objects: integers and floats": (pd.Series([2024, 0.5], dtype=object), np.float64),
    "decimals": (pl.Series([Decimal("1.5"), Decimal("0.5")]), np.float64),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_become_int64_or_float64(kind):
    column, dtype = NUMBERS[kind]
    values, is_date = times_in(frame_of(column), "when")
    assert not is_date
    assert values.dtype == dtype
    np.testing.assert_array_equal(values, [float(value) for value in list(column.to_numpy())])


def test_a_column_without_rows_has_no_times():
    assert times_in(pd.DataFrame({"when": []}), "when").values.shape == (0,)


FOREVER = dt.datetime(9999, 12, 31)
WRONG = {
    "str": (pd.Series(["2024-01-02", "2023"]), "must hold dates or numbers, found"),
    "str in polars": (pl.Series(["2024-01-02"]), r"found str\. Convert .*pandas.to_datetime"),
    "a category": (pd.Series(["2024-01-02"], dtype="category"), "must hold dates or numbers"),
    "objects": (pd.Series([2024, "2023"], dtype=object), r"found int, str\. Convert the column"),
    "bool": (pd.Series([True, False]), "must hold dates or numbers, found Boolean"),
    "objects: bool": (pd.Series([True, 2], dtype=object), "must hold dates or numbers, found bool"),
    "complex": (pd.Series([1j]), "must hold dates or numbers, found"),
    "timedelta": (pd.Series(pd.to_timedelta([1], unit="s")), "must hold dates or numbers, found"),
    "objects: timedelta64": (
        pd.Series([np.timedelta64(1, "s"), 1], dtype=object),
        "must hold dates or numbers, found int, timedelta64",
    ),
    "times of day": (pl.Series([dt.time(1)]), "must hold dates or numbers, found time"),
    "None": (pl.Series([DAYS[0], None]), "'when' holds missing values. Drop those rows"),
    "NaT": (pd.Series([STAMPS[0], pd.NaT]), "'when' holds missing values. Drop those rows"),
    "object NaT": (pd.Series([DAYS[0], None], dtype=object), "'when' holds missing values"),
    "NaN": (pl.Series([1.0, np.nan]), "'when' holds missing values. Drop those rows"),
    "infinite": (pd.Series([1.0, -np.inf]), r"1 times that are .* first in row 1: -inf\. Drop"),
    "after 2262": (pl.Series([DAYS[0], FOREVER.date()]), "1 dates before .* in row 1: 9999-12-31"),
    "object after 2262": (pd.Series([FOREVER], dtype=object), "'when' holds"),
    "uint64": (pl.Series([2**63], dtype=pl.UInt64), r"the integer 9223372036854775808, expected"),
    "int": (pd.Series([1, -(2**70)], dtype=object), "integer -1180591620717411303424, expected"),
    "far apart": (pd.Series([-(2**62), 2**62]), "whose difference int64 cannot hold. Drop"),
    "zones": (pd.Series([MOMENTS[0], IN_PARIS[0]], dtype=object), "a time zone and dates without"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_other_columns_are_refused(kind):
    column, message = WRONG[kind]
    with pytest.raises(ValueError, match=message):
        times_in(frame_of(column), "when")


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"no column 'when', only \['time'\]"):
        times_in(pd.DataFrame({"time": [1]}), "when")


DAY = 86_400_000_000_000


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (dt.timedelta(days=30), 30 * DAY),
        (np.timedelta64(30, "D"), 30 * DAY),
        (np.timedelta64(5, "ns"), 5),
        (pd.Timedelta(1.5, "h"), DAY // 16),
        ("30D", 30 * DAY),
        ("1D 12h", DAY * 3 // 2),
        ("12:00:00", DAY // 2),
    ],
)
def test_lengths_of_time_become_nanoseconds(given, expected):
    assert as_duration("half_life", given, is_date=True) == expected


@pytest.mark.parametrize("given", [2, 0.5, np.float32(0.5), np.int64(2)])
def test_numbers_are_lengths_of_time_for_times_that_are_numbers(given):
    assert as_duration("half_life", given, is_date=False) == given


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (30, TypeError, r'`half_life`=30 has no unit.*timedelta, or a string with .*"30D"'),
        (0.5, TypeError, "has no unit"),
        ("30", TypeError, "has no unit"),
        (True, TypeError, "has no unit"),
        (None, TypeError, "must be a length of time.*, got NoneType"),
        (dt.timedelta(0), ValueError, "must be a length of time > 0"),
        (dt.timedelta(-1), ValueError, "must be a length of time > 0"),
        ("-1D", ValueError, "must be a length of time > 0"),
        (pd.NaT, TypeError, "must be a length of time.*, got NaTType"),
        (np.timedelta64("NaT", "s"), ValueError, "must be a length of time > 0"),
        ("NaT", ValueError, "must be a length of time > 0"),
        ("nan", ValueError, "`half_life`='nan'"),
        ("soon", ValueError, "is not a length of time of less than 292 years: "),
        ("1Y", ValueError, "is not a length of time"),
        (np.timedelta64(1, "M"), ValueError, "is not a length of time"),
        (dt.timedelta(days=200_000), ValueError, "of less than 292 years"),
    ],
)
def test_other_lengths_of_time_are_refused_for_dates(given, error, message):
    with pytest.raises(error, match=message):
        as_duration("half_life", given, is_date=True)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("30D", TypeError, "must be a number, because the times are numbers"),
        (dt.timedelta(1), TypeError, "must be a number.* or convert the times to dates"),
        (np.timedelta64(1, "D"), TypeError, "must be a number"),
        (None, TypeError, "`half_life`=None must be a number > 0"),
        (True, TypeError, "must be a number > 0"),
        (0, ValueError, "must be a finite number > 0"),
        (-1.0, ValueError, "must be a finite number > 0"),
        (np.nan, ValueError, "must be a finite number > 0"),
        (np.inf, ValueError, "must be a finite number > 0"),
    ],
)
def test_other_lengths_of_time_are_refused_for_numbers(given, error, message):
    with pytest.raises(error, match=message):
        as_duration("half_life", given, is_date=False)
