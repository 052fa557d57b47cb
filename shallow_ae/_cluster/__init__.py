"""Fits and recommendations whose rows lie in partitions on Dask workers."""
