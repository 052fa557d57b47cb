"""Item weights: the forms that P takes, and the best items by their scores. No training."""
