"""Stands in for OVSeg's package."""

from . import modeling
from .config import add_ovseg_config
from .ovseg_model import OVSeg, OVSegDEMO
