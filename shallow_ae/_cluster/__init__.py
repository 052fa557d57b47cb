"""Fits whose rows lie in partitions on Dask workers."""
