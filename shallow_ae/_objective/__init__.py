"""The objective, its training data and its solution. It knows no solver."""
