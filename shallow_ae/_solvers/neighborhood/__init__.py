"""The solver for large catalogues: each item's nearest items only."""
