"""What people see of a run: one HTML page with its figures and pictures inside, that asks no other file or host."""
