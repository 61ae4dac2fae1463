"""Door to opendas_plugin.commands.prepare_data; see --help."""

from opendas_plugin.commands.prepare_data import main

if __name__ == "__main__":
    raise SystemExit(main())
