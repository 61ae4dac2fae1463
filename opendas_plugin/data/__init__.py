"""Labelled segments: what they are, how datasets become them, and how they reach a model."""
