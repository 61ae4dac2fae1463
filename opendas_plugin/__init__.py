"""OpenDAS-plugin: adapters that teach a frozen CLIP a new domain."""
