"""The adapted CLIP model: towers that carry learnt tokens, and the folders they are saved in."""
