class PointFusion:
    """No map is fused here."""
