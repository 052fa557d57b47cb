"""The objective, the data it is over, and its solution. No solver."""
