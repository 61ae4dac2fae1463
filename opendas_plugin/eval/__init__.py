"""Scoring: pure metrics, the predictions that they are computed from, and the report that holds both."""
