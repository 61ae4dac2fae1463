"""Door to opendas_plugin.commands.run; see --help."""

from opendas_plugin.commands.run import main

if __name__ == "__main__":
    raise SystemExit(main())
