"""Item weights and the rankings they give. It knows no training."""
