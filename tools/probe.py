"""``python tools/probe.py``: the same as ``opendas-probe``."""

from opendas_plugin.commands.probe import main

raise SystemExit(main())
