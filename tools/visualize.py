"""Door to opendas_plugin.commands.visualize; see --help."""

from opendas_plugin.commands.visualize import main

if __name__ == "__main__":
    raise SystemExit(main())
