"""Related names: the database of each class's own, where it comes from, and which of them a step learns against."""
