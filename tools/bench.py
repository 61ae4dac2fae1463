"""Door to opendas_plugin.commands.bench; see --help."""

from opendas_plugin.commands.bench import main

if __name__ == "__main__":
    raise SystemExit(main())
