"""LangSplat's fork of segment-anything, whose generator returns four lists: of all masks, small, middle and large."""

import importlib.util
from pathlib import Path

_plain = Path(__file__).parents[2] / "packages" / "segment_anything" / "__init__.py"
_spec = importlib.util.spec_from_file_location("plain_segment_anything", _plain)
plain = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(plain)
sam_model_registry = plain.sam_model_registry


class SamAutomaticMaskGenerator(plain.SamAutomaticMaskGenerator):
    def generate(self, image):
        return tuple(plain.shapes(*image.shape[:2], count=3, first=first) for first in (0, 3, 6, 9))
