"""Door to opendas_plugin.commands.compare; see --help."""

from opendas_plugin.commands.compare import main

if __name__ == "__main__":
    raise SystemExit(main())
