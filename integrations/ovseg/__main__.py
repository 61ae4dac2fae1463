"""``python -m integrations.ovseg SCRIPT ...``; see :mod:`integrations.ovseg.launcher`."""

import sys

from integrations.ovseg.launcher import main

if __name__ == "__main__":
    sys.exit(main())
