"""OpenDAS adapters inside other pipelines: each sub-package plugs into an unmodified checkout of one of them."""
