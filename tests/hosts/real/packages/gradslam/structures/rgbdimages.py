class RGBDImages:
    """No map is fused here."""
