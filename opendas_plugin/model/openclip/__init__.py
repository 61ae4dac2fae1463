"""Open_clip's own towers (3.x), the plain ones that can carry learnt tokens."""
