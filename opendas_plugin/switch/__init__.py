"""Switching an adapter on in any program that loads a CLIP: what its calls return is the adapted model."""
