"""Item weights and the rankings computed from them. Independent of training."""
