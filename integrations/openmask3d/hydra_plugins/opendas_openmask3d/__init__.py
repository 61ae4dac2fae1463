"""Found by hydra in every app of this environment: lets OpenMask3D's own scripts take ``opendas:`` names.

It imports hydra alone, which is there, and does nothing unless an OpenMask3D script is given a value that starts with
``opendas:``. It runs on Python 3.8 and hydra 1.0.5 too, as OpenMask3D pins them, as far as to do nothing.
"""

import sys

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class OpenDASPlugin(SearchPathPlugin):
    """Called by hydra while it starts, when the script has imported OpenMask3D already."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Leaves the search path alone; patches OpenMask3D where it is asked to."""
        asked = any("=opendas:" in argument for argument in sys.argv[1:])
        if asked and "openmask3d" in sys.modules:
            from integrations.openmask3d.install import install

            install(sys.argv[1:], features=True)
