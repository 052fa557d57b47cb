"""The estimators: they check, call a solver, and store what it returns."""
