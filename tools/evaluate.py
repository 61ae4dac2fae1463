"""Door to opendas_plugin.commands.evaluate; see --help."""

from opendas_plugin.commands.evaluate import main

if __name__ == "__main__":
    raise SystemExit(main())
