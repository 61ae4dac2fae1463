"""Found by hydra in every app of this environment: lets OpenMask3D's own scripts take adapters.

It imports hydra alone, which is there, and does nothing unless an OpenMask3D script is given a value that starts with
``opendas:``, or an adapter's folder as its CLIP. It runs on Python 3.8 and hydra 1.0.5 too, as OpenMask3D pins them, as
far as to do nothing.
"""

import pathlib
import sys

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class OpenDASPlugin(SearchPathPlugin):
    """Called by hydra while it starts, when the script has imported OpenMask3D already."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Leaves the search path alone; patches OpenMask3D where it is asked to."""
        asked = any(_names_an_adapter(argument) for argument in sys.argv[1:])
        if asked and "openmask3d" in sys.modules:
            from integrations.openmask3d.install import install

            install(sys.argv[1:], features=True)


def _names_an_adapter(argument: str) -> bool:
    key, _, value = argument.partition("=")
    folder = key == "external.clip_model" and pathlib.Path(value, "adapter_config.json").is_file()
    return value.startswith("opendas:") or folder
