"""One small system for each item, on its nearest items."""
