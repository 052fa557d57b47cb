"""TimeWindowSplit: training on what came before a window of time, testing on the window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shallow_ae.data.arguments import check_choice, check_integer
from shallow_ae.data.tables import column_in, is_frame, numbered, values_of
from shallow_ae.data.times import Times, as_duration, times_in

_DAY = 86_400 * 10**9  # in nanoseconds
_UNITS = (_DAY, 3_600 * 10**9, 60 * 10**9, 10**9)
_LAST_INTEGER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class TimeWindowSplit:
    """Cross-validation over time: train on the rows before a window, test on the window.

    The splitter is for frames with one row for each interaction. The windows have the same length,
    each begins where the previous one ends, and the last window contains the last row. In each
    split, a model learns from the rows before one window, recommends from the same rows, and is
    measured on the items that its users met for the first time in the window.

    The test part of a split therefore consists of two kinds of rows: the training rows of the
    window's users, from which to recommend, and the rows of the window, which the scorer hides. The
    scorer finds the window in `y`: pass the result of `windows_of` as `y` to `fit` of a search or
    to `cross_validate`. The `score` method of :class:`~shallow_ae.RecommenderPipeline` and
    :func:`~shallow_ae.make_ranking_scorer` read it. Without it, `split` raises an error, and with
    the test part of another splitter, the scorer raises one.

    Parameters
    ----------
    n_splits : int, default=5
        Number of windows, and of splits.
    test_size : timedelta, str or number, default=None
        Length of a window. For dates, a timedelta of datetime, NumPy or pandas, or a str such as
        "30D" or "12h" that pandas.Timedelta reads. For numbers, a number in the unit of the times.
        None divides the time from the first to the last row by `n_splits` + 1; a result of a day or
        more is rounded down to whole days.
    max_train_size : timedelta, str or number, default=None
        Length of the time before a window whose rows are training rows. None uses all earlier rows,
        so that each training part contains the previous one.
    gap : timedelta, str or number, default=None
        Time between the training rows and the window. Its rows are in neither part, as if they were
        not known yet when the recommendations were computed. None means no gap.
    new_users : {"drop", "keep"}, default="drop"
        What happens to the window's rows of users without training rows. "drop" leaves them out.
        "keep" puts them into the test part; these users get the most popular items.
    time, user : str, default="time", "user"
        Column names.

    See Also
    --------
    shallow_ae.hold_out_after : One split at a point in time, as two frames.
    sklearn.model_selection.TimeSeriesSplit : Splits by number of rows.

    Notes
    -----
    Times are dates of any type, or numbers such as years or Unix seconds. A window begins with its
    start and ends before its end, so that rows with the same time are in the same part. A window of
    whole days begins and ends at midnight (of UTC, if the times have a time zone), and a window of
    whole hours, minutes or seconds on a whole one. The last window of any other length ends right
    after the last row.

    With `max_train_size`, items that a user met before the training rows count as new.

    Each split takes the time of a few passes over the rows. The memory is one integer for each row
    of a part.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.model_selection import cross_val_score
    >>> from shallow_ae import PopularityRecommender, TimeWindowSplit, make_recommender
    >>> listens = pd.DataFrame(
    ...     [("ann", "Kashmir", 2019), ("bob", "Kashmir", 2019), ("bob", "Clocks", 2020),
    ...      ("ann", "Clocks", 2021), ("cleo", "Yellow", 2021), ("bob", "Yellow", 2022)],
    ...     columns=["user", "item", "year"],
    ... )
    >>> cv = TimeWindowSplit(2, test_size=1, time="year")
    >>> windows = cv.windows_of(listens)
    >>> for train, test in cv.split(listens, windows):
    ...     print(train, test)
    [0 1 2] [0 3]
    [0 1 2 3 4] [1 2 5]
    >>> recommender = make_recommender(PopularityRecommender())
    >>> cross_val_score(recommender, listens, windows, cv=cv).tolist()
    [1.0, 1.0]
    """

    n_splits: int = 5
    _: KW_ONLY
    test_size: Any = None
    max_train_size: Any = None
    gap: Any = None
    new_users: str = "drop"
    time: str = "time"
    user: str = "user"

    def windows_of(self, X: Any) -> pd.Series[Any]:
        """Return the window of each row, for the argument `y` of searches and `cross_validate`.

        Parameters
        ----------
        X : DataFrame
            One row for each interaction, in a pandas or polars frame or any other kind that
            narwhals reads.

        Returns
        -------
        windows : pandas.Series of shape (n_interactions,)
            An ordered categorical: the windows as intervals, or NaN for rows before all windows.
            `windows.cat.categories` are the windows from first to last.

        Raises
        ------
        ValueError
            If a time is missing or no date or number, if a parameter is out of range, if no row is
            before the first window, or if a training part or a window has no rows.
        TypeError
            If `X` is not a DataFrame, or a length has the wrong type for the times.

        Examples
        --------
        >>> import pandas as pd
        >>> from shallow_ae import TimeWindowSplit
        >>> days = pd.to_datetime(["2025-10-05", "2025-11-01", "2025-11-30"])
        >>> listens = pd.DataFrame({"user": [1, 1, 1], "item": [5, 6, 7], "time": days})
        >>> TimeWindowSplit(1, test_size="30D").windows_of(listens).cat.categories[0]
        Interval(2025-11-01 00:00:00, 2025-12-01 00:00:00, closed='left')
        """
        times, users = self._columns(X)
        windows = self._windows(times)
        # The scorer compares these numbers with the rows that it gets.
        windows.attrs["n_test_rows"] = [
            int(is_tested.sum()) for _, is_tested in self._parts(times, users, windows)
        ]
        return windows

    def split(
        self, X: Any, y: Any = None, groups: None = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Generate the training rows and the test rows of each split, earliest window first.

        Parameters
        ----------
        X : DataFrame
            One row for each interaction.
        y : pandas.Series
            The result of `windows_of` for the same `X`.
        groups : None
            Ignored.

        Yields
        ------
        train : ndarray of shape (n_train,)
            The rows before the window, in the order of `X`.
        test : ndarray of shape (n_test,)
            The rows of the window, and the training rows of their users, in the order of `X`.

        Raises
        ------
        ValueError
            If `y` is missing or is not the result of `windows_of`. Also the errors of
            `windows_of`.

        Examples
        --------
        >>> import pandas as pd
        >>> from shallow_ae import TimeWindowSplit
        >>> years = [2020, 2020, 2022]
        >>> listens = pd.DataFrame({"user": [1, 2, 1], "item": [5, 6, 7], "time": years})
        >>> cv = TimeWindowSplit(1, test_size=1)
        >>> train, test = next(cv.split(listens, cv.windows_of(listens)))
        >>> train.tolist(), test.tolist()
        ([0, 1], [0, 2])
        """
        times, users = self._columns(X)
        windows = self._windows(times)
        _check_windows(y, windows)
        for is_train, is_tested in self._parts(times, users, windows):
            is_history = is_train & _is_among(users, is_tested)
            yield np.flatnonzero(is_train), np.flatnonzero(is_history | is_tested)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : object
            Ignored.

        Returns
        -------
        n_splits : int
            The parameter.

        Examples
        --------
        >>> from shallow_ae import TimeWindowSplit
        >>> TimeWindowSplit(3, test_size="7D").get_n_splits()
        3
        """
        return check_integer("n_splits", self.n_splits, low=1)

    def _columns(self, X: Any) -> tuple[Times, NDArray[np.intp]]:
        """Return the times of the rows, and the numbers of their users."""
        if not is_frame(X):
            raise TypeError(
                "TimeWindowSplit needs a DataFrame with one row for each interaction, got "
                f"{type(X).__name__}, which has no column of times. Search over a pipeline of "
                "make_recommender, and pass the frame."
            )
        times = times_in(X, self.time)
        if not len(times.values):
            raise ValueError("Found no interactions: 0 rows, expected rows before a window.")
        return times, numbered(values_of(column_in(X, self.user)), self.user)[0]

    def _parts(
        self, times: Times, users: NDArray[np.intp], windows: pd.Series[Any]
    ) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        """Generate which rows are training rows, and which are tested, for each window."""
        gap, longest = self._length("gap", times), self._length("max_train_size", times)
        of_rows = windows.cat.codes.to_numpy()
        for place, start in enumerate(self._bounds(times)[:-1]):
            is_train = times.values < start - gap
            if longest:
                is_train &= times.values >= start - gap - longest
            is_tested = of_rows == place
            if self.new_users == "drop":
                is_tested &= _is_among(users, is_train)
            _check_parts(windows.cat.categories[place], is_train, is_tested)
            yield is_train, is_tested

    def _length(self, name: str, times: Times) -> float:
        """Return the length that is a parameter, in the unit of the times, and 0 for None."""
        given = getattr(self, name)
        if given is None:
            return 0
        length = as_duration(name, given, times.is_date)
        is_whole = times.values.dtype.kind == "i" and float(length).is_integer()
        return int(length) if is_whole else length

    def _bounds(self, times: Times) -> list[float]:
        """Return the starts of all windows and the end of the last window."""
        n_splits = self.get_n_splits()
        check_choice("new_users", self.new_users, ("drop", "keep"))
        first, last = times.values.min().item(), times.values.max().item()
        end = np.nextafter(last, np.inf).item() if isinstance(last, float) else last + 1
        size = self._length("test_size", times)
        if not size and isinstance(last, float):
            size = (end - first) / (n_splits + 1)
        elif not size:
            size = (end - first) // (n_splits + 1)
            if times.is_date and size >= _DAY:
                size -= size % _DAY
        if times.is_date and size:
            unit = next((unit for unit in _UNITS if size % unit == 0), 1)
            end = min(-(-end // unit) * unit, _LAST_INTEGER)
        if not size or first >= end - n_splits * size - self._length("gap", times):
            raise ValueError(
                f"No row is before the first window: `n_splits`={n_splits} windows of "
                f"`test_size`={self.test_size!r} and `gap`={self.gap!r} reach back to the first "
                f"row. The times of column {self.time!r} go from {_shown(first, times)} to "
                f"{_shown(last, times)}. Choose fewer or shorter windows."
            )
        if last + size == last or end > _LAST_INTEGER:
            raise ValueError(
                f"{type(last).__name__} times of up to {_shown(last, times)} are too large for "
                f"windows of `test_size`={self.test_size!r}: the bounds of windows cannot be told "
                "apart. Choose longer windows, or subtract the first time."
            )
        return [end - place * size for place in range(n_splits, -1, -1)]

    def _windows(self, times: Times) -> pd.Series[Any]:
        bounds = np.array(self._bounds(times))
        codes = np.searchsorted(bounds, times.values, side="right") - 1
        edges = pd.to_datetime(bounds) if times.is_date else pd.Index(bounds)
        intervals: Any = pd.IntervalIndex.from_breaks(edges, closed="left")
        return pd.Series(pd.Categorical.from_codes(codes, intervals, ordered=True), name="window")


def _is_among(users: NDArray[np.intp], rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which rows have a user of the given rows."""
    return np.asarray(np.bincount(users, rows)[users] > 0)


def _shown(moment: float, times: Times) -> Any:
    return pd.Timestamp(moment) if times.is_date else moment


def _check_windows(y: Any, windows: pd.Series[Any]) -> None:
    """Raise a ValueError unless `y` is the given windows."""
    if y is None:
        raise ValueError(
            "TimeWindowSplit needs `y`, which tells the scorer the window of each row: without it, "
            "the scorer would hide training rows. Pass `cv.windows_of(X)` as `y`, as in "
            "`search.fit(X, cv.windows_of(X))`."
        )
    same = isinstance(y, pd.Series) and y.dtype == windows.dtype and len(y) == len(windows)
    if not same or not np.array_equal(y.cat.codes, windows.cat.codes):
        raise ValueError(
            "`y` is not the result of `windows_of` for this `X` and these parameters: found "
            f"{type(y).__name__}. Pass `cv.windows_of(X)`, with the rows of `X` in the same order."
        )


def _check_parts(window: Any, is_train: Any, is_tested: Any) -> None:
    if not is_train.any():
        raise ValueError(
            f"No training rows for the window {window}: raise `max_train_size`, or lower `gap`."
        )
    if not is_tested.any():
        raise ValueError(
            f"No test rows in the window {window}, from users with training rows. Choose longer or "
            'fewer windows, or `new_users`="keep".'
        )
