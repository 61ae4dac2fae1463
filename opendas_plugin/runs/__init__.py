"""What the commands do, for Python."""
