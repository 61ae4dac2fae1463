import torch


def relative_transformation(first, second, orthogonal_rotations=False):
    """Camera-to-world matrices (B, 4, 4), each second one seen from the first."""
    return torch.linalg.inv(first) @ second
