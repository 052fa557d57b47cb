"""Four solvers, independent of each other and of the estimators. They return solutions."""
