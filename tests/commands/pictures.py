"""What tests do to pictures."""

from __future__ import annotations

from pathlib import Path


def break_picture(path):
    Path(path).write_bytes(Path(path).read_bytes()[:60])
