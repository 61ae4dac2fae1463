"""The module by which Open3DIS is known; its datasets are of no concern here."""
