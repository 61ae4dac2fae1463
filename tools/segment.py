"""Door to opendas_plugin.commands.segment; see --help."""

from opendas_plugin.commands.segment import main

if __name__ == "__main__":
    raise SystemExit(main())
