"""Door to opendas_plugin.commands.generate_negatives; see --help."""

from opendas_plugin.commands.generate_negatives import main

if __name__ == "__main__":
    raise SystemExit(main())
