"""``python -m integrations.openmask3d SCRIPT ...``; see :mod:`integrations.openmask3d.launcher`."""

import sys

from integrations.openmask3d.launcher import main

if __name__ == "__main__":
    sys.exit(main())
