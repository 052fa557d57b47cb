"""Model files: JSON and named arrays in one checked file. It knows weights, but no estimator."""
