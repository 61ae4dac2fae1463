"""Open3DIS imports it; the mapping on tensors that is run here does without."""
