"""The objective, its training data and its solution. Independent of the solvers."""
