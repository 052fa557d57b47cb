"""Model files: JSON and named arrays in one checked file. Independent of the estimators."""
