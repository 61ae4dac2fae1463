"""Door to opendas_plugin.commands.probe; see --help."""

from opendas_plugin.commands.probe import main

if __name__ == "__main__":
    raise SystemExit(main())
