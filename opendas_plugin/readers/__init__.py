"""Readers of labelled datasets, a file each, in an open registry; :class:`Reader` says what one is."""

from opendas_plugin.data.reading import ImageReading
from opendas_plugin.readers.reader import Context, Dataset, Reader, Sighting, Split

__all__ = ["Context", "Dataset", "ImageReading", "Reader", "Sighting", "Split"]
