"""Door to opendas_plugin.commands.reproduce; see --help."""

from opendas_plugin.commands.reproduce import main

if __name__ == "__main__":
    raise SystemExit(main())
