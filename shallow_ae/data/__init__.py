"""Data on their way in: tables with raw ids, matrices, arguments, and how they are split."""
