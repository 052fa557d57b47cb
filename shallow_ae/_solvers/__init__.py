"""Four solvers, independent of each other. They know no estimator and return solutions."""
