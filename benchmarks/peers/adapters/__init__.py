"""One class for each library: its fit and its ranking by its own public calls.

Each class is made with its settings and has `load(X, threads)`, which puts the rows into the
library's own container outside the clock, `fit()`, `rank(users, k)` for many users and
`request(row, user, k)` for one.
"""
