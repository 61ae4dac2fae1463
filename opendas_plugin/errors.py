"""The errors a user meets: one sentence that says what was expected, what came, and what to do.

Each kind is also the builtin that it refines, so ``except ValueError`` and ``except OSError`` keep working.
"""

from __future__ import annotations


class OpenDASError(Exception):
    """Base of every error that OpenDAS-plugin raises on purpose; commands print it as one line and exit with 1."""


class ConfigError(OpenDASError, ValueError):
    """A setting, a recipe field or an argument that cannot be used as given."""


class DataError(OpenDASError, ValueError):
    """Images, masks, labels, names or manifests that do not hold what they should."""


class BackboneError(OpenDASError, ValueError):
    """A CLIP model that cannot carry prompts, or that cannot be built or read."""


class AdapterError(OpenDASError, ValueError):
    """An adapter folder that is damaged or belongs to another backbone."""


class MissingFileError(OpenDASError, FileNotFoundError):
    """A file or folder that should exist and does not."""


class MissingDependencyError(OpenDASError, ImportError):
    """An optional package that is needed here and not installed; the message says how to install it."""


class TrainingError(OpenDASError, RuntimeError):
    """Training that cannot go on, such as a loss that is not a number."""


class OutputError(OpenDASError, OSError):
    """An output that could not be written; what was there before is untouched."""


class OtherProcessError(OpenDASError):
    """Another process of this run cannot go on, and it is that one which says why; commands print nothing of it."""


class LostProcessError(OpenDASError, RuntimeError):
    """Another process of this run is gone."""
