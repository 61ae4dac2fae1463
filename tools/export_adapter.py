"""Door to opendas_plugin.commands.export_adapter; see --help."""

from opendas_plugin.commands.export_adapter import main

if __name__ == "__main__":
    raise SystemExit(main())
