"""Data: reading, validation, ids, preprocessing, splits."""
