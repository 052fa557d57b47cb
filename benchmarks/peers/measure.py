"""One row of the table, in a process and an environment of its own: fit, rank, requests, memory.

The process needs NumPy, SciPy and the library. It reads a job, writes what it does at the moment
into the file `stage` and what it has measured into `figures.json`, and leaves the ranked items.

The order: a fit and a ranking of a small part of the data, which load and compile what is used
lazily; the fit; the ranking of all users; the peak memory so far; single requests; further rounds
of fit and ranking while they are short. Seconds are the least of the rounds.
"""

import importlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from processes import memory_mib

ROUNDS, SHORT = 3, 10.0  # further rounds while a stage has taken fewer seconds in all
REQUESTS, LONGEST = 500, 5.0  # at most so many requests, and seconds of them
WARM_USERS, WARM_ITEMS = 1000, 500


def most_active(X: sp.csr_array) -> sp.csr_array:
    """Return the most active users' interactions with the most popular items, none empty."""
    items = np.sort(np.argsort(-np.bincount(X.indices, minlength=X.shape[1]))[:WARM_ITEMS])
    X = X[:, items]
    X = X[np.sort(np.argsort(-np.diff(X.indptr), kind="stable")[:WARM_USERS])]
    X = X[np.diff(X.indptr) > 0]
    return X[:, np.bincount(X.indices, minlength=X.shape[1]) > 0]


class Child:
    """The work of one row, with its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        self.figures: dict = {}

    def begin(self, stage: str) -> None:
        """Say what begins now."""
        (self.folder / "stage").write_text(f"{stage} {time.time()}", encoding="utf-8")

    def keep(self, **figures) -> None:
        """Write what is known."""
        self.figures |= figures
        text = json.dumps(self.figures)
        (self.folder / "figures.json").write_text(text, encoding="utf-8")

    def fresh(self, X):
        """Return the library's model with its data."""
        module, name = self.job["adapter"].split(":")
        model = getattr(importlib.import_module(f"adapters.{module}"), name)(**self.job["settings"])
        model.load(X, self.job["threads"])
        return model

    def timed(self, work):
        """Return the seconds of a call, and what it returns."""
        start = time.perf_counter()
        answer = work()
        return time.perf_counter() - start, answer

    def run(self) -> None:
        """Measure."""
        X = sp.csr_array(sp.load_npz(self.job["data"]))
        k, users = self.job["k"], np.flatnonzero(np.diff(X.indptr))
        self.begin("warm-up")
        small = self.fresh(most_active(X))
        small.fit()
        small.rank(np.arange(50), k)
        del small
        self.begin("load")
        model = self.fresh(X)
        self.begin("fit")
        fits = [self.timed(model.fit)[0]]
        self.keep(fit_s=fits[0], fit_mib=memory_mib())
        self.begin("rank")
        seconds, items = self.timed(lambda: model.rank(users, k))
        ranks = [seconds]
        answer = np.full((X.shape[0], k), -1, dtype=np.int64)
        answer[users] = items
        np.save(self.folder / "items.npy", answer)
        self.keep(rank_s=ranks[0], peak_mib=memory_mib())
        self.requests(model, X, users, k)
        self.begin("rounds")
        while len(ranks) < ROUNDS and sum(ranks) < SHORT:
            ranks.append(self.timed(lambda: model.rank(users, k))[0])
        self.keep(rank_s=min(ranks))
        while len(fits) < ROUNDS and sum(fits) < SHORT:
            del model
            model = self.fresh(X)
            fits.append(self.timed(model.fit)[0])
            self.keep(fit_s=min(fits))
        self.begin("done")

    def requests(self, model, X, users, k: int) -> None:
        """Time single requests, each of another user."""
        self.begin("requests")
        asked = np.random.default_rng(0).permutation(users)[:REQUESTS].tolist()
        rows = [type(model.X)(X[[u]]) if hasattr(model, "X") else X[[u]] for u in asked]
        requests = list(zip(rows, asked, strict=True))
        self.keep(
            request_ms=self.median_ms(lambda row, user: model.request(row, user, k), requests)
        )
        if self.job["serving"]:
            from adapters.ours import history

            answer = model.serving(k)
            asked = [(history(row),) for row in rows]
            self.keep(serving_ms=self.median_ms(answer, asked))

    def median_ms(self, answer, requests: list) -> float:
        """Return the median time of a request after some that are not counted."""
        seconds = []
        for place, request in enumerate([*requests[:10], *requests]):
            taken, _ = self.timed(lambda request=request: answer(*request))
            if place >= 10:
                seconds.append(taken)
            if sum(seconds) > LONGEST:
                break
        return 1000 * float(np.median(seconds))


if __name__ == "__main__":
    Child(Path(sys.argv[1])).run()
