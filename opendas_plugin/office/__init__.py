"""The built-in domain: procedural office rooms, their renderer, and how the tiny CLIP was made."""
