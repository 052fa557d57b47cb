"""Columns of times as numbers that sort and subtract, and lengths of time in the same unit."""

from __future__ import annotations

import numbers
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shallow_ae._typing import Array
from shallow_ae.data.arguments import check_real
from shallow_ae.data.tables import column_in

# The first and the last whole second that int64 holds in nanoseconds since 1970.
_FIRST = np.datetime64("1677-09-21T00:12:44")
_LAST = np.datetime64("2262-04-11T23:47:16")


class Times(NamedTuple):
    """The times of a column: one number for each row."""

    values: NDArray[np.int64] | NDArray[np.float64]
    is_date: bool  # whether the values are nanoseconds since 1970-01-01 UTC


def times_in(frame: Any, name: str) -> Times:
    """Return a column of dates or numbers of a DataFrame as numbers that sort and subtract.

    Dates of every type and unit become int64 nanoseconds: dates with a time zone count from
    1970-01-01 UTC, dates without a time zone from 1970-01-01 of their own clock, and periods from
    their start. Integers become int64, and floats and decimals float64. The difference of any two
    values of the result fits its type.

    Raises a ValueError if the frame has no such column, if a time is missing or infinite, if the
    column holds anything but dates or numbers, or if its dates are not all between the years 1678
    and 2261.
    """
    column = column_in(frame, name)
    values = column.to_numpy()
    if not len(values):
        return Times(np.empty(0, np.int64), False)
    if values.dtype.kind in "OU":
        values = _from_objects(values.astype(object), name)
    if values.dtype.kind == "M":
        times = Times(_nanoseconds(values, name), True)
    elif values.dtype.kind in "iufO":
        times = Times(_numbers(values, name), False)
    else:
        raise _no_times(name, str(column.dtype))
    check_span(times, f"of column {name!r}")
    return times


def check_span(times: Times, which: str) -> None:
    """Raise a ValueError unless the difference of any two times fits their type."""
    first, last = (bound.item() for bound in (times.values.min(), times.values.max()))
    if not last - first <= np.iinfo(np.int64).max and isinstance(first, int):
        bounds = [pd.Timestamp(bound) if times.is_date else bound for bound in (first, last)]
        raise ValueError(
            f"The times {which} go from {bounds[0]} to {bounds[1]}, whose difference int64 cannot "
            "hold. Drop the rows with the wrong times."
        )


def converted(values: Array, dtype: np.dtype[Any]) -> tuple[Array, NDArray[np.bool_]]:
    """Return times as int64 or float64, and which of them this type holds exactly."""
    if values.dtype == dtype:
        return values, np.ones(len(values), np.bool_)
    with np.errstate(invalid="ignore"):  # floats beyond int64
        as_type = values.astype(dtype)
        back = as_type.astype(values.dtype)
    # The largest int64 becomes a float beyond int64, whose way back depends on the processor.
    is_inside = np.abs(values.astype(np.float64)) < 2.0**63
    return as_type, np.asarray((back == values) & is_inside)


def as_duration(name: str, given: Any, is_date: bool) -> float:
    """Return a positive length of time in the unit of the times: nanoseconds for dates.

    `name` is the name of the parameter. For dates, `given` is a timedelta of datetime, NumPy or
    pandas, or a str such as "30D" that pandas.Timedelta reads. For numbers, it is a number.

    Raises a TypeError if `given` is of another type, and a ValueError if it is not positive or no
    length of time.
    """
    if not is_date:
        return _number(name, given)
    is_number = isinstance(given, numbers.Real) and not isinstance(given, np.timedelta64)
    if is_number or (isinstance(given, str) and _is_bare(given)):
        raise TypeError(
            f"`{name}`={given!r} has no unit, and the times are dates. Pass a timedelta, or a "
            'string with a unit such as "30D".'
        )
    if not isinstance(given, timedelta | np.timedelta64 | str):
        raise TypeError(
            f"`{name}`={given!r} must be a length of time, because the times are dates, got "
            f'{type(given).__name__}. Pass a timedelta, or a string with a unit such as "30D".'
        )
    try:
        length = pd.Timedelta(given).as_unit("ns").value
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"`{name}`={given!r} is not a length of time of less than 292 years: {error}. Pass a "
            'timedelta, or a string such as "30D", "12h" or "1D 6h".'
        ) from error
    if not length > 0:  # NaT is the lowest integer
        raise ValueError(f"`{name}`={given!r} must be a length of time > 0.")
    return length


def _number(name: str, given: Any) -> float:
    """Return a positive length of time for times that are numbers."""
    if isinstance(given, timedelta | np.timedelta64 | str):
        raise TypeError(
            f"`{name}`={given!r} must be a number, because the times are numbers: pass it in the "
            "unit of the times, or convert the times to dates with pandas.to_datetime."
        )
    length = check_real(name, given, low=0, open_low=True)
    return int(given) if isinstance(given, numbers.Integral) else length


def _is_bare(given: str) -> bool:
    """Return whether a str is a number without a unit, which pandas reads as nanoseconds."""
    try:
        float(given)
    except ValueError:
        return False
    return given.strip().lower() != "nan"


def _from_objects(values: Array, name: str) -> Array:
    """Return objects that are all dates, all periods or all numbers as an array of their type."""
    types = set(map(type, values))
    if all(issubclass(own, date | np.datetime64) for own in types):
        return _read(values, name)
    if types == {pd.Period}:
        return np.asarray(pd.PeriodIndex(values).to_timestamp())
    if all(_is_integer(own) for own in types):
        return np.array([int(value) for value in values])  # object if int64 cannot hold them
    if all(_is_integer(own) or issubclass(own, float | np.floating | Decimal) for own in types):
        return values.astype(np.float64)
    raise _no_times(name, ", ".join(sorted(own.__name__ for own in types)))


def _read(dates: Array, name: str) -> Array:
    """Return date objects as datetime64."""
    if len({getattr(value, "tzinfo", None) is None for value in dates}) == 2:
        raise ValueError(
            f"Column {name!r} holds dates with a time zone and dates without. Give all of them "
            "one, or none."
        )
    try:
        return np.asarray(pd.to_datetime(dates, utc=True).tz_localize(None))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"Column {name!r} holds dates that pandas cannot read: {error}") from error


def _is_integer(kind: type) -> bool:
    # NumPy counts np.timedelta64 among its integers, and Python counts bool among its own.
    return issubclass(kind, int | np.integer) and kind not in (bool, np.timedelta64)


def _no_times(name: str, found: str) -> ValueError:
    return ValueError(
        f"Column {name!r} must hold dates or numbers, found {found}. Convert the column, for "
        "example with pandas.to_datetime."
    )


def _nanoseconds(dates: Array, name: str) -> NDArray[np.int64]:
    outside = (dates < _FIRST) | (dates > _LAST)
    if outside.any():
        row = int(outside.argmax())
        raise ValueError(
            f"Column {name!r} holds {int(outside.sum()):,} dates before 1677-09-21 or after "
            f"2262-04-11, the first in row {row}: {dates[row]}. Drop those rows, or correct them."
        )
    return dates.astype("datetime64[ns]").view(np.int64)


def _numbers(values: Array, name: str) -> NDArray[np.int64] | NDArray[np.float64]:
    if values.dtype.kind != "f":
        for bound in (int(values.min()), int(values.max())):
            if not -(2**63) <= bound < 2**63:
                raise ValueError(
                    f"Column {name!r} holds the integer {bound}, expected integers of 64 bits. "
                    "Convert the column to floats."
                )
        return values.astype(np.int64)
    finite = np.isfinite(values)
    if not finite.all():
        row = int(finite.argmin())
        raise ValueError(
            f"Column {name!r} holds {int((~finite).sum()):,} times that are missing or infinite, "
            f"the first in row {row}: {values[row]}. Drop those rows."
        )
    return values.astype(np.float64)
