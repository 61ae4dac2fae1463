class Model:
    """Objects are not looked for by GroundingDINO here."""
